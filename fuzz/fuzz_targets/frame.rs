//! A header is refused, or written again as it came.
#![no_main]

use canis_proto::frame::{HEADER, Header, MAX_PAYLOAD};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else { return };
    if let Ok(read) = Header::decode(header, MAX_PAYLOAD) {
        assert!(read.length <= MAX_PAYLOAD);
        assert_eq!(&read.encode(), header);
    }
});
