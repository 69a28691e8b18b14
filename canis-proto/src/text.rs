//! The text form of ciphertexts and signatures: `canis:v1:<key name>:<version>:<base64>`.

use crate::{Error, ErrorCode, KeyName, Result};
use base64ct::{Base64, Encoding};

/// The highest key version; the schema's column is a signed 32-bit integer.
pub const MAX_VERSION: u32 = i32::MAX as u32;

const PREFIX: &str = "canis";
const FORMAT: &str = "v1";

/// A ciphertext or signature with the name and version of the key that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The key.
    pub name: KeyName,
    /// Its version, from 1.
    pub version: u32,
    /// The ciphertext or signature itself.
    pub bytes: Vec<u8>,
}

impl Sealed {
    /// The text form.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{PREFIX}:{FORMAT}:{}:{}:{}", self.name, self.version, Base64::encode_string(&self.bytes))
    }

    /// Reads the text form; exactly what [`Sealed::to_text`] writes, with an optional newline at the end.
    ///
    /// # Errors
    /// `unsupported_format` for another format id, `invalid_argument` naming the part that is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let parts: Vec<&str> = text.split(':').collect();
        let [prefix, format, name, version, base64] = parts[..] else {
            return Err(malformed("it must have five parts, canis:v1:<key>:<version>:<base64>"));
        };
        if prefix != PREFIX {
            return Err(malformed("it does not start with `canis:`"));
        }
        if format != FORMAT {
            return Err(Error::new(
                ErrorCode::UnsupportedFormat,
                format!(
                    "format `{}` is not known here, only `v1`; a newer CANIS may have made it",
                    crate::quote(format)
                ),
            ));
        }
        let name = KeyName::parse(name)?;
        let version = parse_version(version)?;
        let bytes = Base64::decode_vec(base64).map_err(|_| malformed("its last part is not base64"))?;
        Ok(Sealed { name, version, bytes })
    }
}

/// A version is decimal, from 1 to 2^31-1, without sign or leading zero: one version, one spelling.
fn parse_version(text: &str) -> Result<u32> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    match text.parse() {
        Ok(version) if plain && version <= MAX_VERSION => Ok(version),
        _ => Err(malformed("its version is not a number from 1 to 2147483647 without leading zeros")),
    }
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
        let sealed =
            Sealed { name: KeyName::parse("production/x").unwrap(), version: 3, bytes: vec![0, 255, 1] };
        assert_eq!(sealed.to_text(), "canis:v1:production/x:3:AP8B");
        assert_eq!(Sealed::parse(&sealed.to_text()), Ok(sealed.clone()));
        assert_eq!(Sealed::parse("canis:v1:production/x:3:AP8B\n"), Ok(sealed));
    }

    /// R37, R38: a header out of range or of another format is a clean error.
    #[test]
    fn malformed_headers() {
        let code = |text: &str| Sealed::parse(text).map_err(|e| e.code).unwrap_err();
        assert_eq!(code("canis:v2:k:1:AA=="), ErrorCode::UnsupportedFormat);
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
