//! HELLO of both sides: what is read and written again means the same.
#![no_main]

use canis_proto::message::{ClientHello, ServerHello};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(hello) = ClientHello::decode(bytes) {
        let again = hello.encode();
        assert!(ClientHello::decode(&again).is_ok_and(|read| read == hello));
    }
    if let Ok(hello) = ServerHello::decode(bytes) {
        let again = hello.encode();
        assert!(ServerHello::decode(&again).is_ok_and(|read| read == hello));
    }
});
