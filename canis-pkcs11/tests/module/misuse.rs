//! Wrong pointers, lengths, handles and orders of calls: exact codes, and operations that end when they must.

use crate::harness::{refused, token, user_session};
use crate::keys;
use crate::raw::{attribute, call, mechanism};
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use pkcs11_sys::*;
use std::ptr::null_mut;

const HUGE: CK_ULONG = CK_ULONG::MAX;

/// A byte string for a C function.
fn bytes(text: &[u8]) -> (*mut CK_BYTE, CK_ULONG) {
    (text.as_ptr().cast_mut(), text.len() as CK_ULONG)
}

#[test]
fn null_where_something_is_needed() {
    let session = user_session("null");
    let (handle, key) = (session.handle(), keys::p256(&session).private.handle());
    let slot = session.get_session_info().unwrap().slot_id().id();
    let mut ecdsa = mechanism(CKM_ECDSA);
    for rv in [
        call!(C_GetInfo(null_mut())),
        call!(C_GetSlotList(CK_TRUE, null_mut(), null_mut())),
        call!(C_GetSlotInfo(slot, null_mut())),
        call!(C_GetTokenInfo(slot, null_mut())),
        call!(C_GetMechanismList(slot, null_mut(), null_mut())),
        call!(C_GetMechanismInfo(slot, CKM_ECDSA, null_mut())),
        call!(C_InitToken(slot + 1000, null_mut(), 4, null_mut())),
        call!(C_OpenSession(slot, CKF_SERIAL_SESSION, null_mut(), None, null_mut())),
        call!(C_GetSessionInfo(handle, null_mut())),
        call!(C_Login(handle, CKU_USER, null_mut(), 4)),
        call!(C_InitPIN(handle, null_mut(), 0)),
        call!(C_SetPIN(handle, null_mut(), 0, null_mut(), 0)),
        call!(C_CreateObject(handle, null_mut(), 0, null_mut())),
        call!(C_CreateObject(handle, null_mut(), 1, &mut 0)),
        call!(C_GetAttributeValue(handle, key, null_mut(), 1)),
        call!(C_GetAttributeValue(handle, key, null_mut(), HUGE)),
        call!(C_SetAttributeValue(handle, key, null_mut(), HUGE)),
        call!(C_GetObjectSize(handle, key, null_mut())),
        call!(C_FindObjectsInit(handle, null_mut(), 1)),
        call!(C_GenerateKey(handle, null_mut(), null_mut(), 0, &mut 0)),
        call!(C_GenerateKey(handle, &mut ecdsa, null_mut(), 0, null_mut())),
        call!(C_GenerateKeyPair(handle, &mut ecdsa, null_mut(), 0, null_mut(), 0, null_mut(), null_mut())),
        call!(C_GenerateRandom(handle, null_mut(), 1)),
        call!(C_SignInit(handle, null_mut(), key)),
        call!(C_DigestInit(handle, null_mut())),
        call!(C_SeedRandom(handle, null_mut(), 1)),
        call!(C_LoginUser(handle, CKU_USER, null_mut(), 4, null_mut(), 0)),
        call!(C_LoginUser(handle, CKU_USER, bytes(b"1234").0, 4, null_mut(), 1)),
        call!(C_WaitForSlotEvent(CKF_DONT_BLOCK, null_mut(), null_mut())),
        call!(C_WaitForSlotEvent(CKF_DONT_BLOCK, &mut 0, (&raw mut ecdsa).cast())),
        call!(C_Finalize((&raw mut ecdsa).cast())),
    ] {
        assert_eq!(rv, CKR_ARGUMENTS_BAD);
    }
    assert_eq!(call!(C_GenerateRandom(handle, null_mut(), 0)), CKR_OK);
    assert_eq!(call!(C_SeedRandom(handle, null_mut(), 0)), CKR_OK);
    assert_eq!(call!(C_Initialize(null_mut())), CKR_CRYPTOKI_ALREADY_INITIALIZED);
}

#[test]
fn handles_that_are_nothing() {
    let session = user_session("handles");
    let handle = session.handle();
    let mut ecdsa = mechanism(CKM_ECDSA);
    for wrong in [0, 1, handle + 1, handle ^ (1 << 40), HUGE] {
        for rv in [
            call!(C_CloseSession(wrong)),
            call!(C_GetSessionInfo(wrong, null_mut())),
            call!(C_Login(wrong, CKU_USER, null_mut(), 0)),
            call!(C_Logout(wrong)),
            call!(C_SignInit(wrong, &mut ecdsa, 1)),
            call!(C_Sign(wrong, null_mut(), 0, null_mut(), null_mut())),
            call!(C_DigestUpdate(wrong, null_mut(), 0)),
            call!(C_FindObjects(wrong, null_mut(), 0, null_mut())),
            call!(C_CreateObject(wrong, null_mut(), 0, null_mut())),
            call!(C_GenerateKey(wrong, null_mut(), null_mut(), 0, null_mut())),
            call!(C_GenerateRandom(wrong, null_mut(), 0)),
            call!(C_SessionCancel(wrong, CKF_SIGN)),
            call!(C_GetFunctionStatus(wrong)),
        ] {
            assert_eq!(rv, CKR_SESSION_HANDLE_INVALID, "{wrong:x}");
        }
    }
    for wrong in [0, 1 << 60, HUGE] {
        assert_eq!(call!(C_SignInit(handle, &mut ecdsa, wrong)), CKR_KEY_HANDLE_INVALID);
        assert_eq!(call!(C_DestroyObject(handle, wrong)), CKR_OBJECT_HANDLE_INVALID);
        assert_eq!(call!(C_GetAttributeValue(handle, wrong, null_mut(), 0)), CKR_OBJECT_HANDLE_INVALID);
        assert_eq!(call!(C_GetSlotInfo(wrong | 1 << 50, null_mut())), CKR_SLOT_ID_INVALID);
        assert_eq!(call!(C_CloseAllSessions(wrong | 1 << 50)), CKR_SLOT_ID_INVALID);
    }
    // A key of another token is no key here.
    let other = user_session("elsewhere");
    let foreign = keys::p256(&other).private;
    assert_eq!(call!(C_SignInit(handle, &mut ecdsa, foreign.handle())), CKR_KEY_HANDLE_INVALID);
    assert_eq!(call!(C_GetFunctionStatus(handle)), CKR_FUNCTION_NOT_PARALLEL);
    assert_eq!(call!(C_CancelFunction(handle)), CKR_FUNCTION_NOT_PARALLEL);
    let mut opened = 0;
    let slot = session.get_session_info().unwrap().slot_id().id();
    assert_eq!(
        call!(C_OpenSession(slot, CKF_RW_SESSION, null_mut(), None, &mut opened)),
        CKR_SESSION_PARALLEL_NOT_SUPPORTED
    );
}

/// Length queries and short buffers leave the operation active; everything else that ends a call ends it.
#[test]
fn the_two_call_pattern() {
    let session = user_session("twice");
    let pair = keys::p256(&session);
    let (handle, key) = (session.handle(), pair.private.handle());
    let (data, len) = bytes(b"message");
    let (mut out, mut room) = ([0u8; 64], 0);
    let mut hashed = mechanism(CKM_ECDSA_SHA256);

    assert_eq!(call!(C_SignInit(handle, &mut hashed, key)), CKR_OK);
    assert_eq!(call!(C_SignInit(handle, &mut hashed, key)), CKR_OPERATION_ACTIVE);
    assert_eq!(call!(C_Sign(handle, data, len, null_mut(), &mut room)), CKR_OK);
    assert_eq!(room, 64);
    room = 63;
    assert_eq!(call!(C_Sign(handle, data, len, out.as_mut_ptr(), &mut room)), CKR_BUFFER_TOO_SMALL);
    assert_eq!(room, 64);
    assert_eq!(call!(C_Sign(handle, data, len, out.as_mut_ptr(), &mut room)), CKR_OK);
    assert_eq!(call!(C_Sign(handle, data, len, out.as_mut_ptr(), &mut room)), CKR_OPERATION_NOT_INITIALIZED);
    session.verify(&Mechanism::EcdsaSha256, pair.public, b"message", &out).unwrap();

    assert_eq!(call!(C_SignInit(handle, &mut hashed, key)), CKR_OK);
    assert_eq!(call!(C_SignUpdate(handle, data, len)), CKR_OK);
    assert_eq!(call!(C_SignFinal(handle, null_mut(), &mut room)), CKR_OK);
    room = 1;
    assert_eq!(call!(C_SignFinal(handle, out.as_mut_ptr(), &mut room)), CKR_BUFFER_TOO_SMALL);
    assert_eq!(call!(C_SignFinal(handle, out.as_mut_ptr(), &mut room)), CKR_OK);
    session.verify(&Mechanism::EcdsaSha256, pair.public, b"message", &out).unwrap();

    // A wrong argument in the last call ends the operation (section 5.13.2), and so does C_Sign after C_SignUpdate.
    assert_eq!(call!(C_SignInit(handle, &mut hashed, key)), CKR_OK);
    assert_eq!(call!(C_Sign(handle, data, len, out.as_mut_ptr(), null_mut())), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(C_SignInit(handle, &mut hashed, key)), CKR_OK);
    assert_eq!(call!(C_SignUpdate(handle, data, len)), CKR_OK);
    assert_eq!(call!(C_Sign(handle, data, len, out.as_mut_ptr(), &mut room)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(call!(C_SignInit(handle, &mut hashed, key)), CKR_OK);
    assert_eq!(call!(C_SignUpdate(handle, null_mut(), 1)), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(C_SignFinal(handle, out.as_mut_ptr(), &mut room)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(call!(C_SignInit(handle, &mut hashed, key)), CKR_OK);
    assert_eq!(call!(C_Sign(handle, data, HUGE, out.as_mut_ptr(), &mut room)), CKR_ARGUMENTS_BAD);
}

/// (NULL, 0) is the empty message everywhere.
#[test]
fn the_empty_message_may_be_null() {
    let session = user_session("empty");
    let pair = keys::rsa(&session, 2048);
    let (handle, mut out, mut len) = (session.handle(), [0u8; 256], 256);
    let mut how = mechanism(CKM_SHA256_RSA_PKCS);
    assert_eq!(call!(C_SignInit(handle, &mut how, pair.private.handle())), CKR_OK);
    assert_eq!(call!(C_Sign(handle, null_mut(), 0, out.as_mut_ptr(), &mut len)), CKR_OK);
    assert_eq!(call!(C_VerifyInit(handle, &mut how, pair.public.handle())), CKR_OK);
    assert_eq!(call!(C_Verify(handle, null_mut(), 0, out.as_mut_ptr(), len)), CKR_OK);
    let mut sha = mechanism(CKM_SHA256);
    assert_eq!(call!(C_DigestInit(handle, &mut sha)), CKR_OK);
    assert_eq!(call!(C_DigestUpdate(handle, null_mut(), 0)), CKR_OK);
    assert_eq!(call!(C_DigestFinal(handle, out.as_mut_ptr(), &mut len)), CKR_OK);
    assert_eq!(out[..4], [0xe3, 0xb0, 0xc4, 0x42]);
}

/// Input and output in the same memory; a plaintext buffer that fits exactly; queries for decryption that decrypt
/// nothing.
#[test]
fn encryption_in_place_and_exact_buffers() {
    let session = user_session("inplace");
    let key = keys::aes(&session, 32).handle();
    let handle = session.handle();
    let mut iv = [1u8; 12];
    let mut params = CK_GCM_PARAMS {
        pIv: iv.as_mut_ptr(),
        ulIvLen: 12,
        ulIvBits: 96,
        pAAD: null_mut(),
        ulAADLen: 0,
        ulTagBits: 128,
    };
    let mut gcm = CK_MECHANISM {
        mechanism: CKM_AES_GCM,
        pParameter: (&raw mut params).cast(),
        ulParameterLen: size_of_val(&params) as CK_ULONG,
    };
    let mut buffer = *b"a message of 32 bytes, no less..................";
    let (at, mut len) = (buffer.as_mut_ptr(), 48);
    assert_eq!(call!(C_EncryptInit(handle, &mut gcm, key)), CKR_OK);
    assert_eq!(call!(C_Encrypt(handle, at, 32, at, &mut len)), CKR_OK);
    assert_eq!(len, 48);
    assert_ne!(&buffer[..9], b"a message");

    assert_eq!(call!(C_DecryptInit(handle, &mut gcm, key)), CKR_OK);
    assert_eq!(call!(C_Decrypt(handle, at, 48, null_mut(), &mut len)), CKR_OK);
    assert_eq!(len, 32);
    len = 31;
    assert_eq!(call!(C_Decrypt(handle, at, 48, at, &mut len)), CKR_BUFFER_TOO_SMALL);
    assert_eq!(call!(C_Decrypt(handle, at, 48, at, &mut len)), CKR_OK);
    assert_eq!(&buffer[..32], b"a message of 32 bytes, no less..");

    gcm.ulParameterLen -= 1;
    assert_eq!(call!(C_EncryptInit(handle, &mut gcm, key)), CKR_MECHANISM_PARAM_INVALID);
    gcm.pParameter = null_mut();
    assert_eq!(call!(C_EncryptInit(handle, &mut gcm, key)), CKR_MECHANISM_PARAM_INVALID);
    let mut unknown = mechanism(CKM_DES3_CBC);
    assert_eq!(call!(C_EncryptInit(handle, &mut unknown, key)), CKR_MECHANISM_INVALID);
}

/// RSA-OAEP into a buffer of just the plaintext's size, which only the decryption can tell.
#[test]
fn oaep_into_a_buffer_that_just_fits() {
    let session = user_session("justfits");
    let pair = keys::rsa(&session, 2048);
    let handle = session.handle();
    let mut params = CK_RSA_PKCS_OAEP_PARAMS {
        hashAlg: CKM_SHA256,
        mgf: CKG_MGF1_SHA256,
        source: 0,
        pSourceData: null_mut(),
        ulSourceDataLen: 0,
    };
    let mut oaep = CK_MECHANISM {
        mechanism: CKM_RSA_PKCS_OAEP,
        pParameter: (&raw mut params).cast(),
        ulParameterLen: size_of_val(&params) as CK_ULONG,
    };
    let ((data, len), mut sealed, mut room) = (bytes(b"plain"), [0u8; 256], 256);
    assert_eq!(call!(C_EncryptInit(handle, &mut oaep, pair.public.handle())), CKR_OK);
    assert_eq!(call!(C_Encrypt(handle, data, len, sealed.as_mut_ptr(), &mut room)), CKR_OK);
    let mut plain = [0u8; 5];
    assert_eq!(call!(C_DecryptInit(handle, &mut oaep, pair.private.handle())), CKR_OK);
    assert_eq!(call!(C_Decrypt(handle, sealed.as_mut_ptr(), 256, null_mut(), &mut room)), CKR_OK);
    assert!(room >= 5);
    room = 4;
    assert_eq!(
        call!(C_Decrypt(handle, sealed.as_mut_ptr(), 256, plain.as_mut_ptr(), &mut room)),
        CKR_BUFFER_TOO_SMALL
    );
    assert_eq!(room, 5);
    assert_eq!(call!(C_Decrypt(handle, sealed.as_mut_ptr(), 256, plain.as_mut_ptr(), &mut room)), CKR_OK);
    assert_eq!(&plain, b"plain");
}

/// A host that asks for the length of an update's output, gets nothing to wait for, and passes NULL again.
#[test]
fn updates_tell_an_upper_bound() {
    let session = user_session("bound");
    let key = keys::aes(&session, 16).handle();
    let handle = session.handle();
    let mut iv = [1u8; 12];
    let mut params = CK_GCM_PARAMS {
        pIv: iv.as_mut_ptr(),
        ulIvLen: 12,
        ulIvBits: 96,
        pAAD: null_mut(),
        ulAADLen: 0,
        ulTagBits: 128,
    };
    let mut gcm = CK_MECHANISM {
        mechanism: CKM_AES_GCM,
        pParameter: (&raw mut params).cast(),
        ulParameterLen: size_of_val(&params) as CK_ULONG,
    };
    let ((data, len), mut out, mut room) = (bytes(b"part"), [0u8; 64], 0);
    assert_eq!(call!(C_EncryptInit(handle, &mut gcm, key)), CKR_OK);
    assert_eq!(call!(C_EncryptUpdate(handle, data, len, null_mut(), &mut room)), CKR_OK);
    assert_eq!(room, 4);
    assert_eq!(call!(C_EncryptUpdate(handle, data, len, out.as_mut_ptr(), &mut room)), CKR_OK);
    assert_eq!(room, 0);
    assert_eq!(call!(C_EncryptFinal(handle, null_mut(), &mut room)), CKR_OK);
    assert_eq!(room, 20);
    assert_eq!(call!(C_EncryptFinal(handle, out.as_mut_ptr(), &mut room)), CKR_OK);
}

#[test]
fn operations_out_of_order() {
    let session = user_session("order");
    let handle = session.handle();
    let mut len = 0;
    for rv in [
        call!(C_Encrypt(handle, null_mut(), 0, null_mut(), &mut len)),
        call!(C_EncryptUpdate(handle, null_mut(), 0, null_mut(), &mut len)),
        call!(C_EncryptFinal(handle, null_mut(), &mut len)),
        call!(C_Decrypt(handle, null_mut(), 0, null_mut(), &mut len)),
        call!(C_DecryptUpdate(handle, null_mut(), 0, null_mut(), &mut len)),
        call!(C_DecryptFinal(handle, null_mut(), &mut len)),
        call!(C_Digest(handle, null_mut(), 0, null_mut(), &mut len)),
        call!(C_DigestUpdate(handle, null_mut(), 0)),
        call!(C_DigestKey(handle, 1)),
        call!(C_DigestFinal(handle, null_mut(), &mut len)),
        call!(C_Sign(handle, null_mut(), 0, null_mut(), &mut len)),
        call!(C_SignUpdate(handle, null_mut(), 0)),
        call!(C_SignFinal(handle, null_mut(), &mut len)),
        call!(C_Verify(handle, null_mut(), 0, null_mut(), 0)),
        call!(C_VerifyUpdate(handle, null_mut(), 0)),
        call!(C_VerifyFinal(handle, null_mut(), 0)),
        call!(C_FindObjects(handle, null_mut(), 0, &mut len)),
        call!(C_FindObjectsFinal(handle)),
    ] {
        assert_eq!(rv, CKR_OPERATION_NOT_INITIALIZED);
    }
    assert_eq!(call!(C_FindObjectsInit(handle, null_mut(), 0)), CKR_OK);
    assert_eq!(call!(C_FindObjectsInit(handle, null_mut(), 0)), CKR_OPERATION_ACTIVE);
    assert_eq!(call!(C_FindObjects(handle, null_mut(), 0, &mut len)), CKR_OK);
    assert_eq!(call!(C_FindObjectsFinal(handle)), CKR_OK);

    // Two kinds at a time, and both ways to cancel.
    let (mut sha, mut ecdsa) = (mechanism(CKM_SHA256), mechanism(CKM_ECDSA));
    let key = keys::p256(&session).private.handle();
    assert_eq!(call!(C_DigestInit(handle, &mut sha)), CKR_OK);
    assert_eq!(call!(C_SignInit(handle, &mut ecdsa, key)), CKR_OK);
    assert_eq!(call!(C_SignInit(handle, null_mut(), 0)), CKR_OK);
    assert_eq!(call!(C_SignUpdate(handle, null_mut(), 0)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(call!(C_DigestUpdate(handle, null_mut(), 0)), CKR_OK);
    assert_eq!(call!(C_SessionCancel(handle, CKF_DIGEST | CKF_SIGN)), CKR_OK);
    assert_eq!(call!(C_DigestUpdate(handle, null_mut(), 0)), CKR_OPERATION_NOT_INITIALIZED);
    // A logout ends what is done with keys.
    assert_eq!(call!(C_SignInit(handle, &mut ecdsa, key)), CKR_OK);
    session.logout().unwrap();
    assert_eq!(call!(C_SignUpdate(handle, null_mut(), 0)), CKR_OPERATION_NOT_INITIALIZED);
}

#[test]
fn templates_with_wrong_bytes() {
    let session = user_session("templates");
    let handle = session.handle();
    let (mut yes, mut class, mut two, mut object) = (CK_TRUE, CKO_DATA, 2u8, 0);
    let mut create = |template: &mut [CK_ATTRIBUTE]| {
        call!(C_CreateObject(handle, template.as_mut_ptr(), template.len() as CK_ULONG, &mut object))
    };
    assert_eq!(create(&mut [attribute(CKA_CLASS, &mut yes)]), CKR_ATTRIBUTE_VALUE_INVALID);
    let data = attribute(CKA_CLASS, &mut class);
    assert_eq!(create(&mut [data, attribute(CKA_PRIVATE, &mut two)]), CKR_ATTRIBUTE_VALUE_INVALID);
    assert_eq!(create(&mut [data, attribute(CKA_TOKEN, &mut class)]), CKR_ATTRIBUTE_VALUE_INVALID);
    assert_eq!(create(&mut [data, attribute(CKA_SIGN, &mut yes)]), CKR_ATTRIBUTE_TYPE_INVALID);
    assert_eq!(create(&mut [data, attribute(CKA_VENDOR_DEFINED | 1, &mut yes)]), CKR_ATTRIBUTE_TYPE_INVALID);
    assert_eq!(create(&mut [data, attribute(CKA_UNIQUE_ID, &mut yes)]), CKR_ATTRIBUTE_READ_ONLY);
    let null = CK_ATTRIBUTE { type_: CKA_LABEL, pValue: null_mut(), ulValueLen: 5 };
    assert_eq!(create(&mut [data, null]), CKR_ARGUMENTS_BAD);
    let huge = CK_ATTRIBUTE { ulValueLen: HUGE, ..data };
    assert_eq!(create(&mut [huge]), CKR_ARGUMENTS_BAD);
    let empty = CK_ATTRIBUTE { type_: CKA_LABEL, pValue: null_mut(), ulValueLen: 0 };
    assert_eq!(create(&mut [data, data, empty]), CKR_OK);

    // A short buffer says so for itself and leaves the others alone.
    let (mut small, mut found) = (0u8, CKO_CERTIFICATE);
    let mut template = [attribute(CKA_UNIQUE_ID, &mut small), attribute(CKA_CLASS, &mut found)];
    assert_eq!(call!(C_GetAttributeValue(handle, object, template.as_mut_ptr(), 2)), CKR_BUFFER_TOO_SMALL);
    assert_eq!((template[0].ulValueLen, found), (CK_UNAVAILABLE_INFORMATION, CKO_DATA));
}

/// C_CloseAllSessions closes the sessions of its slot and no others.
#[test]
fn all_sessions_of_a_slot_are_closed() {
    let (one, other) = (user_session("one"), user_session("other"));
    let slot = one.get_session_info().unwrap().slot_id().id();
    assert_eq!(call!(C_CloseAllSessions(slot)), CKR_OK);
    refused(one.get_session_info(), RvError::SessionHandleInvalid);
    other.get_session_info().unwrap();
    let _ = token("another");
}
