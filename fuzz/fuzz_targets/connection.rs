//! A whole connection: frames of a client that may keep no rule. It comes to an end, and what the server sends are frames.
//! If the first byte is 0 a right HELLO stands before the rest.
#![no_main]

use canis_fuzz::{door, runtime};
use canis_proto::frame::{HEADER, Header, MAX_PAYLOAD};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fuzz_target!(|bytes: &[u8]| {
    let Some((known, bytes)) = bytes.split_first() else { return };
    let mut sent = if *known == 0 { door().hello() } else { Vec::new() };
    sent.extend(bytes);
    let said = runtime().block_on(async {
        let (mut peer, ours) = tokio::io::duplex(1 << 16);
        let serving = tokio::spawn(door().converse(ours));
        let (mut from, mut to) = tokio::io::split(&mut peer);
        let mut said = Vec::new();
        let send = async {
            // The server may have closed before it has read all.
            let _ = to.write_all(&sent).await;
            let _ = to.shutdown().await;
        };
        let (_, read) = tokio::join!(send, from.read_to_end(&mut said));
        read.expect("a pipe in memory does not break");
        serving.await.expect("the connection ends in order");
        said
    });
    let mut rest = said.as_slice();
    while let Some((header, behind)) = rest.split_first_chunk::<HEADER>() {
        let header = Header::decode(header, MAX_PAYLOAD).expect("the server sends frames");
        rest = behind.get(header.length as usize..).expect("and whole ones");
    }
    assert!(rest.is_empty());
});
