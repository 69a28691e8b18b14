//! C functions that the module does not have yet. They stand in the lists, because clients call through the lists
//! without looking, and say so.

use super::entry::call;
use crate::rv::fail;
use pkcs11_sys::*;

macro_rules! absent {
    ($(fn $name:ident($($type:ty),* $(,)?);)+) => {
        $(
            #[allow(non_snake_case)] // The standard's name.
            pub(super) unsafe extern "C" fn $name($(_: $type),*) -> CK_RV {
                call(stringify!($name), |_| fail(CKR_FUNCTION_NOT_SUPPORTED))
            }
        )+
    };
}

absent! {
    fn C_MessageEncryptInit(CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE);
    fn C_EncryptMessage(
        CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, *mut CK_BYTE, CK_ULONG, *mut CK_BYTE, CK_ULONG,
        *mut CK_BYTE, *mut CK_ULONG,
    );
    fn C_EncryptMessageBegin(CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, *mut CK_BYTE, CK_ULONG);
    fn C_EncryptMessageNext(
        CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, *mut CK_BYTE, CK_ULONG, *mut CK_BYTE, *mut CK_ULONG,
        CK_FLAGS,
    );
    fn C_MessageEncryptFinal(CK_SESSION_HANDLE);
    fn C_MessageDecryptInit(CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE);
    fn C_DecryptMessage(
        CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, *mut CK_BYTE, CK_ULONG, *mut CK_BYTE, CK_ULONG,
        *mut CK_BYTE, *mut CK_ULONG,
    );
    fn C_DecryptMessageBegin(CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, *mut CK_BYTE, CK_ULONG);
    fn C_DecryptMessageNext(
        CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, *mut CK_BYTE, CK_ULONG, *mut CK_BYTE, *mut CK_ULONG,
        CK_FLAGS,
    );
    fn C_MessageDecryptFinal(CK_SESSION_HANDLE);
    fn C_MessageSignInit(CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE);
    fn C_SignMessage(
        CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, *mut CK_BYTE, CK_ULONG, *mut CK_BYTE, *mut CK_ULONG,
    );
    fn C_SignMessageBegin(CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG);
    fn C_SignMessageNext(
        CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, *mut CK_BYTE, CK_ULONG, *mut CK_BYTE, *mut CK_ULONG,
    );
    fn C_MessageSignFinal(CK_SESSION_HANDLE);
    fn C_MessageVerifyInit(CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE);
    fn C_VerifyMessage(
        CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, *mut CK_BYTE, CK_ULONG, *mut CK_BYTE, CK_ULONG,
    );
    fn C_VerifyMessageBegin(CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG);
    fn C_VerifyMessageNext(
        CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, *mut CK_BYTE, CK_ULONG, *mut CK_BYTE, CK_ULONG,
    );
    fn C_MessageVerifyFinal(CK_SESSION_HANDLE);
}
