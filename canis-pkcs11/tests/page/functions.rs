//! Which functions are there: each is called with a session and zeros, and what is not there says so.

use crate::provider::{Provider, call};
use crate::table::{ABSENT, Row};
use cryptoki_sys::CK_FUNCTION_LIST_3_2;
use pkcs11_sys::*;
use std::ffi::c_void;

macro_rules! named {
    ($($name:ident)+) => { &[$(stringify!($name),)+] };
}

/// Every function, in the order of the lists; the first 68 are those of 2.40.
const NAMES: &[&str] = named! {
    C_Initialize C_Finalize C_GetInfo C_GetFunctionList C_GetSlotList C_GetSlotInfo C_GetTokenInfo
    C_GetMechanismList C_GetMechanismInfo C_InitToken C_InitPIN C_SetPIN C_OpenSession C_CloseSession
    C_CloseAllSessions C_GetSessionInfo C_GetOperationState C_SetOperationState C_Login C_Logout C_CreateObject
    C_CopyObject C_DestroyObject C_GetObjectSize C_GetAttributeValue C_SetAttributeValue C_FindObjectsInit
    C_FindObjects C_FindObjectsFinal C_EncryptInit C_Encrypt C_EncryptUpdate C_EncryptFinal C_DecryptInit C_Decrypt
    C_DecryptUpdate C_DecryptFinal C_DigestInit C_Digest C_DigestUpdate C_DigestKey C_DigestFinal C_SignInit C_Sign
    C_SignUpdate C_SignFinal C_SignRecoverInit C_SignRecover C_VerifyInit C_Verify C_VerifyUpdate C_VerifyFinal
    C_VerifyRecoverInit C_VerifyRecover C_DigestEncryptUpdate C_DecryptDigestUpdate C_SignEncryptUpdate
    C_DecryptVerifyUpdate C_GenerateKey C_GenerateKeyPair C_WrapKey C_UnwrapKey C_DeriveKey C_SeedRandom
    C_GenerateRandom C_GetFunctionStatus C_CancelFunction C_WaitForSlotEvent
    C_GetInterfaceList C_GetInterface C_LoginUser C_SessionCancel C_MessageEncryptInit C_EncryptMessage
    C_EncryptMessageBegin C_EncryptMessageNext C_MessageEncryptFinal C_MessageDecryptInit C_DecryptMessage
    C_DecryptMessageBegin C_DecryptMessageNext C_MessageDecryptFinal C_MessageSignInit C_SignMessage
    C_SignMessageBegin C_SignMessageNext C_MessageSignFinal C_MessageVerifyInit C_VerifyMessage
    C_VerifyMessageBegin C_VerifyMessageNext C_MessageVerifyFinal
    C_EncapsulateKey C_DecapsulateKey C_VerifySignatureInit C_VerifySignature C_VerifySignatureUpdate
    C_VerifySignatureFinal C_GetSessionValidationFlags C_AsyncComplete C_AsyncGetID C_AsyncJoin
    C_WrapKeyAuthenticated C_UnwrapKeyAuthenticated
};
const LEGACY: usize = 68;

/// The table's rows.
pub(crate) fn rows(ours: (&Provider, CK_SLOT_ID), theirs: Option<(&Provider, CK_SLOT_ID)>) -> Vec<Row> {
    let states = |(provider, slot): (&Provider, CK_SLOT_ID)| -> Vec<String> {
        let session = provider.open(slot);
        let state = |(name, function)| state(name, function, session).to_owned();
        let states = NAMES.iter().copied().zip(functions(provider)).map(state).collect();
        assert_eq!(call!(provider, C_CloseSession(session)), CKR_OK);
        states
    };
    let (ours, theirs) = (states(ours), theirs.map(states));
    let row = |(at, name): (usize, &&str)| Row {
        name: (*name).to_owned(),
        ours: ours[at].clone(),
        theirs: theirs.as_ref().map_or(ABSENT, |states| &states[at]).to_owned(),
    };
    NAMES.iter().enumerate().map(row).collect()
}

/// A function that is called with more arguments than it has: those it does not know stay where it does not look.
type Any =
    unsafe extern "C" fn(usize, usize, usize, usize, usize, usize, usize, usize, usize, usize) -> CK_RV;

/// The pointers of the newest list.
fn functions(provider: &Provider) -> Vec<Option<Any>> {
    let (first, count) = match provider.newer {
        Some(list) => ((&raw const list.C_Initialize).cast::<Option<Any>>(), NAMES.len()),
        None => ((&raw const provider.list.C_Initialize).cast(), LEGACY),
    };
    assert_eq!(size_of::<CK_FUNCTION_LIST_3_2>(), size_of::<*const c_void>() * (1 + NAMES.len()));
    // SAFETY: both lists are a version and then pointers to functions of the C ABI, as many as counted.
    let there = unsafe { std::slice::from_raw_parts(first, count) };
    let missing = std::iter::repeat_n(None, NAMES.len() - count);
    there.iter().copied().chain(missing).collect()
}

fn state(name: &str, function: Option<Any>, session: CK_SESSION_HANDLE) -> &'static str {
    let Some(function) = function else { return ABSENT };
    let first = match name {
        // Would end the probing; that it works shows at the end of it.
        "C_Finalize" => return "yes",
        "C_WaitForSlotEvent" => CKF_DONT_BLOCK as usize,
        // A slot that is not there: slot 0 is the token's.
        "C_CloseAllSessions" => usize::MAX,
        // Take no session, or would end it.
        "C_Initialize" | "C_GetInfo" | "C_GetFunctionList" | "C_GetSlotList" | "C_GetSlotInfo"
        | "C_GetTokenInfo" | "C_GetMechanismList" | "C_GetMechanismInfo" | "C_InitToken"
        | "C_OpenSession" | "C_CloseSession" | "C_Logout" | "C_GetInterfaceList" | "C_GetInterface" => 0,
        _ => session as usize,
    };
    // SAFETY: every function takes up to ten words, and zeros are NULL, no object and no length.
    match unsafe { function(first, 0, 0, 0, 0, 0, 0, 0, 0, 0) } {
        CKR_FUNCTION_NOT_SUPPORTED => ABSENT,
        CKR_FUNCTION_NOT_PARALLEL => "`CKR_FUNCTION_NOT_PARALLEL`",
        _ => "yes",
    }
}
