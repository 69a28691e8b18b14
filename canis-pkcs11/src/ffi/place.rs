//! Where the module itself was loaded from.

use std::ffi::{CStr, OsStr};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The module's own path, as the host's loader found it.
pub(crate) fn own_path() -> Option<PathBuf> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the address is one of this library's, and `info` has room for what is written.
    let found = unsafe { libc::dladdr(own_path as fn() -> Option<PathBuf> as *const _, info.as_mut_ptr()) };
    // SAFETY: zeros are a valid Dl_info, whatever became of the call.
    let name = unsafe { info.assume_init() }.dli_fname;
    if found == 0 || name.is_null() {
        return None;
    }
    // SAFETY: the loader's name of a library that stays loaded, ended by a zero.
    let name = unsafe { CStr::from_ptr(name) };
    std::fs::canonicalize(OsStr::from_bytes(name.to_bytes())).ok()
}
