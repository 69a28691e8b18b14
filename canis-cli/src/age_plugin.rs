//! `age-plugin-canis`: age starts it, so that its programs encrypt and decrypt with keys that a CANIS server keeps. Where that is
//! stands in CANIS_ADDR, CANIS_CACERT and CANIS_TOKEN, or CANIS_CLIENT_CERT and CANIS_CLIENT_KEY.
// What a caller or a file can bring about is an error, never a panic.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unimplemented))]
#![forbid(unsafe_code)]

use canis_client::file::plugin;
use canis_client::{Config, Shared};
use canis_proto::Result;
use std::alloc::System;
use std::cell::OnceCell;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use zeroizing_alloc::ZeroAlloc;

/// Freed memory is wiped: file keys go through buffers of stdin and stdout.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// What the program ends with when age breaks off, or wants what this plugin does not know.
const FAILED: u8 = 3;

/// And when it is started otherwise than age starts it.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    // Where the kernel says no, the plugin does what it does all the same.
    let _ = canis_core::secret::keep_process_private();
    let machine = std::env::args().nth(1);
    let Some(machine) = machine.as_deref().and_then(|flag| flag.strip_prefix("--age-plugin=")) else {
        eprintln!(
            "age-plugin-canis is started by age: age -r $(canis file recipient NAME), age -d -i IDENTITY-FILE"
        );
        return ExitCode::from(WRONG_USAGE);
    };
    let server = OnceCell::new();
    let reach = || match server.get() {
        Some(server) => Ok(Arc::clone(server)),
        None => connect().map(|connected| Arc::clone(server.get_or_init(|| connected))),
    };
    match plugin::run(machine, io::stdin().lock(), io::stdout().lock(), &reach) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("age-plugin-canis: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn connect() -> Result<Arc<Shared>> {
    Shared::new(&Config::from_environment()?).map(Arc::new)
}
