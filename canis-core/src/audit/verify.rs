//! `audit.verify`: whether the log is what was written, whoever could have changed it meanwhile; and the lines themselves.

use super::head::Head;
use super::keys::AuditKeys;
use super::read::{self, Broken, Reader};
use super::recover::is_of_host;
use super::signing::HsmKeys;
use crate::store::Store;
use canis_proto::{Id, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// How many files there are.
    pub files: u64,
    /// How many lines are right.
    pub lines: u64,
    /// Where it is not what was written: the first place of each writer.
    pub broken: Vec<Broken>,
    /// What is no fault, but worth knowing.
    pub notes: Vec<String>,
}

/// Reads the whole log.
pub(crate) fn verify(
    store: &dyn Store,
    keys: &AuditKeys,
    hsm: &HsmKeys<'_>,
    folder: &Path,
) -> Result<AuditReport> {
    // The store's rows first: what is written meanwhile is more than they say, never less.
    let (mut heads, mut report) = heads(store, keys)?;
    let files = read::files(folder)?;
    let none = BTreeMap::new();
    let (host, all) = (store.host(), heads.len());
    heads.retain(|writer, head| is_of_host(host, Some(head), files.get(writer).unwrap_or(&none)));
    if all > heads.len() {
        let others = all - heads.len();
        let note =
            format!("{others} writers of this store have their files on other hosts; verify them there");
        report.notes.push(note);
    }
    let reader = Reader { keys: Some(keys), hsm: Some(hsm) };
    let (mut by_hsm, mut by_store) = (0, 0);
    let writers: BTreeSet<Id> = heads.keys().chain(files.keys()).copied().collect();
    for writer in writers {
        let head = heads.get(&writer);
        let own: &BTreeMap<u32, PathBuf> = files.get(&writer).unwrap_or(&none);
        let mut lines = 0;
        let found = read::writer(&reader, writer, own, head, |_| lines += 1)?;
        let counts = found.signatures.counts();
        by_hsm += counts.0;
        by_store += counts.1;
        report.files += own.len() as u64;
        report.lines += lines;
        report.notes.extend(found.notes);
        if found.broken.is_none() && head.is_none() && lines > 0 {
            let name = own.values().next().and_then(|path| path.file_name()).unwrap_or_default();
            let note = "was written while the store was sealed, to its end; nothing vouches for it";
            report.notes.push(format!("{} {note}", name.to_string_lossy()));
        }
        report.broken.extend(found.broken.map(|broken| match broken.file.is_empty() {
            true => {
                Broken { why: format!("every file of the writer {writer} is gone: {}", broken.why), ..broken }
            }
            false => broken,
        }));
    }
    report.notes.extend(told_signers(by_hsm, by_store));
    Ok(report)
}

/// Whose keys have signed the files that were ended.
fn told_signers(by_hsm: u64, by_store: u64) -> Option<String> {
    match (by_hsm, by_store) {
        (0, 0) => None,
        (0, files) => Some(format!("{files} files that were ended are signed by the store's own key")),
        (files, 0) => Some(format!("{files} files that were ended are signed by the HSM")),
        (hsm, store) => Some(format!(
            "{hsm} files that were ended are signed by the HSM, {store} by the store's own key alone"
        )),
    }
}

fn heads(store: &dyn Store, keys: &AuditKeys) -> Result<(BTreeMap<Id, Head>, AuditReport)> {
    let (mut heads, mut report) = (BTreeMap::new(), AuditReport::default());
    for row in store.audit_heads()? {
        match Head::read(keys, &row) {
            Ok(head) => drop(heads.insert(row.writer, head)),
            Err(error) => {
                report.broken.push(Broken { file: String::new(), line: 0, why: error.message });
            }
        }
    }
    Ok((heads, report))
}
