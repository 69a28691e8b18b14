//! What runs on a thread that must not wait, and what does not (R95): neither the store nor RSA's private operation.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod store;

use canis_core::clock::SystemClock;
use canis_core::datadir::DataDir;
use canis_core::root::Credential;
use canis_core::secret::SecretBytes;
use canis_core::store::at_hand::AtHand;
use canis_core::{Caller, Core, at_once, default_provider};
use canis_proto::message::{CreateKey, Decrypt, Encrypt, Mac, RotateKey, ShowKey, Sign, Verify};
use canis_proto::{ErrorCode, HashName, KeyType, Result};
use std::sync::Arc;
use store::{KEYFILE, Opened, fresh};

/// A store as a server has it, and the same store as another process has it.
struct Served {
    other: Opened,
    core: Core,
    caller: Caller,
}

fn served() -> Served {
    let other = fresh(default_provider());
    let below = DataDir::new(other.dir.path()).open_store().unwrap();
    let core = Core::open(Arc::new(AtHand(below)), default_provider(), Arc::new(SystemClock)).unwrap();
    core.unseal(&Credential::Keyfile(SecretBytes::copied_from(&KEYFILE))).unwrap();
    let caller = core.authenticate(&other.token).unwrap();
    Served { other, core, caller }
}

impl Served {
    fn call<R: canis_core::Run>(&self, request: R) -> Result<R::Answer> {
        self.core.call(&self.caller, request)
    }

    fn at_once<R: canis_core::Run>(&self, request: R) -> Option<Result<R::Answer>> {
        at_once(|| self.call(request))
    }
}

/// A key is read from the store once, where that may wait; from then on nothing is asked of the store, until another
/// process changes it.
#[test]
fn a_key_at_hand_needs_no_store() {
    let served = served();
    served.other.create("aes", KeyType::Aes256);
    served.other.create("ec", KeyType::EcdsaP256);
    assert!(
        served.at_once(Encrypt::new("aes", &b"plain"[..])).is_none(),
        "neither tenant nor key is at hand"
    );
    // Twice: tenant and key, and then whether the tenant still is what was opened.
    served.call(Encrypt::new("aes", &b"plain"[..])).unwrap();
    served.call(Encrypt::new("aes", &b"plain"[..])).unwrap();
    let ciphertext = served.at_once(Encrypt::new("aes", &b"plain"[..])).unwrap().unwrap().ciphertext;
    let decrypt =
        || Decrypt { name: "aes".into(), ciphertext: (&*ciphertext).into(), context: b""[..].into() };
    assert_eq!(served.at_once(decrypt()).unwrap().unwrap().plaintext, b"plain");
    assert!(served.at_once(Sign::new("ec", &b"message"[..])).is_none());
    let signature = served.call(Sign::new("ec", &b"message"[..])).unwrap().signature;
    served.at_once(Sign::new("ec", &b"message"[..])).unwrap().unwrap();
    let verify = Verify::new("ec", &b"message"[..], &*signature);
    assert!(served.at_once(verify).unwrap().unwrap().valid);
    served.other.core.call(&served.other.caller, RotateKey { name: "aes".into(), preview: false }).unwrap();
    assert!(served.at_once(Encrypt::new("aes", &b"plain"[..])).is_none(), "the key at hand is an old one");
    let anew = served.call(Encrypt::new("aes", &b"plain"[..])).unwrap().ciphertext;
    assert!(anew.starts_with("canis:v1:aes:2:"), "{anew}");
    served.at_once(Encrypt::new("aes", &b"plain"[..])).unwrap().unwrap();
}

/// What always asks the store, or takes long, is never done at once; what is refused without either is.
#[test]
fn what_waits_is_not_done_at_once() {
    let served = served();
    served.other.create("rsa", KeyType::Rsa2048);
    served.other.create("mac", KeyType::Generic);
    for _ in 0..2 {
        served.call(Sign::new("rsa", &b"message"[..])).unwrap();
        assert!(served.at_once(Sign::new("rsa", &b"message"[..])).is_none());
        assert!(served.at_once(CreateKey::new("new", KeyType::Aes256)).is_none());
        assert!(served.at_once(ShowKey { name: "rsa".into(), before_version: 0 }).is_none());
        // Even to say that there is none.
        assert!(served.at_once(Encrypt::new("nothing", &b""[..])).is_none());
    }
    let missing = served.call(ShowKey { name: "new".into(), before_version: 0 }).map(drop);
    assert_eq!(missing.unwrap_err().code, ErrorCode::KeyNotFound, "what was refused has not happened");
    let mac = || Mac { name: "mac".into(), message: b"message"[..].into(), hash: HashName::Sha256 };
    // The first MAC of a value is noted in the store before it is shown.
    assert!(served.at_once(mac()).is_none());
    let made = served.call(mac()).unwrap().mac;
    // That was a change of the store, so that what is in memory is looked at again.
    assert!(served.at_once(mac()).is_none());
    assert_eq!(served.call(mac()).unwrap().mac, made);
    assert_eq!(served.at_once(mac()).unwrap().unwrap().mac, made);
    let wrong = served.at_once(Encrypt::new("mac", &b""[..])).unwrap().map(drop);
    assert_eq!(wrong.unwrap_err().code, ErrorCode::OperationNotSupported);
    let nobody = at_once(|| served.core.call(&Caller::anonymous(), Encrypt::new("mac", &b""[..])).map(drop));
    assert_eq!(nobody.unwrap().unwrap_err().code, ErrorCode::Unauthenticated);
}
