//! The server that the targets knock at: a store in a directory of its own, some keys, a bearer who may use but not make
//! them. One for the whole process.

use canis_core::clock::SystemClock;
use canis_core::datadir::DataDir;
use canis_core::root::NewRoot;
use canis_core::secret::SecretBytes;
use canis_core::{default_provider, setup};
use canis_server::fuzzing::Door;
use rcgen::{CertificateParams, KeyPair};
use std::cell::OnceCell;
use std::sync::{Arc, OnceLock};
use tokio::runtime::Runtime;

const ROOT: [u8; 32] = [9; 32];

/// The server.
pub fn door() -> &'static Door {
    static DOOR: OnceLock<Door> = OnceLock::new();
    DOOR.get_or_init(|| {
        // It stays: the process ends when the fuzzer says so, not when a scope does.
        let path = tempfile::tempdir().expect("a temporary directory").keep();
        let dir = DataDir::new(&path);
        let root = NewRoot::Keyfile { key: SecretBytes::copied_from(&ROOT) };
        setup::create(&dir, root, &[], default_provider(), Arc::new(SystemClock)).expect("a new store");
        let key = KeyPair::generate().expect("a key");
        let names = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = names.self_signed(&key).expect("a certificate");
        std::fs::write(dir.cert_path(), certificate.pem()).expect("a file");
        std::fs::write(dir.key_path(), key.serialize_pem()).expect("a file");
        Door::new(&path, &ROOT).expect("a server")
    })
}

/// A runtime whose clock jumps to the next time-out as soon as nothing else is to be done.
pub fn runtime() -> &'static Runtime {
    thread_local! {
        static RUNTIME: OnceCell<&'static Runtime> = const { OnceCell::new() };
    }
    let start = || -> &'static Runtime {
        let built = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        Box::leak(Box::new(built.expect("a runtime")))
    };
    RUNTIME.with(|runtime| *runtime.get_or_init(start))
}
