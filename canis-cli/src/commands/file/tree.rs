//! Directories: many files at a time share their requests to the server and their way to the disk.
//!
//! A file that is at its place is done, for it appears whole; so a second run does what the first left. Only regular files are
//! worked on; what else is found is named.

use super::ends::shown;
use super::one::read_header;
use super::who::{self, Openers, Server};
use crate::args::Connection;
use crate::command_line::wrong_usage;
use crate::file_args::{DecryptFile, EncryptFile, Way};
use crate::progress::Progress;
use crate::show;
use canis_client::file::{self, Draft, FileKey, Header, Identity, Recipient, Stanza, sync_all};
use canis_proto::{Error, Result};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// Files that are asked for and put on the disk together; each is open meanwhile.
const GROUP: usize = 256;

/// What encrypted files end in.
const SUFFIX: &str = ".age";

/// What the program ends with when a file failed.
const FAILED: u8 = 3;

pub(super) fn encrypt(connection: &Connection, args: &EncryptFile, json: bool) -> Result<ExitCode> {
    let server = Server::new(connection);
    let recipients = who::some_recipients(&server, &args.recipients)?;
    let place = |name: &Path| {
        let mut name = name.as_os_str().to_owned();
        name.push(SUFFIX);
        Some(PathBuf::from(name))
    };
    let mut tree = Tree::walk(&args.way, &place)?;
    tree.work(|jobs| {
        let keys = jobs.iter().map(|_| FileKey::random()).collect::<Result<Vec<_>>>()?;
        let headers = headers(&recipients, &keys)?;
        Ok(each(jobs, |at, job| {
            let input = File::open(&job.from).map_err(|error| unreadable(&job.from, &error))?;
            let draft = Draft::of(&job.to)?;
            file::seal(&input, draft.file(), &headers[at], &keys[at], &|_| ())?;
            draft.set_mode(job.mode)?;
            Ok(draft)
        }))
    })?;
    tree.tell("encrypted", json)
}

pub(super) fn decrypt(connection: &Connection, args: &DecryptFile, json: bool) -> Result<ExitCode> {
    let server = Server::new(connection);
    let openers = Openers::new(&server, &args.identities)?;
    let place = |name: &Path| name.to_str()?.strip_suffix(SUFFIX).map(PathBuf::from);
    let mut tree = Tree::walk(&args.way, &place)?;
    tree.work(|jobs| {
        let opened = open_all(&openers, jobs)?;
        Ok(each(jobs, |at, job| {
            let (input, start, key) = opened[at].as_ref().map_err(Clone::clone)?;
            let draft = Draft::of(&job.to)?;
            file::open(input, *start, Some(draft.file()), key, &|_| ())?;
            draft.set_mode(job.mode)?;
            Ok(draft)
        }))
    })?;
    tree.tell("decrypted", json)
}

fn headers(recipients: &[Box<dyn Recipient>], keys: &[FileKey]) -> Result<Vec<Header>> {
    let mut stanzas: Vec<Vec<Stanza>> = keys.iter().map(|_| Vec::new()).collect();
    for recipient in recipients {
        for (all, stanza) in stanzas.iter_mut().zip(recipient.wrap_all(keys)?) {
            all.push(stanza);
        }
    }
    stanzas.into_iter().zip(keys).map(|(stanzas, key)| Header::with_room(stanzas, key)).collect()
}

/// A file whose key was opened, and where its body begins.
type Opened = Result<(File, u64, FileKey)>;

fn open_all(openers: &Openers<'_>, jobs: &[Job]) -> Result<Vec<Opened>> {
    let read = |job: &Job| {
        let input = File::open(&job.from).map_err(|error| unreadable(&job.from, &error))?;
        let header =
            read_header(&input)?.ok_or_else(|| Error::invalid("armoured files are decrypted one by one"))?;
        Ok((input, header))
    };
    let files: Vec<Result<(File, Header)>> = jobs.iter().map(read).collect();
    let headers: Vec<_> = files.iter().filter_map(|file| Some(&file.as_ref().ok()?.1)).collect();
    let keys = match openers.keys_alone()? {
        Some(keys) => keys.unwrap_all(&headers)?,
        None => {
            let all: Vec<&dyn Identity> = openers.all();
            headers.iter().map(|header| header.open(&all)).collect()
        }
    };
    let mut keys = keys.into_iter();
    let opened = |file: Result<(File, Header)>| {
        let (input, header) = file?;
        let key = keys.next().unwrap_or_else(|| Err(Error::internal("a key is missing")))?;
        Ok((input, header.as_bytes().len() as u64, key))
    };
    Ok(files.into_iter().map(opened).collect())
}

/// A file that is to be made from another.
struct Job {
    from: PathBuf,
    to: PathBuf,
    mode: u32,
    len: u64,
}

/// What is to be done, and what was.
struct Tree {
    jobs: Vec<Job>,
    done: usize,
    /// Those that were there already.
    there: usize,
    /// Those that are none of ours: links, devices, files without the suffix.
    passed: usize,
    failed: usize,
}

impl Tree {
    /// Makes the directories and lists the files whose place is empty, or holds what is older.
    fn walk(way: &Way, place: &dyn Fn(&Path) -> Option<PathBuf>) -> Result<Tree> {
        let (Some(from), Some(to)) = (&way.input, &way.output) else {
            wrong_usage("-r needs two directories: one to read and one to write");
        };
        let mut tree = Tree { jobs: Vec::new(), done: 0, there: 0, passed: 0, failed: 0 };
        let mut folders = vec![(from.clone(), to.clone())];
        while let Some((from, to)) = folders.pop() {
            tree.folder(&from, &to, place, &mut folders)?;
        }
        Ok(tree)
    }

    fn folder(
        &mut self,
        from: &Path,
        to: &Path,
        place: &dyn Fn(&Path) -> Option<PathBuf>,
        folders: &mut Vec<(PathBuf, PathBuf)>,
    ) -> Result<()> {
        let failed = |error: io::Error| unreadable(from, &error);
        let mut entries =
            fs::read_dir(from).map_err(failed)?.collect::<io::Result<Vec<_>>>().map_err(failed)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        make_folder(from, to)?;
        for entry in entries {
            let (path, name) = (entry.path(), PathBuf::from(entry.file_name()));
            let there = entry.metadata().map_err(failed)?;
            match place(&name).filter(|_| there.is_file()) {
                _ if there.is_dir() => folders.push((path, to.join(name))),
                None => self.passed += 1,
                Some(name) => {
                    let to = to.join(name);
                    let newer = |old: fs::Metadata| old.mtime() >= there.mtime() && old.is_file();
                    if fs::symlink_metadata(&to).is_ok_and(newer) {
                        self.there += 1;
                    } else {
                        self.jobs.push(Job { from: path, to, mode: there.mode(), len: there.len() });
                    }
                }
            }
        }
        Ok(())
    }

    /// Does all jobs, a group at a time: made, put on the disk together, and only then given their names.
    fn work(&mut self, make: impl Fn(&[Job]) -> Result<Vec<Result<Draft>>>) -> Result<()> {
        let mut progress = Progress::new(Some(self.jobs.iter().map(|job| job.len).sum()));
        for jobs in std::mem::take(&mut self.jobs).chunks(GROUP) {
            let mut drafts = Vec::with_capacity(jobs.len());
            let mut folders = BTreeSet::new();
            for (job, made) in jobs.iter().zip(make(jobs)?) {
                match made {
                    Ok(draft) => {
                        drafts.push(draft);
                        folders.extend(job.to.parent());
                    }
                    Err(error) => {
                        self.failed += 1;
                        eprintln!("canis: {}: {error}", shown(&job.from));
                    }
                }
                progress.read(usize::try_from(job.len).unwrap_or(usize::MAX));
            }
            sync_all(&drafts)?;
            self.done += drafts.len();
            drafts.into_iter().try_for_each(Draft::publish_synced)?;
            for folder in folders {
                let synced = File::open(folder).and_then(|folder| folder.sync_all());
                synced.map_err(|error| unreadable(folder, &error))?;
            }
        }
        progress.done();
        Ok(())
    }

    fn tell(&self, what: &str, json: bool) -> Result<ExitCode> {
        if json {
            show::json(&json!({
                what: self.done, "there_already": self.there, "passed_over": self.passed, "failed": self.failed,
            }))?;
        } else {
            let Tree { done, there, passed, failed, .. } = self;
            let rest = [(there, "there already"), (passed, "passed over"), (failed, "failed")];
            let rest: String =
                rest.iter().filter(|(n, _)| **n > 0).map(|(n, what)| format!(", {n} {what}")).collect();
            eprintln!("{} {what}{rest}", show::count(*done as u64, "file"));
        }
        Ok(if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
    }
}

/// Makes the directory with the mode of the other, open to its owner as long as files come into it.
fn make_folder(from: &Path, to: &Path) -> Result<()> {
    if to.is_dir() {
        return Ok(());
    }
    let mode = fs::metadata(from).map_err(|error| unreadable(from, &error))?.mode() | 0o700;
    let made = fs::create_dir_all(to)
        .and_then(|()| fs::set_permissions(to, fs::Permissions::from_mode(mode & 0o777)));
    made.map_err(|error| Error::invalid(format!("cannot make the directory {}: {error}", shown(to))))
}

/// Makes the draft of each job, on all cores.
fn each(jobs: &[Job], make: impl Fn(usize, &Job) -> Result<Draft> + Sync) -> Vec<Result<Draft>> {
    let (next, made) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(jobs.len())));
    let run = || loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(job) = jobs.get(at) else { break };
        let draft = make(at, job);
        lock(&made).push((at, draft));
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..cores.min(jobs.len())).for_each(|_| drop(scope.spawn(run))));
    let mut made = std::mem::take(&mut *lock(&made));
    made.sort_by_key(|(at, _)| *at);
    made.into_iter().map(|(_, draft)| draft).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::invalid(format!("cannot read {}: {error}", shown(path)))
}
