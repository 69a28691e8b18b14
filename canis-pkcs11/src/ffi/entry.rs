//! What stands around every C function.

use super::lifecycle::enter;
use crate::module::Module;
use crate::rv::Result;
use pkcs11_sys::*;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside a C function. A plain cell: nothing runs when the thread ends.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Defines C functions. The body sees the module and returns a `Result`; parameters are the host's, untouched.
macro_rules! entry {
    ($($(#[doc = $doc:literal])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) |$module:ident| $body:expr;)+) => {$(
        $(#[doc = $doc])*
        #[allow(non_snake_case)] // The standard's name.
        pub(super) unsafe extern "C" fn $name($($arg: $type),*) -> pkcs11_sys::CK_RV {
            $crate::ffi::entry::call(stringify!($name), |$module: &$crate::module::Module| $body)
        }
    )+};
}
pub(super) use entry;

/// Runs the body of a C function on the initialised module.
pub(super) fn call(name: &str, body: impl FnOnce(&Module) -> Result) -> CK_RV {
    guarded(|| {
        let Some(module) = enter() else { return CKR_CRYPTOKI_NOT_INITIALIZED };
        match catch(|| body(&module)) {
            Some(Ok(())) => CKR_OK,
            Some(Err(fail)) => {
                module.report(name, &fail);
                fail.rv
            }
            None => {
                module.log.line(format_args!(
                    "{name}: a defect of CANIS was caught; the host is told CKR_GENERAL_ERROR"
                ));
                CKR_GENERAL_ERROR
            }
        }
    })
}

/// Whether this thread is inside a C function.
pub(super) fn is_inside() -> bool {
    INSIDE.get()
}

/// Runs `body`; a panic in it becomes CKR_GENERAL_ERROR and prints nothing. Unwinding into the host's C frames would
/// be undefined behaviour.
pub(super) fn guarded(body: impl FnOnce() -> CK_RV) -> CK_RV {
    silence_panics();
    let outside = !INSIDE.replace(true);
    let rv = catch(body).unwrap_or(CKR_GENERAL_ERROR);
    if outside {
        INSIDE.set(false);
    }
    rv
}

fn catch<T>(body: impl FnOnce() -> T) -> Option<T> {
    // What a panic may leave half done is behind locks whose data is whole at every step (`session::lock`).
    catch_unwind(AssertUnwindSafe(body)).ok()
}

/// Takes the voice from panics of threads that are inside the module; all others keep the hook they had. In the shared
/// library the hook belongs to its own copy of the standard library, so a host written in Rust keeps its own.
fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !INSIDE.get() {
                before(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::super::lifecycle::{start, stop};
    use super::*;

    #[test]
    fn a_panic_becomes_a_general_error_and_the_next_call_works() {
        assert_eq!(guarded(|| panic!("a defect")), CKR_GENERAL_ERROR);
        assert!(!INSIDE.get());
        assert_eq!(guarded(|| CKR_OK), CKR_OK);
    }

    entry! {
        fn C_Panic(answer: CK_RV) |_module| match answer {
            CKR_OK => Ok(()),
            CKR_GENERAL_ERROR => panic!("a defect"),
            other => crate::rv::fail(other),
        };
    }

    /// R93: a defect of the module must not take its host down.
    #[test]
    fn a_panicking_function_answers_and_the_module_goes_on() {
        let ask = |answer| {
            // SAFETY: the function takes no pointers.
            unsafe { C_Panic(answer) }
        };
        assert_eq!(ask(CKR_GENERAL_ERROR), CKR_CRYPTOKI_NOT_INITIALIZED, "the body must not have run");
        start(|| crate::module::Module::open(crate::config::Settings::of_a_privileged_host())).unwrap();
        assert_eq!(ask(CKR_GENERAL_ERROR), CKR_GENERAL_ERROR);
        assert_eq!(ask(CKR_OK), CKR_OK);
        assert_eq!(ask(CKR_HOST_MEMORY), CKR_HOST_MEMORY);
        stop().unwrap();
        assert_eq!(ask(CKR_OK), CKR_CRYPTOKI_NOT_INITIALIZED);
        assert_eq!(stop().unwrap_err().rv, CKR_CRYPTOKI_NOT_INITIALIZED);
    }
}
