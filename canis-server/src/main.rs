//! `canis-server`: see `--help`.
// What a caller or a file can bring about is an error, never a panic.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unimplemented))]
#![forbid(unsafe_code)]

use canis_core::root::{HsmHelper, serve_hsm};
use canis_proto::{Error, Result};
use canis_server::args::{LogFormat, Options};
use canis_server::check::check;
use canis_server::daemon;
use canis_server::generate::{asked, generate};
use clap::Parser;
use std::alloc::System;
use std::process::ExitCode;
use tracing::warn;
use tracing_subscriber::EnvFilter;
use zeroizing_alloc::ZeroAlloc;

/// Freed memory is wiped: requests and answers carry plaintexts and keys through buffers of TLS and of the runtime.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    if std::env::args_os().skip(1).eq([HsmHelper::ARGUMENT]) {
        return serve_hsm();
    }
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(directory) = asked(&arguments) {
        return ended(generate(directory));
    }
    let options = Options::parse();
    if options.check_config {
        return tell(check(options));
    }
    let kept = canis_core::secret::keep_process_private();
    let started = start_log(&options).inspect(|()| {
        if let Err(error) = kept {
            warn!(%error, "a debugger or a core dump may show this process's memory");
        }
    });
    ended(started.and_then(|()| daemon::run(options)))
}

fn ended(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("canis-server: {error}");
            ExitCode::from(3)
        }
    }
}

/// Tells what is wrong, a line each.
fn tell(wrong: Vec<Error>) -> ExitCode {
    wrong.iter().for_each(|error| println!("{error}"));
    if wrong.is_empty() {
        println!("nothing is wrong");
        return ExitCode::SUCCESS;
    }
    ExitCode::from(3)
}

fn start_log(options: &Options) -> Result<()> {
    let filter = EnvFilter::try_new(&options.log)
        .map_err(|error| Error::invalid(format!("`{}` is no log level: {error}", options.log)))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match options.log_format {
        LogFormat::Text => lines.with_ansi(false).init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}
