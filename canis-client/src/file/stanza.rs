//! The sections of a header, and of what age says to its plugins: `-> type argument…` and a body in Base64.

use super::malformed;
use base64ct::{Base64Unpadded, Encoding};
use canis_proto::Result;
use zeroize::Zeroizing;

/// What the first line begins with.
pub(super) const START: &str = "-> ";

/// Characters of a full line; the body ends with a shorter one.
const COLUMNS: usize = 64;

/// One section: a recipient's, or a command of the plugin protocol.
#[derive(Clone, PartialEq, Eq)]
pub struct Stanza {
    /// What kind it is.
    pub kind: String,
    /// Printable ASCII without spaces, none of them empty.
    pub arguments: Vec<String>,
    /// Wiped where it may hold a file key.
    pub body: Zeroizing<Vec<u8>>,
}

impl Stanza {
    /// One without a body.
    pub fn new(kind: impl Into<String>, arguments: &[&str]) -> Stanza {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Stanza { kind: kind.into(), arguments, body: Zeroizing::default() }
    }

    /// The same with this body.
    #[must_use]
    pub fn with_body(self, body: Vec<u8>) -> Stanza {
        Stanza { body: Zeroizing::new(body), ..self }
    }

    /// As it stands in a header.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let body = Zeroizing::new(Base64Unpadded::encode_string(&self.body));
        let mut text = Zeroizing::new(String::with_capacity(body.len() * 66 / 64 + 512));
        text.push_str(START);
        text.push_str(&self.kind);
        for argument in &self.arguments {
            text.push(' ');
            text.push_str(argument);
        }
        text.push('\n');
        for at in (0..=body.len()).step_by(COLUMNS) {
            text.push_str(&body[at..body.len().min(at + COLUMNS)]);
            text.push('\n');
        }
        text
    }

    /// Reads one from lines without their ends, the first of which is `first`.
    ///
    /// # Errors
    /// `unsupported_format`, or what `next` fails with.
    pub fn read(first: &str, mut next: impl FnMut() -> Result<Zeroizing<String>>) -> Result<Stanza> {
        let words =
            first.strip_prefix(START).ok_or_else(|| malformed("a section does not begin with `-> `"))?;
        let mut words = words.split(' ').map(str::to_owned).collect::<Vec<_>>();
        if !words.iter().all(|word| !word.is_empty() && word.bytes().all(|c| c.is_ascii_graphic())) {
            return Err(malformed("an argument of a section is empty or holds what cannot be printed"));
        }
        let kind = words.remove(0);
        let mut text = Zeroizing::new(String::new());
        loop {
            let line = next()?;
            if line.len() > COLUMNS {
                return Err(malformed("a line of a section is longer than 64 characters"));
            }
            text.push_str(&line);
            if line.len() < COLUMNS {
                break;
            }
        }
        let body = base64(&text).ok_or_else(|| malformed("a section is not Base64 as it should be"))?;
        Ok(Stanza { kind, arguments: words, body })
    }

    /// The arguments after the type, if there are as many as the type has.
    pub(super) fn exactly<const N: usize>(&self) -> Result<[&str; N]> {
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        let wrong =
            |_| malformed(&format!("a section `{}` must have {N} arguments", canis_proto::quote(&self.kind)));
        <[&str; N]>::try_from(arguments).map_err(wrong)
    }
}

/// Base64 without padding, in the one form that is canonical.
pub(super) fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    Base64Unpadded::decode_vec(text).ok().map(Zeroizing::new)
}
