//! A PKCS#11 library as a C program sees it: its function lists, a token, a session.

use cryptoki_sys::CK_FUNCTION_LIST_3_2;
use pkcs11_sys::*;
use std::ffi::{CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;

const SO_PIN: &[u8] = b"12345678";
const PIN: &[u8] = b"1234";
const LABEL: &[u8; 32] = b"page                            ";

/// A loaded and initialised library.
pub(crate) struct Provider {
    /// Its functions of version 2.40.
    pub(crate) list: &'static CK_FUNCTION_LIST,
    /// Its functions of version 3.2, if it has that interface.
    pub(crate) newer: Option<&'static CK_FUNCTION_LIST_3_2>,
}

/// Calls a function of the 2.40 list.
macro_rules! call {
    ($provider:expr, $name:ident($($arg:expr),* $(,)?)) => {{
        let function = $provider.list.$name.expect("2.40 has every function");
        // SAFETY: the arguments are live for the call.
        unsafe { function($($arg),*) }
    }};
}
pub(crate) use call;

impl Provider {
    /// Loads a library and initialises it; `None` if it is not there.
    pub(crate) fn load(path: &Path) -> Option<Provider> {
        let name = CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: a path that ends with a zero byte; the library stays loaded.
        let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
        if library.is_null() {
            return None;
        }
        type GetList = unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV;
        let mut list = null_mut();
        // SAFETY: the symbol is this function in every PKCS#11 library; what it gives lives as long as the library.
        let list = unsafe {
            let get: GetList = std::mem::transmute(libc::dlsym(library, c"C_GetFunctionList".as_ptr()));
            assert_eq!(get(&mut list), CKR_OK);
            &*list
        };
        let provider = Provider { list, newer: newer(library) };
        assert_eq!(call!(provider, C_Initialize(null_mut())), CKR_OK, "{}", path.display());
        Some(provider)
    }

    /// Major and minor number of the library.
    pub(crate) fn version(&self) -> (u8, u8) {
        // SAFETY: a structure of numbers and bytes.
        let mut info: CK_INFO = unsafe { std::mem::zeroed() };
        assert_eq!(call!(self, C_GetInfo(&mut info)), CKR_OK);
        (info.libraryVersion.major, info.libraryVersion.minor)
    }

    /// Makes a token and gives its slot.
    pub(crate) fn token(&self) -> CK_SLOT_ID {
        let empty = self.empty_slot();
        let mut label = *LABEL;
        let (pin, len) = (SO_PIN.as_ptr().cast_mut(), SO_PIN.len() as CK_ULONG);
        assert_eq!(call!(self, C_InitToken(empty, pin, len, label.as_mut_ptr())), CKR_OK);
        // SoftHSM2 gives the slot another number with that.
        self.slots().into_iter().find(|slot| self.label(*slot) == *LABEL).unwrap()
    }

    /// The slot where C_InitToken makes the next token.
    pub(crate) fn empty_slot(&self) -> CK_SLOT_ID {
        *self.slots().last().unwrap()
    }

    fn slots(&self) -> Vec<CK_SLOT_ID> {
        let mut count = 0;
        assert_eq!(call!(self, C_GetSlotList(CK_TRUE, null_mut(), &mut count)), CKR_OK);
        let mut slots = vec![0; count as usize];
        assert_eq!(call!(self, C_GetSlotList(CK_TRUE, slots.as_mut_ptr(), &mut count)), CKR_OK);
        slots
    }

    fn label(&self, slot: CK_SLOT_ID) -> [u8; 32] {
        // SAFETY: a structure of numbers and bytes.
        let mut info: CK_TOKEN_INFO = unsafe { std::mem::zeroed() };
        assert_eq!(call!(self, C_GetTokenInfo(slot, &mut info)), CKR_OK);
        info.label
    }

    /// A R/W session.
    pub(crate) fn open(&self, slot: CK_SLOT_ID) -> CK_SESSION_HANDLE {
        let (flags, mut session) = (CKF_SERIAL_SESSION | CKF_RW_SESSION, 0);
        assert_eq!(call!(self, C_OpenSession(slot, flags, null_mut(), None, &mut session)), CKR_OK);
        session
    }

    /// A R/W session in which the user is logged in.
    pub(crate) fn user_session(&self, slot: CK_SLOT_ID) -> CK_SESSION_HANDLE {
        let session = self.open(slot);
        let (so, so_len) = (SO_PIN.as_ptr().cast_mut(), SO_PIN.len() as CK_ULONG);
        let (pin, len) = (PIN.as_ptr().cast_mut(), PIN.len() as CK_ULONG);
        assert_eq!(call!(self, C_Login(session, CKU_SO, so, so_len)), CKR_OK);
        assert_eq!(call!(self, C_InitPIN(session, pin, len)), CKR_OK);
        assert_eq!(call!(self, C_Logout(session)), CKR_OK);
        assert_eq!(call!(self, C_Login(session, CKU_USER, pin, len)), CKR_OK);
        session
    }
}

/// The 3.2 list of a library that has one.
fn newer(library: *mut c_void) -> Option<&'static CK_FUNCTION_LIST_3_2> {
    type Get = unsafe extern "C" fn(*const u8, *mut CK_VERSION, *mut *mut CK_INTERFACE, CK_FLAGS) -> CK_RV;
    // SAFETY: the name ends with a zero byte.
    let symbol = unsafe { libc::dlsym(library, c"C_GetInterface".as_ptr()) };
    if symbol.is_null() {
        return None;
    }
    let (mut version, mut found) = (CK_VERSION { major: 3, minor: 2 }, null_mut());
    // SAFETY: the symbol is this function; what it gives is the 3.2 list and lives as long as the library.
    unsafe {
        let get: Get = std::mem::transmute(symbol);
        (get(std::ptr::null(), &mut version, &mut found, 0) == CKR_OK)
            .then(|| &*(*found).pFunctionList.cast())
    }
}
