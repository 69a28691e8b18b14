//! age identities (age-encryption.org/v1): the X25519 private keys that `age-keygen` writes, one a line,
//! `AGE-SECRET-KEY-1…` in Bech32 (BIP 173). Read only.

use super::Given;
use crate::crypto::private_parts::{Part, PrivateParts};
use crate::crypto::refusal::bad_private_key;
use canis_proto::{Error, KeyType, Result, bech32};

/// What a line with an identity begins with.
const START: &str = "AGE-SECRET-KEY-1";
/// The same of a post-quantum one.
const POST_QUANTUM: &str = "AGE-SECRET-KEY-PQ-1";
/// The part of Bech32 that people read, without the separator.
const PREFIX: &str = "age-secret-key-";

/// Whether this is a file of age's: identities, or such a file under a passphrase.
#[must_use]
pub fn is_age(bytes: &[u8]) -> bool {
    is_encrypted(bytes) || std::str::from_utf8(bytes).is_ok_and(|text| lines(text).any(is_identity))
}

/// Reads the one identity in a file.
///
/// # Errors
/// `invalid_argument` for a file under a passphrase, with no identity or several, or with one that is damaged.
pub fn read(bytes: &[u8]) -> Result<Given> {
    if is_encrypted(bytes) {
        return Err(bad_private_key(
            "the file is encrypted; let age open it: `age -d FILE | canis import age /dev/stdin --name NAME`",
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| bad_private_key("the file is no text of age's"))?;
    let mut found = lines(text).filter(|line| is_identity(line));
    match (found.next(), found.count()) {
        (Some(line), 0) if line.starts_with(START) => {
            let seed =
                identity(line).ok_or_else(|| bad_private_key("the identity is damaged or not whole"))?;
            Ok(Given::alone(PrivateParts::Seed { kind: KeyType::X25519, seed }))
        }
        (Some(line), 0) if line.starts_with(POST_QUANTUM) => Err(bad_private_key(
            "the identity is a post-quantum one, which CANIS does not keep; it opens its files where it is, by `canis file decrypt -i FILE`",
        )),
        (Some(_), 0) => {
            Err(bad_private_key("the identity lives in a plugin of age's, which does not give it away"))
        }
        (Some(_), more) => Err(several(more + 1)),
        (None, _) => Err(bad_private_key("the file holds no identity of age's")),
    }
}

fn several(count: usize) -> Error {
    bad_private_key(&format!(
        "the file holds {count} identities; put the one that is meant into a file of its own"
    ))
}

/// Files of age's begin with this line; armoured ones are PEM.
fn is_encrypted(bytes: &[u8]) -> bool {
    bytes.starts_with(b"age-encryption.org/v1") || bytes.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----")
}

/// Lines without comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with('#'))
}

fn is_identity(line: &str) -> bool {
    [START, POST_QUANTUM, "AGE-PLUGIN-"].iter().any(|start| line.starts_with(start))
}

/// The 32 bytes of an identity. age writes it in upper case.
fn identity(line: &str) -> Option<Part> {
    let upper = line.bytes().all(|c| !c.is_ascii_lowercase());
    let (prefix, seed) = bech32::decode(line).filter(|_| upper)?;
    (prefix == PREFIX && seed.len() == 32).then_some(seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Made by age-keygen.
    const IDENTITY: &str = "AGE-SECRET-KEY-1GSV5X4CLD8LDDSJF7QFST8WCJCK037XZPXSXR5QZM2358ZMUD7TQC546T5";

    #[test]
    fn one_identity_and_nothing_else() {
        let text = format!("# created: today\n# public key: age1…\n{IDENTITY}\n");
        assert!(is_age(text.as_bytes()) && read(text.as_bytes()).is_ok());
        let refused = |text: &str, why: &str| {
            let error = read(text.as_bytes()).err().unwrap();
            assert!(error.message.contains(why), "{error}");
            assert!(!error.message.contains(&IDENTITY[20..]), "no secret in {error}");
        };
        refused(&format!("{IDENTITY}\n{IDENTITY}"), "2 identities");
        refused("# nothing\n", "no identity");
        refused("AGE-PLUGIN-YUBIKEY-1QQQ", "plugin");
        refused("age-encryption.org/v1\n-> scrypt", "age -d");
        refused("-----BEGIN AGE ENCRYPTED FILE-----\n", "age -d");
        refused(&IDENTITY.to_lowercase(), "no identity");
        for at in 16..IDENTITY.len() {
            let other = if IDENTITY.as_bytes()[at] == b'Q' { "P" } else { "Q" };
            refused(&format!("{}{other}{}", &IDENTITY[..at], &IDENTITY[at + 1..]), "damaged");
            refused(&IDENTITY[..at], "damaged");
        }
        refused(&format!("{IDENTITY}Q"), "damaged");
    }

    proptest! {
        #[test]
        fn total(tail in "\\PC{0,70}", data in "[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}") {
            let _ = read(format!("{START}{tail}").as_bytes());
            let _ = read(format!("{START}{data}").as_bytes());
        }
    }
}
