//! Stores of earlier formats open and work: their keys decrypt, verify and sign, and take part in what has come since.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod token;

use canis_core::clock::SystemClock;
use canis_core::crypto::SignScheme;
use canis_core::datadir::DataDir;
use canis_core::object::{Class, FindObjects, OpenKey, SignWith, UseToSign, UseToVerify, Wanted};
use canis_core::root::Credential;
use canis_core::token::{ListTokens, Login, Role};
use canis_core::{Caller, Core, default_provider};
use canis_proto::Usage;
use canis_proto::message::{Decrypt, Encrypt, RotateKey, Verify};
use std::path::Path;
use std::sync::Arc;
use token::pin;

/// A core on a copy of a kept store.
fn core(store: &str) -> (tempfile::TempDir, Core) {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/first-light").join(store);
    let dir = tempfile::tempdir().unwrap();
    let place = DataDir::new(dir.path());
    std::fs::copy(kept, place.store_path()).unwrap();
    let store = place.open_store().unwrap();
    let core = Core::open(Arc::new(store), default_provider(), Arc::new(SystemClock)).unwrap();
    (dir, core)
}

const PASSPHRASE: &[u8] = b"N1FlgFJSTo6qPoSLBDGa7hr+UoCJbGp3";
const TOKEN: &str = "canis_awFGz_KeTLKup9jDfiqQ14oYFyYH_Kb5sAfvvDgMGgSyRyPNx8o1ZfDO7kj6ReuI";
const OF_AES: &str = "canis:v1:k/aes:1:coXDIJdKrMkN8ljzgX7cUzE26M+6dgXmw5QDf87A+xc3SoENwnG3TIdRp/6e9A==";
const OF_RSA: &str = "canis:v1:k/rsa:1:bj/YgKCj8fALgxSSPgyf97p7t+6OCqR7zge1q8NaemoWWbv16g46l66cNL5Ov2mnbd02FX0CuwuRyXpg+Ab\
    yi20a0aDuY5BGFKXpjn07OBgQWsYKBOU61sAGkxjnp6/NqcRQFvpNkUQ5UBoye1KOt2deVIt8oGZkwrcjloXRow95iz74tuOWvdp\
    rkhL5DypY95GxQ88Rt39iLgR9NsZAisQMC6HG35RwlRuW6uYzgd4nA/RZLu7/uaPbZt8kqbPPIas1jrPyBMP13YC18W4icPqJBIo\
    75iQzFNgEpIe7zpF7U+UBWqfa4z0jkrtGenQZDcAnSTHO786toj2/twEsTg==";
const OF_EC: &str = "canis:v1:k/ec:1:MEUCIQDOtkkrIcx3Co0y02tznGUOLl0llWCElLntpB+rlco8cgIgQZSqu47ZDkfHMELuH3qtxscfRIgF3PYL\
    NwqPeMyXFiw=";

/// R63, R65: what a server of the first release candidate kept.
#[test]
fn a_servers_store_of_first_light() {
    let (_dir, core) = core("server.sqlite");
    core.unseal(&Credential::Passphrase(pin(PASSPHRASE))).unwrap();
    let caller = core.authenticate(TOKEN).unwrap();
    let opens = |name: &str, ciphertext: &str| {
        let request =
            Decrypt { name: name.into(), ciphertext: ciphertext.into(), context: (&b""[..]).into() };
        core.call(&caller, request).unwrap().plaintext
    };
    assert_eq!(opens("k/aes", OF_AES), b"hello\n");
    assert_eq!(opens("k/rsa", OF_RSA), b"hello\n");
    assert!(core.call(&caller, Verify::new("k/ec", &b"hello\n"[..], OF_EC)).unwrap().valid);

    core.call(&caller, RotateKey { name: "k/aes".into(), preview: false }).unwrap();
    assert_eq!(opens("k/aes", OF_AES), b"hello\n");
    let request = Encrypt {
        name: "k/aes".into(),
        plaintext: (&b"new"[..]).into(),
        context: (&b""[..]).into(),
        version: 0,
    };
    let sealed = core.call(&caller, request).unwrap().ciphertext;
    assert!(sealed.starts_with("canis:v1:k/aes:2:"));
    assert_eq!(opens("k/aes", &sealed), b"new");
}

/// R63, R65: what a PKCS#11 module of the first release candidate kept.
#[test]
fn a_modules_store_of_first_light() {
    let (_dir, core) = core("module.sqlite");
    let application = core.application();
    let tokens = core.call(&Caller::pkcs11_slots(&application), ListTokens).unwrap();
    assert_eq!(tokens[0].label, "mine");
    let caller = Caller::pkcs11(&application, tokens[0].id);
    core.call(&caller, Login { role: Role::User, pin: pin(b"4711-4711").into() }).unwrap();
    let find = |class, label: &[u8]| {
        let wanted = Wanted { class: Some(class), label: Some(label), ..Wanted::default() };
        let found = core.call(&caller, FindObjects { wanted }).unwrap().objects;
        assert_eq!(found.len(), 1);
        found[0].id
    };
    let open = |object, usage| core.call(&caller, OpenKey { object, usage, mechanism: 0 }).unwrap();
    let (private, public) = (find(Class::PrivateKey, b"login"), find(Class::PublicKey, b"login"));
    let mut signature = [0; 64];
    let (scheme, input) = (SignWith::Pair(SignScheme::Ecdsa), &[7; 32]);
    let key = open(private, Usage::SIGN);
    core.call(&caller, UseToSign { key: &key, scheme, input, out: &mut signature }).unwrap();
    let key = open(public, Usage::VERIFY);
    assert!(core.call(&caller, UseToVerify { key: &key, scheme, input, signature: &signature }).unwrap());
    open(find(Class::PrivateKey, b"rsa"), Usage::DECRYPT);
    open(find(Class::SecretKey, b"aes"), Usage::ENCRYPT);
}
