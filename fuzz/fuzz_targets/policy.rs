//! Policies as people write them: refused, or laid out in a form that is read again and is its own layout.
#![no_main]

use canis_core::policy::Policy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(laid) = Policy::lay_out(text) else { return };
    assert!(Policy::lay_out(&laid).is_ok_and(|again| again == laid), "{laid:?}");
});
