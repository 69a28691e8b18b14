//! Encrypted files, in text or not: headers, what an identity reads of them, and bodies. A header that is read stands in the
//! file as it is shown, nothing comes out of a body that was not made with its key, and what is written is read again.
#![no_main]

use canis_client::file::{
    ArmorReader, FileKey, Header, HybridIdentity, HybridRecipient, KeyStanza, Reader, Writer, X25519Identity, X25519Recipient,
};
use libfuzzer_sys::fuzz_target;
use std::io::{Read, Write};
use std::sync::LazyLock;

static IDENTITY: LazyLock<X25519Identity> =
    LazyLock::new(|| X25519Identity::from_bytes(&[7; 32]).expect("any 32 bytes are a key"));
/// The format's own example.
static HYBRID: LazyLock<HybridIdentity> = LazyLock::new(|| {
    let text = "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR";
    HybridIdentity::parse(text).expect("it is one")
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = Header::read(&mut &bytes[..]) {
        assert!(bytes.starts_with(header.as_bytes()));
        for stanza in header.stanzas() {
            let _ = KeyStanza::read(stanza);
        }
        assert!(header.open(&[&*IDENTITY, &*HYBRID]).is_err(), "a header was forged");
    }
    if let Ok(recipient) = std::str::from_utf8(bytes).map_or(Err(()), |text| HybridRecipient::parse(text).map_err(drop)) {
        assert_eq!(recipient.to_text().as_bytes(), bytes.to_ascii_lowercase());
    }
    let mut bare = Vec::new();
    let _ = ArmorReader::new(bytes).read_to_end(&mut bare);
    let _ = Header::read(&mut &bare[..]);
    let mut plain = Vec::new();
    if let Ok(mut body) = FileKey::from_slice(&[7; 16]).and_then(|key| Reader::after_header(bytes, &key)) {
        assert!(body.read_to_end(&mut plain).is_err() && plain.is_empty(), "a body was forged");
    }
    let recipient: X25519Recipient = IDENTITY.recipient();
    let mut writer = Writer::new(Vec::new(), &[&recipient]).expect("a key encrypts");
    writer.write_all(bytes).expect("memory takes it");
    let sealed = writer.finish().expect("memory takes it");
    let mut reader = Reader::new(&sealed[..], &[&*IDENTITY]).expect("its own header");
    reader.read_to_end(&mut plain).expect("its own body");
    assert_eq!(plain, bytes);
});
