//! Two operations on one part, and signatures that give back what they sign.

use crate::harness::{refused, user_session};
use crate::keys;
use crate::raw::{call, mechanism};
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::Session;
use pkcs11_sys::*;
use std::ptr::null_mut;

const IV: [u8; 16] = [9; 16];

fn cbc(iv: &mut [u8; 16]) -> CK_MECHANISM {
    CK_MECHANISM { mechanism: CKM_AES_CBC_PAD, pParameter: iv.as_mut_ptr().cast(), ulParameterLen: 16 }
}

/// Calls a function that turns a part into output.
macro_rules! part {
    ($name:ident, $session:expr, $input:expr, $room:expr) => {{
        let (input, mut out, mut len) = ($input.to_vec(), vec![0; $room], $room as CK_ULONG);
        let rv = call!($name(
            $session,
            input.as_ptr().cast_mut(),
            input.len() as CK_ULONG,
            out.as_mut_ptr(),
            &mut len
        ));
        out.truncate(len as usize);
        (rv, out)
    }};
}

fn digest_of(session: CK_SESSION_HANDLE) -> Vec<u8> {
    let (mut digest, mut len) = (vec![0; 32], 32);
    assert_eq!(call!(C_DigestFinal(session, digest.as_mut_ptr(), &mut len)), CKR_OK);
    digest
}

/// What is encrypted is digested and signed as it goes in, what is decrypted as it comes out.
#[test]
fn two_operations_work_on_one_part() {
    let session = user_session("dual");
    let (aes, pair) = (keys::aes(&session, 32), keys::p256(&session));
    let (handle, mut iv, message) = (session.handle(), IV, [7; 100]);
    let expected = session.encrypt(&Mechanism::AesCbcPad(IV), aes, &message).unwrap();
    let digest = session.digest(&Mechanism::Sha256, &message).unwrap();

    assert_eq!(call!(C_DigestInit(handle, &mut mechanism(CKM_SHA256))), CKR_OK);
    assert_eq!(part!(C_DigestEncryptUpdate, handle, message, 112).0, CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(call!(C_EncryptInit(handle, &mut cbc(&mut iv), aes.handle())), CKR_OK);
    // Neither a query nor a small buffer counts for the digest.
    let mut len = 0;
    let input = message.as_ptr().cast_mut();
    assert_eq!(call!(C_DigestEncryptUpdate(handle, input, 100, null_mut(), &mut len)), CKR_OK);
    assert_eq!(part!(C_DigestEncryptUpdate, handle, message, 1).0, CKR_BUFFER_TOO_SMALL);
    let (rv, mut ciphertext) = part!(C_DigestEncryptUpdate, handle, message, 112);
    assert_eq!((rv, ciphertext.len()), (CKR_OK, 96));
    let (mut rest, mut len) = ([0; 16], 16);
    assert_eq!(call!(C_EncryptFinal(handle, rest.as_mut_ptr(), &mut len)), CKR_OK);
    ciphertext.extend_from_slice(&rest[..len as usize]);
    assert_eq!((ciphertext, digest_of(handle)), (expected.clone(), digest));

    assert_eq!(call!(C_DigestInit(handle, &mut mechanism(CKM_SHA256))), CKR_OK);
    assert_eq!(call!(C_DecryptInit(handle, &mut cbc(&mut iv), aes.handle())), CKR_OK);
    let (rv, plaintext) = part!(C_DecryptDigestUpdate, handle, expected, 112);
    assert_eq!((rv, &plaintext[..]), (CKR_OK, &message[..plaintext.len()]));
    assert_eq!(digest_of(handle), session.digest(&Mechanism::Sha256, &plaintext).unwrap());
    let (mut rest, mut len) = ([0; 16], 16);
    assert_eq!(call!(C_DecryptFinal(handle, rest.as_mut_ptr(), &mut len)), CKR_OK);
    assert_eq!(plaintext.len() + len as usize, 100);
    signs_and_verifies(&session, aes.handle(), pair);
}

fn signs_and_verifies(session: &Session, aes: CK_OBJECT_HANDLE, pair: keys::Pair) {
    let (handle, mut iv, message) = (session.handle(), IV, [5; 32]);
    let mut ecdsa = mechanism(CKM_ECDSA_SHA256);
    let mut cbc = CK_MECHANISM { mechanism: CKM_AES_CBC, ..cbc(&mut iv) };
    assert_eq!(call!(C_SignInit(handle, &mut ecdsa, pair.private.handle())), CKR_OK);
    assert_eq!(call!(C_EncryptInit(handle, &mut cbc, aes)), CKR_OK);
    let (rv, ciphertext) = part!(C_SignEncryptUpdate, handle, message, 32);
    assert_eq!((rv, ciphertext.len()), (CKR_OK, 32));
    let (mut signature, mut len) = ([0; 64], 64);
    assert_eq!(call!(C_SignFinal(handle, signature.as_mut_ptr(), &mut len)), CKR_OK);
    assert_eq!(call!(C_EncryptFinal(handle, null_mut(), &mut len)), CKR_OK);
    session.verify(&Mechanism::EcdsaSha256, pair.public, &message, &signature).unwrap();
    assert_eq!(call!(C_SessionCancel(handle, CKF_ENCRYPT)), CKR_OK);

    for (torn, wanted) in [(0, CKR_OK), (1, CKR_SIGNATURE_INVALID)] {
        let mut ciphertext = ciphertext.clone();
        ciphertext[0] ^= torn;
        assert_eq!(call!(C_VerifyInit(handle, &mut ecdsa, pair.public.handle())), CKR_OK);
        assert_eq!(call!(C_DecryptInit(handle, &mut cbc, aes)), CKR_OK);
        assert_eq!(part!(C_DecryptVerifyUpdate, handle, ciphertext, 32).0, CKR_OK);
        assert_eq!(call!(C_VerifyFinal(handle, signature.as_mut_ptr(), 64)), wanted);
        assert_eq!(call!(C_SessionCancel(handle, CKF_DECRYPT)), CKR_OK);
    }
}

fn recovering(session: &Session) -> keys::Pair {
    let public = [Attribute::ModulusBits(2048.into()), Attribute::VerifyRecover(true)];
    keys::pair(session, &Mechanism::RsaPkcsKeyPairGen, &public, &[Attribute::SignRecover(true)])
}

fn sign_recover(
    session: CK_SESSION_HANDLE,
    kind: CK_MECHANISM_TYPE,
    key: u64,
    data: &[u8],
) -> (CK_RV, Vec<u8>) {
    assert_eq!(call!(C_SignRecoverInit(session, &mut mechanism(kind), key)), CKR_OK);
    part!(C_SignRecover, session, data, 256)
}

fn verify_recover(
    session: CK_SESSION_HANDLE,
    kind: CK_MECHANISM_TYPE,
    key: u64,
    data: &[u8],
) -> (CK_RV, Vec<u8>) {
    assert_eq!(call!(C_VerifyRecoverInit(session, &mut mechanism(kind), key)), CKR_OK);
    part!(C_VerifyRecover, session, data, 256)
}

/// RSA gives back what it signed, padded or bare.
#[test]
fn signatures_give_back_what_they_sign() {
    let session = user_session("recover");
    let pair = recovering(&session);
    let (handle, private, public) = (session.handle(), pair.private.handle(), pair.public.handle());
    let (rv, signature) = sign_recover(handle, CKM_RSA_PKCS, private, b"any data");
    assert_eq!(rv, CKR_OK);
    session.verify(&Mechanism::RsaPkcs, pair.public, b"any data", &signature).unwrap();
    assert_eq!(verify_recover(handle, CKM_RSA_PKCS, public, &signature), (CKR_OK, b"any data".to_vec()));

    let mut torn = signature.clone();
    torn[255] ^= 1;
    assert_eq!(verify_recover(handle, CKM_RSA_PKCS, public, &torn).0, CKR_SIGNATURE_INVALID);
    assert_eq!(verify_recover(handle, CKM_RSA_PKCS, public, &torn[1..]).0, CKR_SIGNATURE_LEN_RANGE);
    assert_eq!(sign_recover(handle, CKM_RSA_PKCS, private, &[1; 246]).0, CKR_DATA_LEN_RANGE);

    let mut block = [3; 256];
    block[0] = 0;
    let (rv, signature) = sign_recover(handle, CKM_RSA_X_509, private, &block);
    assert_eq!(rv, CKR_OK);
    assert_eq!(verify_recover(handle, CKM_RSA_X_509, public, &signature), (CKR_OK, block.to_vec()));
    assert_eq!(verify_recover(handle, CKM_RSA_X_509, public, &[0xff; 256]).0, CKR_SIGNATURE_INVALID);
}

/// A key must say that it may, and the mechanism must be able to.
#[test]
fn recovery_is_a_use_of_its_own() {
    let session = user_session("recover refused");
    let (plain, pair) = (keys::rsa(&session, 2048), recovering(&session));
    let handle = session.handle();
    let mut pkcs = mechanism(CKM_RSA_PKCS);
    for (plain, rv) in [
        (call!(C_SignRecoverInit(handle, &mut pkcs, plain.private.handle())), CKR_KEY_FUNCTION_NOT_PERMITTED),
        (
            call!(C_VerifyRecoverInit(handle, &mut pkcs, plain.public.handle())),
            CKR_KEY_FUNCTION_NOT_PERMITTED,
        ),
        (call!(C_SignRecoverInit(handle, &mut mechanism(CKM_SHA256_RSA_PKCS), 1)), CKR_MECHANISM_INVALID),
        (call!(C_SignRecoverInit(handle, &mut mechanism(CKM_ECDSA), 1)), CKR_MECHANISM_INVALID),
        (call!(C_SignRecoverInit(handle, null_mut(), 1)), CKR_ARGUMENTS_BAD),
        (call!(C_SignRecover(handle, null_mut(), 0, null_mut(), &mut 0)), CKR_OPERATION_NOT_INITIALIZED),
    ] {
        assert_eq!(plain, rv);
    }
    let only = keys::pair(
        &session,
        &Mechanism::RsaPkcsKeyPairGen,
        &[Attribute::ModulusBits(2048.into())],
        &[Attribute::SignRecover(true), Attribute::Sign(false)],
    );
    refused(session.sign(&Mechanism::RsaPkcs, only.private, b"x"), RvError::KeyFunctionNotPermitted);
    assert_eq!(sign_recover(handle, CKM_RSA_PKCS, only.private.handle(), b"x").0, CKR_OK);
    // The bare operation decrypts, too, so it needs all of that.
    let bare = sign_recover(handle, CKM_RSA_X_509, only.private.handle(), &[1; 255]).0;
    assert_eq!(bare, CKR_KEY_FUNCTION_NOT_PERMITTED);
    assert_eq!(call!(C_SignRecoverInit(handle, &mut pkcs, pair.private.handle())), CKR_OK);
    assert_eq!(call!(C_SessionCancel(handle, CKF_SIGN_RECOVER)), CKR_OK);
    assert_eq!(part!(C_SignRecover, handle, b"x", 256).0, CKR_OPERATION_NOT_INITIALIZED);
}
