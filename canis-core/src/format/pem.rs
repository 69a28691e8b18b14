//! The textual encoding of keys (RFC 7468): base64 between two lines that say what it is.

use crate::secret::SecretBytes;
use base64ct::{Base64, Encoding};
use canis_proto::{Error, Result};
use zeroize::Zeroizing;

/// How many bytes of DER stand on a line of 64 characters.
const LINE: usize = 48;
/// The most blocks that one text may hold: a certificate chain and its key.
const MAX_BLOCKS: usize = 64;

/// One block: what stands between its two lines.
pub struct Block {
    /// What the lines say, `PRIVATE KEY` for example.
    pub label: String,
    /// The bytes.
    pub der: SecretBytes,
}

/// Writes one block.
#[must_use]
pub fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let lines = der.len().div_ceil(LINE);
    // Room at once, so that growing leaves no unwiped copies behind.
    let mut text = Zeroizing::new(String::with_capacity(2 * (label.len() + 17) + lines * 65));
    for part in ["-----BEGIN ", label, "-----\n"] {
        text.push_str(part);
    }
    for line in der.chunks(LINE) {
        text.push_str(&Zeroizing::new(Base64::encode_string(line)));
        text.push('\n');
    }
    for part in ["-----END ", label, "-----\n"] {
        text.push_str(part);
    }
    text
}

/// Whether these bytes are meant as PEM.
#[must_use]
pub fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN.as_bytes())
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Reads every block of a text. What stands outside of blocks is passed over, as `openssl pkcs12` writes names there.
///
/// # Errors
/// `invalid_argument` for a block without an end, with headers (the encryption of before PKCS#8), or whose inside is no
/// base64; for a text without a block, or with more than 64.
pub fn decode(bytes: &[u8]) -> Result<Vec<Block>> {
    let text = std::str::from_utf8(bytes).map_err(|_| broken("it is no text"))?;
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        if blocks.len() == MAX_BLOCKS {
            return Err(broken(&format!("it holds more than {MAX_BLOCKS} blocks")));
        }
        let opened = &rest[at + BEGIN.len()..];
        let (label, inside) = opened.split_once(DASHES).ok_or_else(|| broken("its first line has no end"))?;
        if label.len() > 64 || label.contains(['\n', '-']) {
            return Err(broken("its first line has no end"));
        }
        let end = inside.find(END).ok_or_else(|| broken("it has no END line"))?;
        let closed = &inside[end + END.len()..];
        let after = closed.strip_prefix(label).and_then(|after| after.strip_prefix(DASHES));
        rest = after.ok_or_else(|| broken("its END line does not fit its BEGIN line"))?;
        blocks.push(Block { label: label.to_owned(), der: unarmoured(&inside[..end])? });
    }
    if blocks.is_empty() { Err(broken("it holds no block")) } else { Ok(blocks) }
}

fn unarmoured(inside: &str) -> Result<SecretBytes> {
    if inside.contains(':') {
        return Err(broken(
            "it has headers, which is how keys were encrypted before PKCS#8; convert it with `openssl pkey`",
        ));
    }
    let mut joined = Zeroizing::new(String::with_capacity(inside.len()));
    joined.extend(inside.chars().filter(|c| !c.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; joined.len() / 4 * 3]);
    let len =
        Base64::decode(joined.as_bytes(), &mut der).map_err(|_| broken("its inside is no base64"))?.len();
    Ok(SecretBytes::copied_from(&der[..len]))
}

fn broken(why: &str) -> Error {
    Error::invalid(format!("the PEM text is refused: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines() {
        let text = encode("X", &[0; 49]);
        assert_eq!(*text, format!("-----BEGIN X-----\n{}\nAA==\n-----END X-----\n", "A".repeat(64)));
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "",
            "AAAA",
            "-----BEGIN X",
            "-----BEGIN X-----\nAAAA\n",
            "-----BEGIN X-----\nAAAA\n-----END Y-----\n",
            "-----BEGIN X-----\nAAA\n-----END X-----\n",
            "-----BEGIN X-----\nA*AA\n-----END X-----\n",
            "-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END X-----\n",
            "-----BEGIN X\nY-----\nAAAA\n-----END X\nY-----\n",
        ] {
            assert!(decode(text.as_bytes()).is_err(), "{text}");
        }
        let many = encode("X", b"1").repeat(65);
        assert!(decode(many.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn round_trip(first: Vec<u8>, second: Vec<u8>, between in "[a-z: \n]{0,40}") {
            let text = format!("{between}{}{between}{}", *encode("A KEY", &first), *encode("B", &second));
            let blocks = decode(text.as_bytes()).unwrap();
            prop_assert_eq!(blocks.len(), 2);
            prop_assert!(blocks[0].label == "A KEY" && blocks[0].der.equals(&first));
            prop_assert!(blocks[1].label == "B" && blocks[1].der.equals(&second));
        }

        #[test]
        fn never_panics(text in "(-----BEGIN |-----END |-----|A|\n|=|:|é| ){0,30}") {
            let _ = decode(text.as_bytes());
        }
    }
}
