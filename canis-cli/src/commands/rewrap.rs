//! `canis rewrap`: a file of ciphertexts, one a line, becomes one of ciphertexts under the current version.

use crate::args::Connection;
use crate::files::{Draft, Readers};
use crate::progress::Progress;
use crate::{connect, files, show, use_args};
use canis_client::Client;
use canis_proto::message::{MAX_REWRAP, Rewrap};
use canis_proto::{Error, Result};
use serde_json::json;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

/// So many bytes of ciphertexts go into one request, well below what the server takes.
const BATCH: usize = 4 << 20;

/// The longest line: more than any ciphertext that a server makes.
const LONGEST: u64 = 17 << 20;

pub(crate) fn run(connection: &Connection, args: &use_args::Rewrap, json: bool) -> Result<()> {
    let name = args.input.as_deref().map_or("stdin".to_owned(), |path| path.display().to_string());
    let failed = |error: io::Error| Error::invalid(format!("cannot read {name}: {error}"));
    let (input, size): (Box<dyn BufRead>, _) = match &args.input {
        Some(path) => {
            let file = File::open(path).map_err(failed)?;
            let size = file.metadata().map_err(failed)?.len();
            (Box::new(BufReader::new(file)), Some(size))
        }
        None => (Box::new(BufReader::new(io::stdin())), None),
    };
    let mut work = Work {
        client: connect::open(connection)?,
        args,
        draft: args.out.as_deref().map(|out| Draft::beside(out, Readers::Umask)).transpose()?,
        progress: Progress::new(size),
        waiting: Vec::new(),
        lines: 0,
        rewrapped: 0,
    };
    work.all(input, failed)?;
    if let Some(draft) = work.draft.take() {
        draft.publish()?;
    }
    work.progress.done();
    match (json, &args.out) {
        (true, Some(out)) => show::json(&json!({"key": args.name, "rewrapped": work.rewrapped, "out": out})),
        _ => Ok(()),
    }
}

struct Work<'a> {
    client: Client,
    args: &'a use_args::Rewrap,
    /// What is written, unless it goes to stdout.
    draft: Option<Draft>,
    progress: Progress,
    /// Lines that wait for the next request.
    waiting: Vec<String>,
    lines: u64,
    rewrapped: u64,
}

impl Work<'_> {
    fn all(&mut self, mut input: Box<dyn BufRead>, failed: impl Fn(io::Error) -> Error) -> Result<()> {
        let mut size = 0;
        loop {
            let mut line = String::new();
            let read = input.by_ref().take(LONGEST).read_line(&mut line).map_err(&failed)?;
            if read == 0 {
                return self.flush();
            }
            self.progress.read(read);
            size += read;
            self.waiting.push(line);
            if self.waiting.len() == MAX_REWRAP || size >= BATCH {
                self.flush()?;
                size = 0;
            }
        }
    }

    /// Rewraps what waits. Empty lines stay empty lines.
    fn flush(&mut self) -> Result<()> {
        let lines = std::mem::take(&mut self.waiting);
        let texts: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
        let mut items = self.ask(&texts)?.into_iter();
        let mut written = String::new();
        for text in texts {
            self.lines += 1;
            if !text.is_empty() {
                let item =
                    items.next().unwrap_or_else(|| Err(Error::internal("the server answered too little")));
                let line = self.lines;
                written += &item.map_err(|e| Error::new(e.code, format!("line {line}: {}", e.message)))?;
                self.rewrapped += 1;
            }
            written.push('\n');
        }
        match &mut self.draft {
            Some(draft) => draft.write(written.as_bytes()),
            None => files::print(written.as_bytes()),
        }
    }

    fn ask(&mut self, texts: &[&str]) -> Result<Vec<Result<String>>> {
        let ciphertexts: Vec<_> = texts.iter().filter(|t| !t.is_empty()).map(|t| (*t).into()).collect();
        if ciphertexts.is_empty() {
            return Ok(Vec::new());
        }
        let (name, context) = (self.args.name.as_str().into(), self.args.context.as_bytes().into());
        Ok(self.client.call(&Rewrap { name, ciphertexts, context })?.items)
    }
}
