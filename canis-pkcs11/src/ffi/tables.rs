//! The function lists, the interfaces, and the three symbols that the library exports.
//!
//! Only these three are exported, and the lists refer to functions that no other library can stand in for: a C_… of
//! another module that was loaded with RTLD_GLOBAL (p11-kit's proxy, pkcs11-spy) would otherwise take the place of ours.

use super::args::{list, place, structure};
use super::combined::*;
use super::crypto::*;
use super::entry::{self, guarded};
use super::keys::*;
use super::lifecycle::{code, host_is_privileged, start, stop};
use super::messages::*;
use super::newest::*;
use super::objects::*;
use super::sessions::*;
use super::slots::*;
use crate::api::general::{CRYPTOKI, InitArgs};
use crate::config::Settings;
use crate::log::Log;
use crate::module::Module;
use crate::rv::{Result, fail};
use crate::version_3_2::CK_FUNCTION_LIST_3_2;
// By name: the crate also declares every C_… as a foreign function, and the lists must not refer to those.
use pkcs11_sys::{
    CK_C_INITIALIZE_ARGS, CK_CHAR, CK_FLAGS, CK_FUNCTION_LIST, CK_FUNCTION_LIST_3_0, CK_INTERFACE, CK_RV,
    CK_ULONG, CK_UTF8CHAR, CK_VERSION, CK_VOID_PTR, CKR_ARGUMENTS_BAD, CKR_FUNCTION_FAILED, CKR_OK,
};
use std::cell::UnsafeCell;
use std::ffi::CStr;

const LEGACY: CK_VERSION = CK_VERSION { major: 2, minor: 40 };
const THIRD: CK_VERSION = CK_VERSION { major: 3, minor: 0 };
const NAME: &CStr = c"PKCS 11";

macro_rules! lists {
    (all: $($name:ident,)+; new: $($new:ident,)+; newest: $($newest:ident,)+;) => {
        static LIST_2_40: CK_FUNCTION_LIST = CK_FUNCTION_LIST { version: LEGACY, $($name: Some($name),)+ };

        static LIST_3_0: CK_FUNCTION_LIST_3_0 = list_3_0(THIRD);

        static LIST_3_2: CK_FUNCTION_LIST_3_2 =
            CK_FUNCTION_LIST_3_2 { list_3_0: list_3_0(CRYPTOKI), $($newest: Some($newest),)+ };

        const fn list_3_0(version: CK_VERSION) -> CK_FUNCTION_LIST_3_0 {
            CK_FUNCTION_LIST_3_0 { version, $($name: Some($name),)+ $($new: Some($new),)+ }
        }
    };
}

lists! {
    all:
        C_Initialize, C_Finalize, C_GetInfo, C_GetFunctionList, C_GetSlotList, C_GetSlotInfo,
        C_GetTokenInfo, C_GetMechanismList, C_GetMechanismInfo, C_InitToken, C_InitPIN, C_SetPIN,
        C_OpenSession, C_CloseSession, C_CloseAllSessions, C_GetSessionInfo, C_GetOperationState,
        C_SetOperationState, C_Login, C_Logout, C_CreateObject, C_CopyObject, C_DestroyObject,
        C_GetObjectSize, C_GetAttributeValue, C_SetAttributeValue, C_FindObjectsInit, C_FindObjects,
        C_FindObjectsFinal, C_EncryptInit, C_Encrypt, C_EncryptUpdate, C_EncryptFinal, C_DecryptInit,
        C_Decrypt, C_DecryptUpdate, C_DecryptFinal, C_DigestInit, C_Digest, C_DigestUpdate, C_DigestKey,
        C_DigestFinal, C_SignInit, C_Sign, C_SignUpdate, C_SignFinal, C_SignRecoverInit, C_SignRecover,
        C_VerifyInit, C_Verify, C_VerifyUpdate, C_VerifyFinal, C_VerifyRecoverInit, C_VerifyRecover,
        C_DigestEncryptUpdate, C_DecryptDigestUpdate, C_SignEncryptUpdate, C_DecryptVerifyUpdate,
        C_GenerateKey, C_GenerateKeyPair, C_WrapKey, C_UnwrapKey, C_DeriveKey, C_SeedRandom,
        C_GenerateRandom, C_GetFunctionStatus, C_CancelFunction, C_WaitForSlotEvent,
    ;
    new:
        C_GetInterfaceList, C_GetInterface, C_LoginUser, C_SessionCancel, C_MessageEncryptInit,
        C_EncryptMessage, C_EncryptMessageBegin, C_EncryptMessageNext, C_MessageEncryptFinal,
        C_MessageDecryptInit, C_DecryptMessage, C_DecryptMessageBegin, C_DecryptMessageNext,
        C_MessageDecryptFinal, C_MessageSignInit, C_SignMessage, C_SignMessageBegin, C_SignMessageNext,
        C_MessageSignFinal, C_MessageVerifyInit, C_VerifyMessage, C_VerifyMessageBegin,
        C_VerifyMessageNext, C_MessageVerifyFinal,
    ;
    newest:
        C_EncapsulateKey, C_DecapsulateKey, C_VerifySignatureInit, C_VerifySignature, C_VerifySignatureUpdate,
        C_VerifySignatureFinal, C_GetSessionValidationFlags, C_AsyncComplete, C_AsyncGetID, C_AsyncJoin,
        C_WrapKeyAuthenticated, C_UnwrapKeyAuthenticated,
    ;
}

/// The interfaces, the newest first: that is the one a host gets that does not say which it wants. They stand in memory
/// that can be written to, because the standard's pointers are not const and OpenSC's pkcs11-spy (up to 0.25) puts its
/// own list into what it is given.
struct Interfaces(UnsafeCell<[CK_INTERFACE; 3]>);

// SAFETY: the module only copies from it and gives out pointers; what hosts do to it is between them.
unsafe impl Sync for Interfaces {}

static INTERFACES: Interfaces = Interfaces(UnsafeCell::new([
    interface((&raw const LIST_3_2) as CK_VOID_PTR),
    interface((&raw const LIST_3_0) as CK_VOID_PTR),
    interface((&raw const LIST_2_40) as CK_VOID_PTR),
]));

/// CKF_INTERFACE_FORK_SAFE would promise that a child goes on with copies of the sessions and logins (section 5.4.4). Here it
/// calls C_Initialize and logs in itself (ADR 0043).
const fn interface(list: CK_VOID_PTR) -> CK_INTERFACE {
    CK_INTERFACE { pInterfaceName: NAME.as_ptr() as *mut CK_CHAR, pFunctionList: list, flags: 0 }
}

const VERSIONS: [CK_VERSION; 3] = [CRYPTOKI, THIRD, LEGACY];

/// Gives the list of functions of version 2.40 (section 5.4.4).
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn C_GetFunctionList(functions: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    guarded(|| {
        // SAFETY: the host's pointer.
        code(unsafe { place(functions) }.map(|at| *at = (&raw const LIST_2_40).cast_mut()))
    })
}

/// Gives the interfaces that the module has (section 5.4.5).
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn C_GetInterfaceList(
    interfaces: *mut CK_INTERFACE,
    count: *mut CK_ULONG,
) -> CK_RV {
    guarded(|| {
        // SAFETY: the interfaces are there for good; the host's pointers.
        code(unsafe { list(&INTERFACES.0.get().read(), interfaces, count) })
    })
}

/// Gives one interface (section 5.4.6); by default the newest.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn C_GetInterface(
    name: *mut CK_UTF8CHAR,
    version: *mut CK_VERSION,
    interface: *mut *mut CK_INTERFACE,
    flags: CK_FLAGS,
) -> CK_RV {
    guarded(|| {
        code((|| {
            // SAFETY: the host's pointers; the name ends with a zero byte.
            let (interface, version, named) = unsafe {
                let named = name.is_null() || CStr::from_ptr(name.cast()) == NAME;
                (place(interface)?, structure(version), named)
            };
            let fits =
                |have: &CK_VERSION| version.is_none_or(|v| (v.major, v.minor) == (have.major, have.minor));
            match VERSIONS.iter().position(fits) {
                Some(at) if named && flags == 0 => {
                    *interface = INTERFACES.0.get().cast::<CK_INTERFACE>().wrapping_add(at);
                    Ok(())
                }
                _ => fail(CKR_FUNCTION_FAILED),
            }
        })())
    })
}

/// Section 5.4.1.
#[allow(non_snake_case)] // The standard's name.
unsafe extern "C" fn C_Initialize(arguments: CK_VOID_PTR) -> CK_RV {
    // SAFETY: the host's pointer.
    guarded(|| code(unsafe { initialize(arguments.cast()) }))
}

unsafe fn initialize(arguments: *const CK_C_INITIALIZE_ARGS) -> Result {
    // SAFETY: the host's pointer.
    if let Some(given) = unsafe { structure(arguments) } {
        let callbacks = [
            given.CreateMutex.is_some(),
            given.DestroyMutex.is_some(),
            given.LockMutex.is_some(),
            given.UnlockMutex.is_some(),
        ];
        InitArgs { callbacks, reserved_is_null: given.pReserved.is_null() }.check()?;
    }
    start(|| {
        let settings = match host_is_privileged() {
            true => Settings::of_a_privileged_host(),
            false => Settings::read(|name| std::env::var_os(name)).map_err(|(log, fail)| {
                crate::module::report(&Log::open(log.as_ref()), "C_Initialize", &fail);
                fail
            })?,
        };
        Module::open(settings)
    })
}

/// Section 5.4.2.
#[allow(non_snake_case)] // The standard's name.
unsafe extern "C" fn C_Finalize(reserved: CK_VOID_PTR) -> CK_RV {
    // The module must be seen to be initialised before its arguments are looked at.
    let ready =
        entry::call("C_Finalize", |_| if reserved.is_null() { Ok(()) } else { fail(CKR_ARGUMENTS_BAD) });
    if ready == CKR_OK { guarded(|| code(stop())) } else { ready }
}
