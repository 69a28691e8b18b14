//! Messages by one key (v3.0): each with an IV, a tag or a signature of its own.

use crate::harness::{refused, user_session};
use crate::keys;
use crate::raw::{call, mechanism};
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use pkcs11_sys::*;
use std::ptr::null_mut;

const GCM: CK_ULONG = size_of::<CK_GCM_MESSAGE_PARAMS>() as CK_ULONG;
const CCM: CK_ULONG = size_of::<CK_CCM_MESSAGE_PARAMS>() as CK_ULONG;
const AAD: &[u8] = b"associated";

fn gcm(iv: &mut [u8; 12], tag: &mut [u8; 16], generator: CK_GENERATOR_FUNCTION) -> CK_GCM_MESSAGE_PARAMS {
    CK_GCM_MESSAGE_PARAMS {
        pIv: iv.as_mut_ptr(),
        ulIvLen: 12,
        ulIvFixedBits: 0,
        ivGenerator: generator,
        pTag: tag.as_mut_ptr(),
        ulTagBits: 128,
    }
}

/// Calls C_EncryptMessage or C_DecryptMessage.
macro_rules! message {
    ($name:ident, $session:expr, $parameter:expr, $len:expr, $input:expr) => {{
        let (input, mut out) = ($input.to_vec(), vec![0; $input.len() + 1]);
        let mut len = out.len() as CK_ULONG;
        let (aad, aad_len) = (AAD.as_ptr().cast_mut(), AAD.len() as CK_ULONG);
        let (at, input_len) = (input.as_ptr().cast_mut(), input.len() as CK_ULONG);
        let parameter = (&raw mut $parameter).cast();
        let rv =
            call!($name($session, parameter, $len, aad, aad_len, at, input_len, out.as_mut_ptr(), &mut len));
        out.truncate(if rv == CKR_OK { len as usize } else { 0 });
        (rv, out)
    }};
}

fn init(session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE) {
    assert_eq!(call!(C_MessageEncryptInit(session, &mut mechanism(CKM_AES_GCM), key)), CKR_OK);
    assert_eq!(call!(C_MessageDecryptInit(session, &mut mechanism(CKM_AES_GCM), key)), CKR_OK);
}

/// What the process is told whose configuration has `strict_gcm`.
const STRICT: &str = "CANIS_TEST_STRICT_GCM";

/// R40: `strict_gcm` of the configuration file is obeyed.
#[test]
fn strict_gcm_is_read_from_the_file() {
    let test = ["--exact", "messages::strict_gcm_takes_no_iv_of_the_host"];
    crate::legacy::run_configured("strict_gcm = true\n", STRICT, &test, 1);
}

/// Runs in a process of its own: AES-GCM encrypts under IVs that the module makes, and decrypts under any.
#[test]
fn strict_gcm_takes_no_iv_of_the_host() {
    if std::env::var_os(STRICT).is_none() {
        return;
    }
    let session = user_session("strict");
    let key = keys::aes(&session, 32);
    let mut own = [7; 12];
    let by_host = Mechanism::AesGcm(GcmParams::new(&mut own, AAD, 128.into()).unwrap());
    refused(session.encrypt(&by_host, key, b"message"), RvError::MechanismParamInvalid);
    init(session.handle(), key.handle());
    let (mut iv, mut tag) = ([0; 12], [0; 16]);
    let mut parameter = gcm(&mut iv, &mut tag, CKG_GENERATE);
    let (rv, ciphertext) = message!(C_EncryptMessage, session.handle(), parameter, GCM, b"message");
    assert_eq!(rv, CKR_OK);
    let whole = Mechanism::AesGcm(GcmParams::new(&mut iv, AAD, 128.into()).unwrap());
    let opened = session.decrypt(&whole, key, &[&ciphertext[..], &tag].concat()).unwrap();
    assert_eq!(opened, b"message");
    let mut parameter = gcm(&mut own, &mut tag, CKG_NO_GENERATE);
    let (rv, _) = message!(C_EncryptMessage, session.handle(), parameter, GCM, b"message");
    assert_eq!(rv, CKR_MECHANISM_PARAM_INVALID);
}

/// A record lies as IV ‖ ciphertext in one buffer, and the plaintext is wanted at its beginning: what was given to decrypt by is not
/// written back over it.
#[test]
fn what_is_decrypted_may_lie_where_the_iv_was() {
    let session = user_session("record");
    let key = keys::aes(&session, 32);
    let handle = session.handle();
    init(handle, key.handle());
    let (mut iv, mut tag, plain) = ([0; 12], [0; 16], b"a message of thirty-one bytes ..");
    let mut parameter = gcm(&mut iv, &mut tag, CKG_GENERATE);
    let (rv, ciphertext) = message!(C_EncryptMessage, handle, parameter, GCM, plain);
    assert_eq!(rv, CKR_OK);
    let mut record = [&iv[..], &ciphertext].concat();
    let at = record.as_mut_ptr();
    let mut parameter = CK_GCM_MESSAGE_PARAMS { pIv: at, ..gcm(&mut iv, &mut tag, CKG_NO_GENERATE) };
    let (aad, aad_len, mut len) = (AAD.as_ptr().cast_mut(), AAD.len() as CK_ULONG, record.len() as CK_ULONG);
    let parameter = (&raw mut parameter).cast();
    let input_len = ciphertext.len() as CK_ULONG;
    let input = at.wrapping_add(12);
    let rv = call!(C_DecryptMessage(handle, parameter, GCM, aad, aad_len, input, input_len, at, &mut len));
    assert_eq!((rv, &record[..len as usize]), (CKR_OK, &plain[..]));
}

/// The module makes IV and tag, C_Decrypt agrees with what comes out, and a torn message costs no more than itself.
#[test]
fn messages_have_ivs_and_tags_of_their_own() {
    let session = user_session("messages");
    let key = keys::aes(&session, 32);
    let handle = session.handle();
    init(handle, key.handle());
    let mut ivs = Vec::new();
    for generator in [CKG_GENERATE; 3] {
        let (mut iv, mut tag) = ([0; 12], [0; 16]);
        let mut parameter = gcm(&mut iv, &mut tag, generator);
        let mut len = 0;
        let query = call!(C_EncryptMessage(
            handle,
            (&raw mut parameter).cast(),
            GCM,
            null_mut(),
            0,
            [0; 7].as_mut_ptr(),
            7,
            null_mut(),
            &mut len
        ));
        assert_eq!((query, len, iv), (CKR_OK, 7, [0; 12]), "a query uses no IV up");
        let (rv, ciphertext) = message!(C_EncryptMessage, handle, parameter, GCM, b"message");
        assert_eq!((rv, ciphertext.len()), (CKR_OK, 7));
        assert!(!ivs.contains(&iv) && tag != [0; 16]);
        ivs.push(iv);
        let mut copy = iv;
        let whole = Mechanism::AesGcm(GcmParams::new(&mut copy, AAD, 128.into()).unwrap());
        let plain = session.decrypt(&whole, key, &[&ciphertext[..], &tag].concat()).unwrap();
        assert_eq!(plain, b"message");

        assert_eq!(
            message!(C_DecryptMessage, handle, parameter, GCM, ciphertext),
            (CKR_OK, b"message".to_vec())
        );
        tag[3] ^= 1;
        let mut parameter = gcm(&mut iv, &mut tag, generator);
        assert_eq!(message!(C_DecryptMessage, handle, parameter, GCM, ciphertext).0, CKR_AEAD_DECRYPT_FAILED);
    }
    assert_eq!(call!(C_MessageEncryptFinal(handle)), CKR_OK);
    assert_eq!(call!(C_MessageEncryptFinal(handle)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(call!(C_SessionCancel(handle, CKF_MESSAGE_DECRYPT)), CKR_OK);
    assert_eq!(call!(C_MessageDecryptFinal(handle)), CKR_OPERATION_NOT_INITIALIZED);
}

/// R40: an IV is used once in a message session, wherever it comes from.
#[test]
fn no_iv_is_used_twice() {
    let session = user_session("messages ivs");
    let (handle, key) = (session.handle(), keys::aes(&session, 16).handle());
    init(handle, key);
    let (mut iv, mut tag) = ([5; 12], [0; 16]);
    let mut parameter = gcm(&mut iv, &mut tag, CKG_NO_GENERATE);
    assert_eq!(message!(C_EncryptMessage, handle, parameter, GCM, b"one").0, CKR_OK);
    assert_eq!(message!(C_EncryptMessage, handle, parameter, GCM, b"two").0, CKR_MECHANISM_PARAM_INVALID);
    assert_eq!(iv, [5; 12]);
    let mut parameter = gcm(&mut iv, &mut tag, CKG_GENERATE);
    assert_eq!(message!(C_EncryptMessage, handle, parameter, GCM, b"two").0, CKR_MECHANISM_PARAM_INVALID);

    assert_eq!(call!(C_MessageEncryptFinal(handle)), CKR_OK);
    assert_eq!(call!(C_MessageEncryptInit(handle, &mut mechanism(CKM_AES_GCM), key)), CKR_OK);
    let mut counted = Vec::new();
    for _ in 0..2 {
        let mut parameter =
            CK_GCM_MESSAGE_PARAMS { ulIvFixedBits: 32, ..gcm(&mut iv, &mut tag, CKG_GENERATE_COUNTER) };
        assert_eq!(message!(C_EncryptMessage, handle, parameter, GCM, b"one").0, CKR_OK);
        assert_eq!(iv[..4], [5; 4]);
        counted.push(u64::from_be_bytes(iv[4..].try_into().unwrap()));
    }
    assert_eq!(counted[1], counted[0].wrapping_add(1));
}

/// A message in parts, and CCM, whose message is as long as it announced.
#[test]
fn messages_come_in_parts() {
    let session = user_session("messages parts");
    let (handle, key) = (session.handle(), keys::aes(&session, 32).handle());
    init(handle, key);
    let (mut iv, mut tag) = ([0; 12], [0; 16]);
    let mut parameter = gcm(&mut iv, &mut tag, CKG_GENERATE_RANDOM);
    let at: CK_VOID_PTR = (&raw mut parameter).cast();
    let (mut out, mut len) = ([0; 16], 16);
    assert_eq!(
        call!(C_EncryptMessageNext(handle, at, GCM, null_mut(), 0, out.as_mut_ptr(), &mut len, 0)),
        CKR_OPERATION_NOT_INITIALIZED
    );
    assert_eq!(
        call!(C_EncryptMessageBegin(handle, at, GCM, AAD.as_ptr().cast_mut(), AAD.len() as CK_ULONG)),
        CKR_OK
    );
    assert_eq!(message!(C_EncryptMessage, handle, parameter, GCM, b"x").0, CKR_OPERATION_ACTIVE);
    let mut next = |part: &mut [u8], len: &mut CK_ULONG, flags| {
        let part_len = part.len() as CK_ULONG;
        call!(C_EncryptMessageNext(
            handle,
            at,
            GCM,
            part.as_mut_ptr(),
            part_len,
            out.as_mut_ptr(),
            len,
            flags
        ))
    };
    assert_eq!((next(&mut b"first ".to_vec(), &mut len, 0), len), (CKR_OK, 0));
    assert_eq!(next(&mut b"last".to_vec(), &mut len, CKF_END_OF_MESSAGE), CKR_BUFFER_TOO_SMALL);
    assert_eq!(len, 10);
    assert_eq!(next(&mut b"last".to_vec(), &mut len, CKF_END_OF_MESSAGE), CKR_OK);
    let opened = message!(C_DecryptMessage, handle, parameter, GCM, out[..10]);
    assert_eq!(opened, (CKR_OK, b"first last".to_vec()));

    assert_eq!(call!(C_MessageEncryptFinal(handle)), CKR_OK);
    assert_eq!(call!(C_MessageDecryptFinal(handle)), CKR_OK);
    let mut ccm = CK_CCM_MESSAGE_PARAMS {
        ulDataLen: 7,
        pNonce: iv.as_mut_ptr(),
        ulNonceLen: 12,
        ulNonceFixedBits: 0,
        nonceGenerator: CKG_GENERATE,
        pMAC: tag.as_mut_ptr(),
        ulMACLen: 16,
    };
    assert_eq!(call!(C_MessageEncryptInit(handle, &mut mechanism(CKM_AES_CCM), key)), CKR_OK);
    assert_eq!(call!(C_MessageDecryptInit(handle, &mut mechanism(CKM_AES_CCM), key)), CKR_OK);
    assert_eq!(message!(C_EncryptMessage, handle, parameter, GCM, b"message").0, CKR_MECHANISM_PARAM_INVALID);
    assert_eq!(
        message!(C_EncryptMessage, handle, ccm, CCM, b"longer message").0,
        CKR_MECHANISM_PARAM_INVALID
    );
    let (rv, ciphertext) = message!(C_EncryptMessage, handle, ccm, CCM, b"message");
    assert_eq!(rv, CKR_OK);
    assert_eq!(message!(C_DecryptMessage, handle, ccm, CCM, ciphertext), (CKR_OK, b"message".to_vec()));
}

/// Signatures, one after the other, whole and in parts; a wrong one does not end it.
#[test]
fn messages_are_signed_one_after_the_other() {
    let session = user_session("messages signed");
    let (handle, pair) = (session.handle(), keys::p256(&session));
    let mut how = mechanism(CKM_ECDSA_SHA256);
    assert_eq!(call!(C_MessageSignInit(handle, &mut how, pair.private.handle())), CKR_OK);
    assert_eq!(call!(C_MessageVerifyInit(handle, &mut how, pair.public.handle())), CKR_OK);
    let (mut text, mut signature, mut len) = (*b"a message", [0; 64], 64);
    let at = text.as_mut_ptr();
    for _ in 0..2 {
        assert_eq!(
            call!(C_SignMessage(handle, null_mut(), 0, at, 9, signature.as_mut_ptr(), &mut len)),
            CKR_OK
        );
        session.verify(&Mechanism::EcdsaSha256, pair.public, b"a message", &signature).unwrap();
    }
    let verify = |signature: &mut [u8; 64]| {
        call!(C_VerifyMessage(
            handle,
            null_mut(),
            0,
            b"a message".as_ptr().cast_mut(),
            9,
            signature.as_mut_ptr(),
            64
        ))
    };
    assert_eq!(verify(&mut [1; 64]), CKR_SIGNATURE_INVALID);
    assert_eq!(verify(&mut signature), CKR_OK);

    assert_eq!(call!(C_SignMessageBegin(handle, null_mut(), 0)), CKR_OK);
    assert_eq!(call!(C_SignMessageBegin(handle, null_mut(), 0)), CKR_OPERATION_ACTIVE);
    assert_eq!(call!(C_SignMessageNext(handle, null_mut(), 0, at, 4, null_mut(), null_mut())), CKR_OK);
    let rest = at.wrapping_add(4);
    assert_eq!(call!(C_SignMessageNext(handle, null_mut(), 0, rest, 5, null_mut(), &mut len)), CKR_OK);
    assert_eq!(
        call!(C_SignMessageNext(handle, null_mut(), 0, rest, 5, signature.as_mut_ptr(), &mut len)),
        CKR_OK
    );
    assert_eq!(verify(&mut signature), CKR_OK);
    assert_eq!(call!(C_VerifyMessageBegin(handle, null_mut(), 0)), CKR_OK);
    assert_eq!(call!(C_VerifyMessageNext(handle, null_mut(), 0, at, 4, null_mut(), 0)), CKR_OK);
    assert_eq!(
        call!(C_VerifyMessageNext(handle, null_mut(), 0, rest, 5, signature.as_mut_ptr(), 64)),
        CKR_OK
    );
    assert_eq!(call!(C_MessageSignFinal(handle)), CKR_OK);
    assert_eq!(call!(C_MessageVerifyFinal(handle)), CKR_OK);
    assert_eq!(call!(C_MessageSignFinal(handle)), CKR_OPERATION_NOT_INITIALIZED);
}
