//! The interfaces and function lists that hosts ask for first.

use crate::raw::{call, functions, interface, newest, symbol};
use pkcs11_sys::*;
use std::ptr::null_mut;

#[test]
fn interfaces_are_the_ones_asked_for() {
    let name = Some(&b"PKCS 11\0"[..]);
    for (name, version, flags, wanted) in [
        (None, None, 0, Some((3, 2))),
        (name, None, 0, Some((3, 2))),
        (name, Some((3, 2)), 0, Some((3, 2))),
        (name, Some((3, 0)), 0, Some((3, 0))),
        (name, Some((2, 40)), 0, Some((2, 40))),
        (name, Some((3, 3)), 0, None),
        (name, Some((2, 0)), 0, None),
        (Some(&b"Vendor NSS Module Interface\0"[..]), None, 0, None),
        (None, None, CKF_INTERFACE_FORK_SAFE, None),
    ] {
        let (rv, found) = interface(name, version, flags);
        let version = (rv == CKR_OK).then(|| {
            // SAFETY: every function list begins with its version.
            let version = unsafe { *(*found).pFunctionList.cast::<CK_VERSION>() };
            (version.major, version.minor)
        });
        assert_eq!(version, wanted, "rv {rv:x}");
    }
    assert_eq!(call!(C_GetInterface(null_mut(), null_mut(), null_mut(), 0)), CKR_ARGUMENTS_BAD);
    let mut count = 0;
    assert_eq!(call!(C_GetInterfaceList(null_mut(), &mut count)), CKR_OK);
    assert_eq!(count, 3);
    assert_eq!(call!(C_GetInterfaceList(null_mut(), null_mut())), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(C_GetFunctionList(null_mut())), CKR_ARGUMENTS_BAD);
    assert!(symbol("C_GetFunctionList").is_some() && symbol("C_Sign").is_none());
    // SAFETY: a structure of numbers and bytes.
    let mut info: CK_INFO = unsafe { std::mem::zeroed() };
    functions();
    assert_eq!(call!(C_GetInfo(&mut info)), CKR_OK);
    assert_eq!((info.cryptokiVersion.major, info.cryptokiVersion.minor), (3, 2), "the newest interface's");
}

/// No place of any list is empty, and each list is the beginning of the next.
#[test]
fn lists_have_no_holes() {
    fn places<T>(list: &T) -> &[usize] {
        let words = size_of::<T>() / size_of::<usize>();
        // SAFETY: the list is a version, padded to a pointer's size, and pointers.
        let all = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(list).cast::<usize>(), words) };
        &all[1..]
    }
    let newest = places(newest());
    assert!(newest.len() == 104 && !newest.contains(&0));
    let (rv, third) = interface(None, Some((3, 0)), 0);
    assert_eq!(rv, CKR_OK);
    // SAFETY: the module's 3.0 list.
    let new = places(unsafe { &*(*third).pFunctionList.cast::<CK_FUNCTION_LIST_3_0>() });
    assert_eq!(new, &newest[..92]);
    let mut list = null_mut();
    assert_eq!(call!(C_GetFunctionList(&mut list)), CKR_OK);
    // SAFETY: the module's 2.40 list.
    assert_eq!(places(unsafe { &*list }), &new[..68]);
}
