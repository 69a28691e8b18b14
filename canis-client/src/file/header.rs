//! What stands before a file's body: the recipients' stanzas and a MAC under the file key (age v1, "Header").

use super::canis::is_of_a_pair;
use super::key::FileKey;
use super::recipient::Identity;
use super::stanza::{START, Stanza, base64};
use super::{damaged, hybrid, malformed, ssh, x25519};
use aws_lc_rs::hmac;
use base64ct::{Base64Unpadded, Encoding};
use canis_proto::{Error, ErrorCode, Result};
use std::io::{self, Read};
use zeroize::Zeroizing;

/// The longest header that is read: room for thousands of recipients.
pub const LONGEST_HEADER: usize = 1 << 20;

const VERSION_LINE: &str = "age-encryption.org/v1";

/// What the last line begins with. The MAC covers the header up to here.
const END: &str = "---";

/// Headers with room are a multiple of so many bytes long.
const STEP: usize = 256;

/// They have at least so much room: for more digits of versions, and for keys of another length.
const ROOM: usize = 64;

/// The type of the stanza that is room. Types that end so are nobody's (age v1, "Recipient stanza": unknown ones are ignored).
const PADDING: &str = "canis-grease";

/// The type of the stanza of a passphrase, beside which no other may stand (age v1, "The scrypt recipient type").
const PASSPHRASE: &str = "scrypt";

/// A header as it was read, or made.
#[derive(Clone)]
pub struct Header {
    stanzas: Vec<Stanza>,
    mac: Vec<u8>,
    /// As it stands in the file.
    text: String,
}

impl Header {
    /// The header of a file with this key.
    ///
    /// # Errors
    /// `invalid_argument` where a post-quantum recipient would stand beside one that is not; `internal`.
    pub fn new(stanzas: Vec<Stanza>, key: &FileKey) -> Result<Header> {
        keep_apart(&stanzas)?;
        let mut text = format!("{VERSION_LINE}\n");
        for stanza in &stanzas {
            text += &stanza.to_text();
        }
        text += END;
        let mac = hmac::sign(&key.mac_key()?, text.as_bytes()).as_ref().to_vec();
        text += &format!(" {}\n", Base64Unpadded::encode_string(&mac));
        Ok(Header { stanzas, mac, text })
    }

    /// The same with room for what a later rewrap writes: it is a multiple of [`STEP`] bytes long, by a stanza of no kind that
    /// anybody knows, which the format has everybody ignore.
    ///
    /// # Errors
    /// As [`Header::new`].
    pub fn with_room(stanzas: Vec<Stanza>, key: &FileKey) -> Result<Header> {
        let bare = Header::new(stanzas, key)?;
        let len = (bare.text.len() + ROOM).next_multiple_of(STEP);
        let padded = Header::of_len(bare.stanzas, key, len)?;
        padded.ok_or_else(|| Error::internal("a header cannot be padded"))
    }

    /// The same with exactly so many bytes; `None` if it cannot be made that long. Padding that is among the stanzas goes.
    ///
    /// # Errors
    /// As [`Header::new`].
    pub fn of_len(mut stanzas: Vec<Stanza>, key: &FileKey, len: usize) -> Result<Option<Header>> {
        stanzas.retain(|stanza| stanza.kind != PADDING);
        let bare = Header::new(stanzas, key)?;
        if bare.text.len() == len {
            return Ok(Some(bare));
        }
        // `-> `, the kind, a space, the padding and two ends of lines.
        let around = START.len() + PADDING.len() + 3;
        let Some(missing) = len.checked_sub(bare.text.len() + around).filter(|missing| *missing > 0) else {
            return Ok(None);
        };
        let mut stanzas = bare.stanzas;
        stanzas.push(Stanza::new(PADDING, &[&".".repeat(missing)]));
        Header::new(stanzas, key).map(Some)
    }

    /// Reads a header, and not a byte more.
    ///
    /// # Errors
    /// `unsupported_format` for what is no header of age v1, or longer than [`LONGEST_HEADER`]; `invalid_argument` if it
    /// cannot be read.
    pub fn read(input: &mut impl Read) -> Result<Header> {
        let mut lines = Lines { input, text: String::new() };
        if lines.next()?.as_str() != VERSION_LINE {
            return Err(malformed("it does not begin with `age-encryption.org/v1`"));
        }
        let mut stanzas = Vec::new();
        let last = loop {
            let line = lines.next()?;
            if !line.starts_with(START) {
                break line;
            }
            stanzas.push(Stanza::read(&line, || lines.next())?);
        };
        let mac = last.strip_prefix(END).and_then(|rest| rest.strip_prefix(' ')).and_then(base64);
        let mac = mac.filter(|mac| mac.len() == 32).ok_or_else(|| malformed("its header ends in no MAC"))?;
        if stanzas.is_empty() {
            return Err(malformed("its header names no recipient"));
        }
        Ok(Header { stanzas, mac: mac.to_vec(), text: lines.text })
    }

    /// Whether a stanza is room for later, and no recipient's.
    #[must_use]
    pub fn is_padding(stanza: &Stanza) -> bool {
        stanza.kind == PADDING
    }

    /// One for each recipient, and room for later.
    #[must_use]
    pub fn stanzas(&self) -> &[Stanza] {
        &self.stanzas
    }

    /// As it stands in the file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The file key that the first identity that can opens, after the header's MAC was checked with it.
    ///
    /// # Errors
    /// `key_not_found` if none of the identities is a recipient; `decryption_failed` if the header was changed; what an
    /// identity fails with, if no other opens the file.
    pub fn open(&self, identities: &[&dyn Identity]) -> Result<FileKey> {
        if self.stanzas.len() > 1 && self.stanzas.iter().any(|stanza| stanza.kind == PASSPHRASE) {
            return Err(malformed(
                "it is for a passphrase and for others, which would not know who wrote it",
            ));
        }
        let mut failed = None;
        for identity in identities {
            match identity.unwrap(&self.stanzas) {
                Ok(Some(key)) => return self.verify(&key).map(|()| key),
                Ok(None) => {}
                // What stands in the header is wrong for everyone.
                Err(error) if error.code == ErrorCode::UnsupportedFormat => return Err(error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or_else(|| {
            Error::new(
                ErrorCode::KeyNotFound,
                "none of the keys and identities given is a recipient of this file; `canis file info` names those that are",
            )
        }))
    }

    /// Whether the header is the one that was made with this file key.
    ///
    /// # Errors
    /// `decryption_failed` if it is not.
    pub fn verify(&self, key: &FileKey) -> Result<()> {
        let covered = self.text.rfind(END).map_or(0, |at| at + END.len());
        hmac::verify(&key.mac_key()?, &self.text.as_bytes()[..covered], &self.mac)
            .map_err(|_| damaged("the file's header was changed after it was made"))
    }
}

/// A file opens for the weakest of its recipients: beside one whose key a quantum computer finds, a post-quantum recipient would
/// promise what does not hold (age v1, "The MLKEM768-X25519 hybrid post-quantum recipient type"). Symmetric keys of CANIS may stand
/// beside either.
fn keep_apart(stanzas: &[Stanza]) -> Result<()> {
    let is_classic = |stanza: &&Stanza| {
        matches!(stanza.kind.as_str(), x25519::KIND | ssh::RSA | ssh::ED25519) || is_of_a_pair(stanza)
    };
    let classic = stanzas.iter().find(is_classic);
    match classic {
        Some(classic) if stanzas.iter().any(|stanza| stanza.kind == hybrid::KIND) => {
            Err(Error::invalid(format!(
                "a post-quantum recipient, `age1pq1…`, cannot stand beside one that a quantum computer would open \
                 (`{}`): encrypt for post-quantum recipients and AES keys alone, or make two files",
                canis_proto::quote(&classic.kind)
            )))
        }
        _ => Ok(()),
    }
}

/// Lines of a header, byte by byte: what follows it is another's.
struct Lines<'a, R> {
    input: &'a mut R,
    text: String,
}

impl<R: Read> Lines<'_, R> {
    fn next(&mut self) -> Result<Zeroizing<String>> {
        let start = self.text.len();
        let mut byte = [0];
        loop {
            match self.input.read_exact(&mut byte) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(malformed("it ends within its header"));
                }
                Err(error) => return Err(unreadable(error)),
            }
            if self.text.len() == LONGEST_HEADER {
                return Err(malformed("its header is longer than 1 MiB"));
            }
            match byte {
                [b'\n'] => break,
                [byte] if byte.is_ascii() && !byte.is_ascii_control() => self.text.push(char::from(byte)),
                _ => return Err(malformed("its header holds what cannot be printed")),
            }
        }
        let line = Zeroizing::new(self.text[start..].to_owned());
        self.text.push('\n');
        Ok(line)
    }
}

/// What reading fails with; an error of ours that went through `std::io` comes out again.
pub(super) fn unreadable(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => ours,
        Err(error) => Error::invalid(format!("the file cannot be read: {error}")),
    }
}
