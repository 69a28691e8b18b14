//! Ciphertexts in the format of streams, in pieces of any length: nothing opens that was not sealed, and what is sealed opens.
#![no_main]

use canis_core::crypto::chunks::{Opener, Sealer};
use canis_core::default_provider;
use libfuzzer_sys::fuzz_target;

const KEY: [u8; 32] = [7; 32];

fuzz_target!(|bytes: &[u8]| {
    let Some((&[piece, turn], bytes)) = bytes.split_first_chunk() else { return };
    let pieces = || bytes.chunks(usize::from(piece) * 300 + 1);
    let mut opened = Vec::new();
    if let Ok(mut opener) = Opener::new(default_provider(), &KEY) {
        let whole = pieces().try_for_each(|part| opener.update(part, &mut opened));
        assert!(whole.and_then(|()| opener.finish(&mut opened)).is_err() || sealed(&opened) == bytes);
    }
    let (mut body, mut again) = (sealed(bytes), Vec::new());
    let damaged = usize::from(turn) % (body.len() + 1);
    if let Some(byte) = body.get_mut(damaged) {
        *byte ^= 1;
    }
    let Ok(mut opener) = Opener::new(default_provider(), &KEY) else { return };
    let whole = body.chunks(1 + usize::from(piece)).try_for_each(|part| opener.update(part, &mut again));
    let whole = whole.and_then(|()| opener.finish(&mut again));
    assert_eq!(whole.is_ok(), damaged == body.len());
    // What was given out before the damage was found is right.
    assert!(bytes.starts_with(&again));
});

fn sealed(plaintext: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    if let Ok(mut sealer) = Sealer::new(default_provider(), &KEY) {
        let _ = sealer.update(plaintext, &mut body).and_then(|()| sealer.finish(&mut body));
    }
    body
}
