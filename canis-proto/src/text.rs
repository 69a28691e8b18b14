//! The text form of ciphertexts and signatures: `canis:v1:<key name>:<version>:<base64>`, and the first line of a
//! streamed ciphertext, which is the same with `s1`.
//!
//! What stands there is public, so that its base64 need not take the same time for all bytes, as it does for keys.
//!
//! Names of keys stand as they are. What operations call an entry of the key-value store, `kv:<identifier>`, stands
//! percent-encoded (RFC 3986, section 2.1), because an identifier may hold any text.

use crate::{ENTRY_PREFIX, EntryId, Error, ErrorCode, KeyName, Result};
use base64::Engine;
use base64::engine::general_purpose::PAD;
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::LazyLock;

/// Base64 by what this processor does best, found out once.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static BASE64: LazyLock<base64::engine::Simd> = LazyLock::new(|| base64::engine::Simd::standard(PAD));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static BASE64: LazyLock<base64::engine::GeneralPurpose> =
    LazyLock::new(|| base64::engine::GeneralPurpose::new(&base64::alphabet::STANDARD, PAD));

/// The highest key version; the schema's column is a signed 32-bit integer.
pub const MAX_VERSION: u32 = i32::MAX as u32;

/// What every streamed ciphertext starts with.
pub const STREAM_START: &[u8] = b"canis:s1:";

/// The longest first line of a streamed ciphertext in bytes, its newline included; generous.
pub const MAX_STREAM_HEADER: usize = 4096;

/// More than the rest of a text form: its start, its version and its colons.
const AROUND: usize = 32;

const PREFIX: &str = "canis";
const FORMAT: &str = "v1";
const STREAM_FORMAT: &str = "s1";

/// A ciphertext or signature with the name and version of the key that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The key, or `kv:` and the identifier of an entry.
    pub name: String,
    /// Its version, from 1.
    pub version: u32,
    /// The ciphertext or signature itself.
    pub bytes: Vec<u8>,
}

impl Sealed {
    /// The text form.
    #[must_use]
    pub fn to_text(&self) -> String {
        sealed_text(&self.name, self.version, &self.bytes)
    }

    /// The first line of a streamed ciphertext, without its newline; the bytes are what its keys are derived by.
    #[must_use]
    pub fn to_stream_header(&self) -> String {
        written(STREAM_FORMAT, &self.name, self.version, &self.bytes)
    }

    /// Reads the text form; exactly what [`Sealed::to_text`] writes, with an optional newline at the end.
    ///
    /// # Errors
    /// `unsupported_format` for another format id, `invalid_argument` naming the part that is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parsed(text, FORMAT)
    }

    /// Reads the first line of a streamed ciphertext, with or without its newline.
    ///
    /// # Errors
    /// As [`Sealed::parse`].
    pub fn parse_stream_header(text: &str) -> Result<Self> {
        Self::parsed(text, STREAM_FORMAT)
    }

    fn parsed(text: &str, known: &str) -> Result<Self> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let parts: Vec<&str> = text.split(':').collect();
        let [prefix, format, name, version, base64] = parts[..] else {
            return Err(malformed(&format!(
                "it must have five parts, canis:{known}:<key>:<version>:<base64>"
            )));
        };
        if prefix != PREFIX {
            return Err(malformed("it does not start with `canis:`"));
        }
        if format != known {
            return Err(wrong_format(format, known));
        }
        let name = parse_name(name)?;
        let version = parse_version(version)?;
        let bytes = BASE64.decode(base64).map_err(|_| malformed("its last part is not base64"))?;
        Ok(Sealed { name, version, bytes })
    }
}

/// The text form of what a version of a key has made.
#[must_use]
pub fn sealed_text(name: &str, version: u32, bytes: &[u8]) -> String {
    written(FORMAT, name, version, bytes)
}

fn written(format: &str, name: &str, version: u32, bytes: &[u8]) -> String {
    let name = escaped(name);
    let mut text = String::with_capacity(AROUND + name.len() + bytes.len().div_ceil(3) * 4);
    // Writing into a String cannot fail.
    let _ = write!(text, "{PREFIX}:{format}:{name}:{version}:");
    BASE64.encode_string(bytes, &mut text);
    text
}

/// What may stand unescaped: every character of the names of keys.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/')
}

fn escaped(name: &str) -> Cow<'_, str> {
    if name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.bytes().fold(String::with_capacity(name.len()), |mut text, byte| {
        if is_plain(byte) {
            text.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    }))
}

/// Only what [`escaped`] writes: one name, one spelling.
fn parse_name(text: &str) -> Result<String> {
    if !text.contains('%') {
        return KeyName::parse(text).map(|name| name.to_string());
    }
    let refused = || malformed("its name is neither a key's nor `kv:` and an identifier, percent-encoded");
    let name = unescaped(text).ok_or_else(refused)?;
    match name.strip_prefix(ENTRY_PREFIX) {
        Some(id) if escaped(&name) == text => EntryId::parse(id).map(|id| id.key_name()),
        _ => Err(refused()),
    }
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend(parts.next()?.bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.bytes());
    }
    String::from_utf8(bytes).ok()
}

/// A version is decimal, from 1 to 2^31-1, without sign or leading zero: one version, one spelling.
fn parse_version(text: &str) -> Result<u32> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    match text.parse() {
        Ok(version) if plain && version <= MAX_VERSION => Ok(version),
        _ => Err(malformed("its version is not a number from 1 to 2147483647 without leading zeros")),
    }
}

fn wrong_format(format: &str, known: &str) -> Error {
    let why = match format {
        FORMAT => "is decrypted in one piece, not as a stream".to_owned(),
        STREAM_FORMAT => "is a stream's; it is decrypted as one (`canis decrypt` does)".to_owned(),
        _ => format!("is not known here, only `{known}`; a newer CANIS may have made it"),
    };
    Error::new(ErrorCode::UnsupportedFormat, format!("format `{}` {why}", crate::quote(format)))
}

fn malformed(rule: &str) -> Error {
    Error::invalid(format!("this is no ciphertext or signature of CANIS: {rule}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R38: self-describing text with format id v1.
    #[test]
    fn round_trip() {
        let sealed = Sealed { name: "production/x".into(), version: 3, bytes: vec![0, 255, 1] };
        assert_eq!(sealed.to_text(), "canis:v1:production/x:3:AP8B");
        assert_eq!(Sealed::parse(&sealed.to_text()), Ok(sealed.clone()));
        assert_eq!(Sealed::parse("canis:v1:production/x:3:AP8B\n"), Ok(sealed));
    }

    /// R73: an identifier may hold what separates the parts; it comes back as it was, and has one spelling.
    #[test]
    fn names_of_entries() {
        for id in ["alice", "a:b", "100 %", "ä/\0", "kv:kv:"] {
            let sealed = Sealed { name: format!("kv:{id}"), version: 1, bytes: vec![7] };
            assert_eq!(sealed.to_text().split(':').count(), 5);
            assert_eq!(Sealed::parse(&sealed.to_text()), Ok(sealed));
        }
        let entry = Sealed { name: "kv:a b".into(), version: 1, bytes: vec![] };
        assert_eq!(entry.to_text(), "canis:v1:kv%3Aa%20b:1:");
        for name in
            ["kv%3aa", "%6Bv%3Aa", "kv%3A", "kv%3A%FF", "kv%3A%", "kv%3A%+1", "a%3Ab", "kv%3Aa b", "%61"]
        {
            assert!(Sealed::parse(&format!("canis:v1:{name}:1:")).is_err(), "{name}");
        }
    }

    /// The first line of a stream names key and version as other ciphertexts do, and is none of them.
    #[test]
    fn stream_headers() {
        let name = "n".repeat(crate::MAX_NAME);
        let header = Sealed { name, version: MAX_VERSION, bytes: vec![7; 64] };
        let line = header.to_stream_header();
        assert!(line.as_bytes().starts_with(STREAM_START));
        assert!(line.len() < MAX_STREAM_HEADER);
        assert_eq!(Sealed::parse_stream_header(&format!("{line}\n")), Ok(header));
        let other = Sealed::parse_stream_header("canis:v1:k:1:AA==").map_err(|e| e.code);
        assert_eq!(other, Err(ErrorCode::UnsupportedFormat));
    }

    /// R37, R38: a header out of range or of another format is a clean error.
    #[test]
    fn malformed_headers() {
        let code = |text: &str| Sealed::parse(text).map_err(|e| e.code).unwrap_err();
        assert_eq!(code("canis:v2:k:1:AA=="), ErrorCode::UnsupportedFormat);
        assert_eq!(code("canis:s1:k:1:AA=="), ErrorCode::UnsupportedFormat);
        assert_eq!(code("canis:v1:a b:1:AA=="), ErrorCode::InvalidName);
        for version in ["0", "00", "03", "-1", "+1", "", "4294967296", "2147483648", "1.0", " 1", "x"] {
            assert_eq!(
                code(&format!("canis:v1:k:{version}:AA==")),
                ErrorCode::InvalidArgument,
                "{version:?}"
            );
        }
        for text in [
            "",
            "canis",
            "vault:v1:k:1:AA==",
            "canis:v1:k:1",
            "canis:v1:k:1:A",
            "canis:v1:k:1:AA==:",
            "canis:v1:k:1:AB==",
        ] {
            assert_eq!(code(text), ErrorCode::InvalidArgument, "{text:?}");
        }
    }
}
