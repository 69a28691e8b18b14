//! Google's Wycheproof vectors through the C interface, on this module and on SoftHSM2.
//!
//! A vector marked `valid` must pass, one marked `invalid` must be refused, `acceptable` may go either way. Skipped is
//! what a module says it does not offer: a mechanism, a key size, a parameter. The test asserts that CANIS fails none
//! and prints the numbers of both, for `scripts/conformance`.
#![allow(unsafe_code)] // Tells the modules by the environment where their stores are.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod asymmetric;
mod derived;
#[allow(dead_code)] // Shared with the other tests of the module; this one starts no programs.
#[path = "../module/home.rs"]
mod home;
mod symmetric;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use home::{Home, PIN, SO_PIN, library};
use std::path::Path;
use wycheproof::TestResult;

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// How the vectors of one set went.
#[derive(Default)]
pub(crate) struct Count {
    passed: usize,
    failed: Vec<String>,
    skipped: usize,
}

impl Count {
    /// Judges one vector: `outcome` is whether the module took it, as the right thing.
    pub(crate) fn judge(&mut self, wanted: TestResult, outcome: Result<bool, Error>, what: &str) {
        let taken = match outcome {
            // What an invalid vector has wrong may well be a parameter.
            Err(Error::Pkcs11(RvError::MechanismParamInvalid, _)) if wanted == TestResult::Invalid => false,
            Err(Error::Pkcs11(code, _)) if not_offered(code) => return self.skipped += 1,
            Ok(taken) => taken,
            Err(_) => false,
        };
        let right = match wanted {
            TestResult::Valid => taken,
            TestResult::Invalid => !taken,
            TestResult::Acceptable => true,
        };
        if right { self.passed += 1 } else { self.failed.push(format!("{what}: {outcome:?}")) }
    }
}

/// Whether a module says with this code that it does not do such a thing at all.
fn not_offered(code: RvError) -> bool {
    matches!(
        code,
        RvError::MechanismInvalid
            | RvError::MechanismParamInvalid
            | RvError::KeySizeRange
            | RvError::CurveNotSupported
            | RvError::AttributeValueInvalid
            | RvError::ArgumentsBad
    )
}

/// A session of a user with a new token of a library.
fn session(library: &Path) -> Session {
    let module = Pkcs11::new(library).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let (so, user) = (AuthPin::from(SO_PIN.to_owned()), AuthPin::from(PIN.to_owned()));
    let label = "vectors";
    module.init_token(*module.get_all_slots().unwrap().last().unwrap(), &so, label).unwrap();
    // SoftHSM2 gives the slot another number with that.
    let slots = module.get_all_slots().unwrap();
    let slot = slots.into_iter().find(|slot| module.get_token_info(*slot).unwrap().label() == label).unwrap();
    let session = module.open_rw_session(slot).unwrap();
    session.login(UserType::So, Some(&so)).unwrap();
    session.init_pin(&user).unwrap();
    session.logout().unwrap();
    session.login(UserType::User, Some(&user)).unwrap();
    session
}

/// A set of vectors: its name, and what runs it.
type Set = (&'static str, fn(&Session) -> Count);

/// Every set, on one module.
fn counts(session: &Session) -> Vec<(&'static str, Count)> {
    let sets: [Set; 11] = [
        ("AES-GCM", symmetric::gcm),
        ("AES-CBC with PKCS#7 padding", symmetric::cbc_pad),
        ("AES-CMAC", symmetric::cmac),
        ("HMAC", symmetric::hmac),
        ("ECDSA", asymmetric::ecdsa),
        ("Ed25519", asymmetric::ed25519),
        ("RSA PKCS#1 v1.5 signatures", asymmetric::pkcs1),
        ("RSA-PSS signatures", asymmetric::pss),
        ("RSA-OAEP decryption", asymmetric::oaep),
        ("ECDH", derived::ecdh),
        ("AES key wrap", derived::key_wrap),
    ];
    sets.into_iter().map(|(name, run)| (name, run(session))).collect()
}

/// R43, R93: no vector goes wrong. Where SoftHSM2 is installed its numbers are printed, too.
#[test]
fn no_vector_of_wycheproof_goes_wrong() {
    let home = Home::new();
    std::fs::create_dir(home.path("tokens")).unwrap();
    let tokens = format!("directories.tokendir = {}\nlog.level = ERROR\n", home.path("tokens").display());
    std::fs::write(home.path("softhsm2.conf"), tokens).unwrap();
    // SAFETY: the only test of this process, before the modules start.
    unsafe {
        std::env::set_var("CANIS_DATA", home.path("data"));
        std::env::set_var("SOFTHSM2_CONF", home.path("softhsm2.conf"));
    }
    let ours = counts(&session(&library()));
    print("CANIS", &ours);
    if !home::is_remote() && Path::new(SOFTHSM).exists() {
        print("SoftHSM2", &counts(&session(Path::new(SOFTHSM))));
    }
    for (name, count) in &ours {
        assert!(count.failed.is_empty(), "{name}: {:#?}", count.failed);
        assert!(count.passed > count.skipped, "{name}: {} passed, {} skipped", count.passed, count.skipped);
    }
}

fn print(module: &str, counts: &[(&str, Count)]) {
    for (name, Count { passed, failed, skipped }) in counts {
        println!("{module}|Wycheproof: {name}|{passed}|{}|{skipped}", failed.len());
    }
}
