//! Key names: refused when malformed, never normalised.

use crate::{Error, ErrorCode, Result};
use std::fmt;

/// The longest key name, in bytes.
pub const MAX_NAME: usize = 255;

/// A key name: segments of `[A-Za-z0-9._-]+` joined by `/`, no segment `.` or `..`, 255 bytes at most.
///
/// It can hold no `:`, so it stands unescaped in `canis:v1:<name>:<version>:<base64>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(String);

impl KeyName {
    /// Checks `text` and keeps it as it is.
    ///
    /// # Errors
    /// `invalid_name`, saying which rule it breaks.
    pub fn parse(text: &str) -> Result<Self> {
        match broken_rule(text) {
            None => Ok(KeyName(text.to_owned())),
            Some(rule) => Err(Error::new(
                ErrorCode::InvalidName,
                format!("`{}` is no key name: {rule}", crate::quote(text)),
            )),
        }
    }

    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn broken_rule(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    if text.len() > MAX_NAME {
        return Some("it is longer than 255 bytes");
    }
    for segment in text.split('/') {
        if segment.is_empty() {
            return Some("a segment between `/` is empty");
        }
        if segment == "." || segment == ".." {
            return Some("a segment is `.` or `..`");
        }
        if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
            return Some("only A-Z, a-z, 0-9, `.`, `_`, `-` and `/` are allowed");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R12: names may be hierarchical and never contain `:`.
    #[test]
    fn names() {
        for good in ["a", "production/payments", "A.b_c-9", "x/..y", &"n".repeat(255)] {
            assert_eq!(KeyName::parse(good).map(|n| n.to_string()), Ok(good.to_owned()));
        }
        for bad in
            ["", "a:b", "a/../b", "..", "./a", "a//b", "/a", "a/", "a b", "ä", "a\0", "%2e", &"n".repeat(256)]
        {
            assert_eq!(KeyName::parse(bad).map_err(|e| e.code), Err(ErrorCode::InvalidName), "{bad:?}");
        }
    }
}
