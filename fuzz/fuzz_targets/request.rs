//! Requests of every operation, by a stranger and by a bearer. The first two bytes choose the operation from the table,
//! the rest is the encoded map of its arguments.
#![no_main]

use canis_fuzz::door;
use canis_proto::operation::TABLE;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((number, args)) = bytes.split_first_chunk() else { return };
    let carried: Vec<_> = TABLE.iter().filter(|row| row.wire).collect();
    let row = carried[usize::from(u16::from_be_bytes(*number)) % carried.len()];
    // {"op": name, "args": the rest}
    let mut payload = vec![0xa2, 0x62, b'o', b'p'];
    payload.extend(canis_proto::value::Value::from(row.name).encode());
    payload.extend([0x64, b'a', b'r', b'g', b's']);
    payload.extend(args);
    door().request(&payload);
});
