//! CKA_ALWAYS_AUTHENTICATE: a PIN for each operation.

use crate::client::{Client, bytes, no, plain, with, yes};
use crate::harness::{PIN, module, pin, refused, token, user_session};
use crate::home::Home;
use crate::keys;
use crate::raw::{call, mechanism};
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::{Session, UserType};
use pkcs11_sys::*;

fn strict(session: &Session) -> keys::Pair {
    keys::pair(session, &Mechanism::EccKeyPairGen, &[keys::P256], &[Attribute::AlwaysAuthenticate(true)])
}

fn init(session: &Session, key: ObjectHandle) {
    assert_eq!(call!(C_SignInit(session.handle(), &mut mechanism(CKM_ECDSA), key.handle())), CKR_OK);
}

fn sign(session: &Session) -> CK_RV {
    let (mut digest, mut signature, mut len) = ([7; 32], [0; 64], 64);
    call!(C_Sign(session.handle(), digest.as_mut_ptr(), 32, signature.as_mut_ptr(), &mut len))
}

fn context(session: &Session, text: &str) -> Result<(), cryptoki::error::Error> {
    session.login(UserType::ContextSpecific, Some(&pin(text)))
}

/// R93: the PIN comes after C_SignInit, lasts for that operation, and without it nothing is signed.
#[test]
fn each_operation_needs_the_pin() {
    let session = user_session("strict");
    let key = strict(&session).private;
    refused(context(&session, PIN), RvError::OperationNotInitialized);
    init(&session, key);
    assert_eq!(sign(&session), CKR_USER_NOT_LOGGED_IN);
    assert_eq!(sign(&session), CKR_OPERATION_NOT_INITIALIZED, "the refusal ended it");

    init(&session, key);
    refused(context(&session, "0000"), RvError::PinIncorrect);
    context(&session, PIN).unwrap();
    refused(context(&session, PIN), RvError::OperationNotInitialized);
    let mut len = 0;
    let query = call!(C_Sign(session.handle(), [7; 32].as_mut_ptr(), 32, std::ptr::null_mut(), &mut len));
    assert_eq!((query, len), (CKR_OK, 64), "a length query uses nothing up");
    assert_eq!(sign(&session), CKR_OK);
    init(&session, key);
    assert_eq!(sign(&session), CKR_USER_NOT_LOGGED_IN, "the PIN was for the operation before");

    // One that was given and not used is gone with its operation.
    init(&session, key);
    context(&session, PIN).unwrap();
    assert_eq!(call!(C_SessionCancel(session.handle(), CKF_SIGN)), CKR_OK);
    init(&session, key);
    assert_eq!(sign(&session), CKR_USER_NOT_LOGGED_IN);
}

/// In parts, too; other keys of the session need no PIN, and one given for nothing costs nothing.
#[test]
fn parts_need_one_pin_and_other_keys_none() {
    let session = user_session("strict parts");
    let (strict, plain) = (strict(&session).private, keys::p256(&session).private);
    let handle = session.handle();
    assert_eq!(call!(C_SignInit(handle, &mut mechanism(CKM_ECDSA_SHA256), strict.handle())), CKR_OK);
    context(&session, PIN).unwrap();
    let (mut part, mut signature, mut len) = (*b"part", [0; 64], 64);
    for _ in 0..3 {
        assert_eq!(call!(C_SignUpdate(handle, part.as_mut_ptr(), 4)), CKR_OK);
    }
    assert_eq!(call!(C_SignFinal(handle, signature.as_mut_ptr(), &mut len)), CKR_OK);
    init(&session, plain);
    refused(context(&session, PIN), RvError::OperationNotInitialized);
    assert_eq!(sign(&session), CKR_OK);
}

/// Decryption, too; a buffer that is too small does not cost another PIN.
#[test]
fn decryption_needs_the_pin() {
    let session = user_session("strict rsa");
    let always = [Attribute::AlwaysAuthenticate(true)];
    let bits = [Attribute::ModulusBits(2048.into())];
    let pair = keys::pair(&session, &Mechanism::RsaPkcsKeyPairGen, &bits, &always);
    let sha256 = Mechanism::Sha256.mechanism_type();
    let oaep = PkcsOaepParams::new(sha256, PkcsMgfType::MGF1_SHA256, PkcsOaepSource::empty());
    let oaep = Mechanism::RsaPkcsOaep(oaep);
    let ciphertext = session.encrypt(&oaep, pair.public, b"secret").unwrap();
    refused(session.decrypt(&oaep, pair.private, &ciphertext), RvError::UserNotLoggedIn);

    session.decrypt_init(&oaep, pair.private).unwrap();
    context(&session, PIN).unwrap();
    let (mut input, mut plain, mut len) = (ciphertext, [0; 256], 3);
    let mut decrypt = |len: &mut CK_ULONG| {
        let (input, input_len) = (input.as_mut_ptr(), input.len() as CK_ULONG);
        call!(C_Decrypt(session.handle(), input, input_len, plain.as_mut_ptr(), len))
    };
    assert_eq!((decrypt(&mut len), len), (CKR_BUFFER_TOO_SMALL, 256));
    assert_eq!(decrypt(&mut len), CKR_OK);
    assert_eq!(&plain[..len as usize], b"secret");
}

/// Attack: a key that wants a PIN for each use is taken out without one, and used elsewhere. C_WrapKey leaves no moment
/// for the PIN, and reading is no better.
#[test]
fn it_does_not_leave_without_a_pin() {
    let client = Client::new("strict leaves");
    let kwp = plain(CKM_AES_KEY_WRAP_KWP);
    let wrapper = client.aes(32, &[yes(CKA_WRAP), yes(CKA_UNWRAP)]);
    let params = [bytes(CKA_EC_PARAMS, keys::P256.0)];
    for open in [false, true] {
        for on_token in [yes(CKA_TOKEN), no(CKA_TOKEN)] {
            let private = [yes(CKA_ALWAYS_AUTHENTICATE), yes(CKA_EXTRACTABLE), on_token.clone()];
            let params = with(params.to_vec(), [on_token]);
            let sensitive = if open { no(CKA_SENSITIVE) } else { yes(CKA_SENSITIVE) };
            let private = with(private.to_vec(), [sensitive]);
            let (_, strict) = client.pair(CKM_EC_KEY_PAIR_GEN, &params, &private);
            let copy = client.copy(strict, &[]).unwrap();
            for key in [strict, copy] {
                assert_eq!(client.wrap(&kwp, wrapper, key), Err(CKR_USER_NOT_LOGGED_IN));
                assert_eq!(client.read(key, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
            }
        }
    }
    let (_, plain_key) = client.pair(CKM_EC_KEY_PAIR_GEN, &params, &[yes(CKA_EXTRACTABLE)]);
    client.wrap(&kwp, wrapper, plain_key).unwrap();
}

/// The counter is the user PIN's own; who locks it is logged out.
#[test]
fn wrong_pins_count_for_the_user() {
    let slot = token("strict counted");
    let session = module().open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&pin(PIN))).unwrap();
    let key = strict(&session).private;
    init(&session, key);
    refused(context(&session, "0000"), RvError::PinIncorrect);
    assert!(module().get_token_info(slot).unwrap().user_pin_count_low());
    context(&session, PIN).unwrap();
    assert!(!module().get_token_info(slot).unwrap().user_pin_count_low());
    assert_eq!(sign(&session), CKR_OK);
}

/// pkcs11-tool makes such a key and asks for the PIN again.
#[test]
fn pkcs11_tool_gives_the_pin_twice() {
    let home = Home::with_token("strict");
    let key = ["--keypairgen", "--key-type", "EC:prime256v1", "--label", "k", "--id", "01", "--always-auth"];
    home.tool_as_user(&key);
    assert!(home.tool_as_user(&["-O"]).contains("always authenticate"));
    std::fs::write(home.path("message"), "a message").unwrap();
    let sign = ["--sign", "--mechanism", "ECDSA-SHA256", "--id", "01", "-i", "message", "-o", "signature"];
    home.tool_as_user(&sign);
    assert_eq!(std::fs::read(home.path("signature")).unwrap().len(), 64);
}
