//! The module through its function list, as a C program sees it.

use crate::harness::{library, module};
use pkcs11_sys::*;
use std::ffi::{CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::ptr::null_mut;
use std::sync::OnceLock;

/// An exported symbol of the library.
pub(crate) fn symbol(name: &str) -> Option<*mut c_void> {
    let path = CString::new(library().as_os_str().as_bytes()).unwrap();
    let name = CString::new(name).unwrap();
    // SAFETY: both strings end with a zero byte; the library stays loaded.
    let found = unsafe { libc::dlsym(libc::dlopen(path.as_ptr(), libc::RTLD_NOW), name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// The 3.0 list of the module, initialised.
pub(crate) fn functions() -> &'static CK_FUNCTION_LIST_3_0 {
    static LIST: OnceLock<&'static CK_FUNCTION_LIST_3_0> = OnceLock::new();
    module();
    LIST.get_or_init(|| {
        let (rv, interface) = interface(None, None, 0);
        assert_eq!(rv, CKR_OK);
        // SAFETY: the default interface begins as the 3.0 list does, as `lists_have_no_holes` checks.
        unsafe { &*(*interface).pFunctionList.cast() }
    })
}

/// The 3.2 list of the module, initialised, as another header has it.
pub(crate) fn newest() -> &'static cryptoki_sys::CK_FUNCTION_LIST_3_2 {
    let list: *const _ = functions();
    // SAFETY: the default interface is the 3.2 list, as `interfaces_are_the_ones_asked_for` checks.
    unsafe { &*list.cast() }
}

/// C_GetInterface.
pub(crate) fn interface(
    name: Option<&[u8]>,
    version: Option<(u8, u8)>,
    flags: CK_FLAGS,
) -> (CK_RV, *mut CK_INTERFACE) {
    type Get = unsafe extern "C" fn(*const u8, *mut CK_VERSION, *mut *mut CK_INTERFACE, CK_FLAGS) -> CK_RV;
    // SAFETY: the symbol is this function.
    let get: Get = unsafe { std::mem::transmute(symbol("C_GetInterface").unwrap()) };
    let mut version = version.map(|(major, minor)| CK_VERSION { major, minor });
    let version = version.as_mut().map_or(null_mut(), std::ptr::from_mut);
    let mut found = null_mut();
    // SAFETY: pointers to live values, a name that ends with a zero byte.
    let rv = unsafe { get(name.map_or(null_mut(), |n| n.as_ptr().cast_mut()), version, &mut found, flags) };
    (rv, found)
}

/// Calls a function of the list.
macro_rules! call {
    ($name:ident($($arg:expr),* $(,)?)) => {{
        let function = $crate::raw::functions().$name.expect("a function in every place of the list");
        // SAFETY: the arguments are live, or wrong in a way that the module must notice.
        unsafe { function($($arg),*) }
    }};
}
pub(crate) use call;

/// Calls a function of the 3.2 list.
macro_rules! call_3_2 {
    ($name:ident($($arg:expr),* $(,)?)) => {{
        let function = $crate::raw::newest().$name.expect("a function in every place of the list");
        // SAFETY: the arguments are live, or wrong in a way that the module must notice.
        unsafe { function($($arg),*) }
    }};
}
pub(crate) use call_3_2;

pub(crate) fn mechanism(kind: CK_MECHANISM_TYPE) -> CK_MECHANISM {
    CK_MECHANISM { mechanism: kind, pParameter: null_mut(), ulParameterLen: 0 }
}

pub(crate) fn attribute<T>(kind: CK_ATTRIBUTE_TYPE, value: &mut T) -> CK_ATTRIBUTE {
    let len = size_of::<T>() as CK_ULONG;
    CK_ATTRIBUTE { type_: kind, pValue: std::ptr::from_mut(value).cast(), ulValueLen: len }
}
