//! C_VerifySignature and its like, where the signature is told before the message; and what version 3.2 asks of a module that
//! works at once and that nobody has validated.

use crate::harness::{PIN, module, pin, refused, user_session};
use crate::keys;
use crate::raw::{call, call_3_2, mechanism};
use cryptoki::context::Function;
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType, ValidationFlagsType};
use pkcs11_sys::*;
use std::ptr::null_mut;

const MESSAGE: &[u8] = b"the quick brown fox jumps over the lazy dog";

/// Mechanisms of every kind with the keys that verify and sign by them.
fn every_kind(session: &Session) -> Vec<(Mechanism<'static>, ObjectHandle, ObjectHandle)> {
    let (rsa, p256, ed25519) = (keys::rsa(session, 2048), keys::p256(session), keys::ed25519(session));
    let secret = [Attribute::ValueLen(32.into())];
    let secret = session.generate_key(&Mechanism::GenericSecretKeyGen, &secret).unwrap();
    let eddsa = cryptoki::mechanism::eddsa::EddsaParams::new(
        cryptoki::mechanism::eddsa::EddsaSignatureScheme::Ed25519,
    );
    vec![
        (Mechanism::Sha256RsaPkcs, rsa.public, rsa.private),
        (Mechanism::EcdsaSha256, p256.public, p256.private),
        (Mechanism::Eddsa(eddsa), ed25519.public, ed25519.private),
        (Mechanism::Sha256Hmac, secret, secret),
    ]
}

/// R93: signatures that are told before their message.
#[test]
fn a_told_signature_is_verified_in_one_piece_and_in_parts() {
    let session = user_session("told signatures");
    for (how, public, private) in every_kind(&session) {
        let signature = session.sign(&how, private, MESSAGE).unwrap();
        session.verify_signature_init(&how, public, &signature).unwrap();
        session.verify_signature(MESSAGE).unwrap();

        session.verify_signature_init(&how, public, &signature).unwrap();
        for part in MESSAGE.chunks(7) {
            session.verify_signature_update(part).unwrap();
        }
        session.verify_signature_final().unwrap();

        let mut wrong = signature.clone();
        wrong[9] ^= 1;
        session.verify_signature_init(&how, public, &wrong).unwrap();
        refused(session.verify_signature(MESSAGE), RvError::SignatureInvalid);
        refused(session.verify_signature(MESSAGE), RvError::OperationNotInitialized);
        session.verify_signature_init(&how, public, &signature).unwrap();
        session.verify_signature_update(b"another message").unwrap();
        refused(session.verify_signature_final(), RvError::SignatureInvalid);
        for wrong in [&signature[1..], &[]] {
            session.verify_signature_init(&how, public, wrong).unwrap();
            refused(session.verify_signature(MESSAGE), RvError::SignatureLenRange);
        }
    }
}

#[test]
fn a_told_signature_is_an_operation_like_others() {
    let session = user_session("told operations");
    let pair = keys::p256(&session);
    let how = Mechanism::EcdsaSha256;
    let signature = session.sign(&how, pair.private, MESSAGE).unwrap();
    let begin = || session.verify_signature_init(&how, pair.public, &signature);

    refused(session.verify_signature(MESSAGE), RvError::OperationNotInitialized);
    refused(session.verify_signature_update(MESSAGE), RvError::OperationNotInitialized);
    refused(session.verify_signature_final(), RvError::OperationNotInitialized);
    refused(session.verify_signature_init(&how, pair.private, &signature), RvError::KeyFunctionNotPermitted);

    // It stands beside C_Verify, and once.
    session.verify_init(&how, pair.public).unwrap();
    begin().unwrap();
    refused(begin(), RvError::OperationActive);
    session.verify_signature(MESSAGE).unwrap();
    session.verify_update(MESSAGE).unwrap();
    session.verify_final(&signature).unwrap();

    // After a part there is no one-piece call.
    begin().unwrap();
    session.verify_signature_update(b"the").unwrap();
    refused(session.verify_signature(MESSAGE), RvError::OperationNotInitialized);

    // What cancels verifications cancels it.
    begin().unwrap();
    assert_eq!(call!(C_SessionCancel(session.handle(), CKF_VERIFY)), CKR_OK);
    refused(session.verify_signature(MESSAGE), RvError::OperationNotInitialized);
    begin().unwrap();
    let none = (null_mut(), 0, null_mut(), 0);
    assert_eq!(call_3_2!(C_VerifySignatureInit(session.handle(), none.0, none.1, none.2, none.3)), CKR_OK);
    refused(session.verify_signature(MESSAGE), RvError::OperationNotInitialized);

    // A login's end ends it.
    begin().unwrap();
    session.logout().unwrap();
    refused(session.verify_signature(MESSAGE), RvError::OperationNotInitialized);
    session.login(UserType::User, Some(&pin(PIN))).unwrap();
}

#[test]
fn told_signatures_at_no_address_are_refused() {
    let session = user_session("told nowhere");
    let pair = keys::p256(&session);
    let how = &mut mechanism(CKM_ECDSA_SHA256);
    let how: *mut cryptoki_sys::CK_MECHANISM = std::ptr::from_mut(how).cast();
    let handle = session.handle();
    let begin = |signature: *mut u8, len| {
        call_3_2!(C_VerifySignatureInit(handle, how, pair.public.handle(), signature, len))
    };
    assert_eq!(begin(null_mut(), 64), CKR_ARGUMENTS_BAD);
    assert_eq!(begin([0; 64].as_mut_ptr(), CK_ULONG::MAX), CKR_ARGUMENTS_BAD);
    assert_eq!(begin([0; 64].as_mut_ptr(), 64), CKR_OK);
    assert_eq!(call_3_2!(C_VerifySignature(handle, null_mut(), 1)), CKR_ARGUMENTS_BAD);
    assert_eq!(call_3_2!(C_VerifySignatureFinal(handle)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(call_3_2!(C_VerifySignatureFinal(CK_SESSION_HANDLE::MAX)), CKR_SESSION_HANDLE_INVALID);
}

/// Nobody has validated this module, and it says so.
#[test]
fn nothing_is_validated() {
    let session = user_session("validated");
    let flags = || session.get_validation_flags(ValidationFlagsType::VALIDATION_OK).unwrap();
    assert_eq!(flags(), 0);
    let pair = keys::p256(&session);
    session.sign(&Mechanism::EcdsaSha256, pair.private, MESSAGE).unwrap();
    assert_eq!(flags(), 0);
    let claim = Attribute::ObjectValidationFlags(3.into());
    let claimed = [Attribute::ValueLen(32.into()), claim.clone()];
    let claimed = session.generate_key(&Mechanism::AesKeyGen, &claimed);
    refused(claimed, RvError::AttributeTypeInvalid);
    refused(session.update_attributes(pair.private, &[claim]), RvError::AttributeTypeInvalid);
    let flags_of = [AttributeType::ObjectValidationFlags];
    assert_eq!(session.get_attributes(pair.private, &flags_of).unwrap(), []);
    let validations = [Attribute::Class(ObjectClass::VALIDATION)];
    assert_eq!(session.find_objects(&validations).unwrap(), []);
    refused(session.create_object(&validations), RvError::AttributeValueInvalid);
    let handle = session.handle();
    assert_eq!(call_3_2!(C_GetSessionValidationFlags(handle, 1, null_mut())), CKR_ARGUMENTS_BAD);
    let mut flags = 7;
    assert_eq!(call_3_2!(C_GetSessionValidationFlags(0, 1, &mut flags)), CKR_SESSION_HANDLE_INVALID);
}

#[test]
fn nothing_is_asynchronous() {
    let session = user_session("asynchronous");
    let (handle, mut place) = (session.handle(), 0);
    let name = c"C_Sign".as_ptr().cast_mut().cast();
    assert_eq!(call_3_2!(C_AsyncComplete(handle, name, null_mut())), CKR_FUNCTION_NOT_SUPPORTED);
    assert_eq!(call_3_2!(C_AsyncGetID(handle, name, &mut place)), CKR_FUNCTION_NOT_SUPPORTED);
    assert_eq!(call_3_2!(C_AsyncJoin(handle, name, 0, null_mut(), 0)), CKR_FUNCTION_NOT_SUPPORTED);
    let slot = session.get_session_info().unwrap().slot_id().id();
    let flags = CKF_SERIAL_SESSION | cryptoki_sys::CKF_ASYNC_SESSION;
    let refusal = call!(C_OpenSession(slot, flags, null_mut(), None, &mut place));
    assert_eq!(refusal, cryptoki_sys::CKR_SESSION_ASYNC_NOT_SUPPORTED);
    assert!(module().is_fn_supported(Function::VerifySignature));
}
