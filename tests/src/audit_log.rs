//! An audit log as a test reads it: the lines that came since the last look, and whether a secret stands in any.

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The audit log of a data directory.
pub struct AuditLog {
    folder: PathBuf,
    /// How many lines of each file were seen.
    seen: BTreeMap<PathBuf, usize>,
    secrets: Vec<(String, Vec<u8>)>,
}

impl AuditLog {
    /// The log of the data directory `data`, of which nothing was seen yet.
    #[must_use]
    pub fn of(data: &Path) -> Self {
        AuditLog { folder: data.join("audit"), seen: BTreeMap::new(), secrets: Vec::new() }
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.folder).unwrap_or_else(|e| panic!("no audit folder: {e}"));
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        files
    }

    /// The lines that nobody has seen yet, file by file.
    ///
    /// # Panics
    /// If a line is no JSON.
    pub fn news(&mut self) -> Vec<Value> {
        let mut news = Vec::new();
        for file in self.files() {
            let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            let seen = self.seen.entry(file).or_default();
            // The last one may be about to be written.
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            for line in whole.lines().skip(*seen) {
                *seen += 1;
                news.push(serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")));
            }
        }
        news
    }

    /// From now on `secret`, which is called `what`, must not stand in the log.
    ///
    /// # Panics
    /// If it is so short that it would stand there by chance.
    pub fn hide(&mut self, what: &str, secret: &[u8]) {
        assert!(secret.len() >= 8, "{what} is too short to be looked for");
        self.secrets.push((what.to_owned(), secret.to_vec()));
    }

    /// Fails if a secret stands in the log, as it is, in hexadecimal digits or in base64, also as a part of more.
    ///
    /// # Panics
    /// If one does.
    pub fn hides_all(&self) {
        assert!(!self.secrets.is_empty());
        let mut text = Vec::new();
        for file in self.files() {
            text.extend(std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display())));
        }
        let small = text.to_ascii_lowercase();
        for (what, secret) in &self.secrets {
            assert!(!contains(&text, secret), "{what} stands in the log");
            let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(!contains(&small, hex.as_bytes()), "{what} stands in the log in hexadecimal digits");
            for form in in_base64(secret) {
                assert!(!contains(&text, form.as_bytes()), "{what} stands in the log in base64");
            }
        }
    }
}

/// What `secret` looks like in base64 (RFC 4648, sections 4 and 5), wherever in a group of three bytes it begins; without the
/// characters at both ends that depend on what stands beside it.
fn in_base64(secret: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let bytes = [&[0; 2][..before], secret].concat();
        let whole = bytes.len() / 3 * 4;
        for text in [Base64Unpadded::encode_string(&bytes), Base64UrlUnpadded::encode_string(&bytes)] {
            forms.push(text[if before == 0 { 0 } else { 4 }..whole].to_owned());
        }
    }
    forms
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let secret = b"\xffa secret of some length";
        for more in ["", "a", "ab", "abc"] {
            let bytes = [more.as_bytes(), secret, b"more"].concat();
            for text in [Base64Unpadded::encode_string(&bytes), Base64UrlUnpadded::encode_string(&bytes)] {
                assert!(in_base64(secret).iter().any(|form| text.contains(form.as_str())), "{more}");
            }
        }
        assert!(!contains(b"another text", secret));
    }
}
