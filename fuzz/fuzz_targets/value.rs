//! A value has one encoding: what is read is written again byte by byte.
#![no_main]

use canis_proto::message::{decode_error, encode_error};
use canis_proto::value::{Map, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = Value::decode(bytes) {
        assert_eq!(value.encode(), bytes);
    }
    if let Ok(map) = Map::decode(bytes) {
        assert_eq!(map.encode(), bytes);
    }
    // Whatever an error says, it can be said again.
    let error = decode_error(bytes);
    assert_eq!(decode_error(&encode_error(&error)), error);
});
