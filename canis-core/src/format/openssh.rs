//! Keys as OpenSSH keeps them: the private file (PROTOCOL.key of OpenSSH) and the public line (sshd(8)).

use super::Given;
use super::public::{openssh_curve, openssh_name, put_number, put_string};
use crate::crypto::private_parts::{Part, PrivateParts, RsaParts};
use crate::crypto::public_parts::PublicParts;
use crate::crypto::refusal::{bad_private_key, bad_public_key};
use crate::crypto::{BLOCK, BlockMode, CipherStream, Direction, Iv, Provider};
use crate::secret::SecretBytes;
use base64ct::{Base64, Encoding};
use canis_proto::{Error, ErrorCode, KeyType, Result};

const MAGIC: &[u8] = b"openssh-key-v1\0";
/// The most rounds of bcrypt that are run; `ssh-keygen -a` takes 24 unless told otherwise.
const MAX_ROUNDS: u32 = 512;

/// What opens an encrypted file.
#[derive(Clone, Copy)]
pub struct Opener<'a> {
    /// Runs AES.
    pub provider: &'a Provider,
    /// The passphrase.
    pub passphrase: &'a [u8],
}

/// Whether the private key in this file is under a passphrase; `false` for what is no such file.
#[must_use]
pub fn is_encrypted(blob: &[u8]) -> bool {
    let cipher = blob.strip_prefix(MAGIC).and_then(|rest| Reader(rest).string());
    cipher.is_some_and(|cipher| cipher != b"none")
}

/// Reads the inside of an `OPENSSH PRIVATE KEY`.
///
/// # Errors
/// `invalid_argument` naming what is wrong; `decryption_failed` for a wrong passphrase.
pub fn decode(blob: &[u8], opener: Option<Opener<'_>>) -> Result<Given> {
    let rest = blob.strip_prefix(MAGIC).ok_or_else(|| bad_private_key("it is no private key of OpenSSH"))?;
    let (envelope, rest) = Envelope::read(rest).ok_or_else(broken)?;
    let cipher = cipher(envelope.cipher)?;
    if !rest.is_empty() || envelope.keys != 1 {
        return Err(bad_private_key("it does not hold exactly one key"));
    }
    let clear = match (cipher, opener) {
        (None, _) => SecretBytes::copied_from(envelope.private),
        (Some(_), None) => {
            return Err(bad_private_key(
                "it is under a passphrase, which only the program `canis` asks for; or take it off with `ssh-keygen -p`",
            ));
        }
        (Some(cipher), Some(opener)) => envelope.open(cipher, opener)?,
    };
    let block = if cipher.is_none() { 8 } else { BLOCK };
    let inside = clear.expose();
    // Two numbers that are the same if the passphrase is right.
    let (checks, rest) = inside.split_at_checked(8).ok_or_else(broken)?;
    if !inside.len().is_multiple_of(block) || checks[..4] != checks[4..] {
        return Err(if cipher.is_none() { broken() } else { wrong_passphrase() });
    }
    key(rest, envelope.public)
}

/// The length of the cipher's key, and whether its mode is CTR or else CBC; `None` for no cipher.
fn cipher(name: &[u8]) -> Result<Option<(usize, bool)>> {
    match name {
        b"none" => Ok(None),
        b"aes128-ctr" => Ok(Some((16, true))),
        b"aes192-ctr" => Ok(Some((24, true))),
        b"aes256-ctr" => Ok(Some((32, true))),
        b"aes256-cbc" => Ok(Some((32, false))),
        _ => Err(bad_private_key(
            "it is not encrypted by AES in CTR or CBC; rewrite it with `ssh-keygen -p -Z aes256-ctr`",
        )),
    }
}

/// What stands around the private part.
struct Envelope<'a> {
    cipher: &'a [u8],
    kdf: &'a [u8],
    options: &'a [u8],
    keys: u32,
    public: &'a [u8],
    private: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut from = Reader(bytes);
        let envelope = Envelope {
            cipher: from.string()?,
            kdf: from.string()?,
            options: from.string()?,
            keys: from.number()?,
            public: from.string()?,
            private: from.string()?,
        };
        Some((envelope, from.0))
    }

    fn open(&self, (key_len, ctr): (usize, bool), opener: Opener<'_>) -> Result<SecretBytes> {
        let mut options = Reader(self.options);
        let (salt, rounds) = options.string().zip(options.number()).ok_or_else(broken)?;
        if self.kdf != b"bcrypt" || !options.0.is_empty() || salt.is_empty() {
            return Err(bad_private_key("its passphrase does not go through bcrypt"));
        }
        if !(1..=MAX_ROUNDS).contains(&rounds) || salt.len() > 64 {
            return Err(bad_private_key(&format!("its bcrypt asks for more than {MAX_ROUNDS} rounds")));
        }
        let derived = SecretBytes::filled(key_len + BLOCK, |out| {
            bcrypt_pbkdf::bcrypt_pbkdf(opener.passphrase, salt, rounds, out).map_err(|_| wrong_passphrase())
        })?;
        let (key, iv) = derived.expose().split_at(key_len);
        let iv: [u8; BLOCK] = iv.try_into().map_err(|_| broken())?;
        let mode =
            if ctr { BlockMode::Ctr { counter: iv, bits: 128 } } else { BlockMode::Cbc { iv: Iv::new(iv) } };
        let cipher = opener.provider.cipher.aes(key)?;
        if !self.private.len().is_multiple_of(BLOCK) {
            return Err(broken());
        }
        SecretBytes::filled(self.private.len(), |out| {
            CipherStream::new(&*cipher, mode, Direction::Decrypt)?.update(self.private, out).map(drop)
        })
    }
}

/// The key, its comment, and padding 1, 2, 3, …; the public half outside must be the key's.
fn key(bytes: &[u8], outside: &[u8]) -> Result<Given> {
    let mut from = Reader(bytes);
    let name = from.string().ok_or_else(broken)?;
    let kind = type_of(name);
    let mut public = Vec::new();
    put_string(&mut public, name);
    let given = match (name, kind) {
        (b"ssh-rsa", _) => rsa(&mut from, &mut public),
        (_, Some(KeyType::Ed25519)) => ed25519(&mut from, &mut public),
        (_, Some(curve)) => ec(curve, &mut from, &mut public),
        (_, None) => return Err(bad_private_key("it is of an algorithm that CANIS has no type for")),
    };
    let given = given.ok_or_else(broken)?;
    from.string().ok_or_else(broken)?;
    let padded = from.0.iter().zip(1..).all(|(byte, at)| *byte == at) && from.0.len() < BLOCK;
    if !padded || public != outside {
        return Err(bad_private_key("its padding or its public half is not its own"));
    }
    Ok(given)
}

fn rsa(from: &mut Reader<'_>, public: &mut Vec<u8>) -> Option<Given> {
    let (n, e) = (from.positive()?.to_vec(), from.positive()?.to_vec());
    put_number(public, &e);
    put_number(public, &n);
    let mut secret = || from.positive().map(|number| Part::from(number.to_vec()));
    let (d, coefficient, p, q) = (secret()?, secret()?, secret()?, secret()?);
    Some(Given::alone(PrivateParts::Rsa(RsaParts {
        modulus: n,
        public_exponent: e,
        private_exponent: d,
        prime_1: Some(p),
        prime_2: Some(q),
        coefficient: Some(coefficient),
        ..RsaParts::default()
    })))
}

fn ed25519(from: &mut Reader<'_>, public: &mut Vec<u8>) -> Option<Given> {
    let (point, both) = (from.string()?, from.string()?);
    put_string(public, point);
    let (seed, again) = both.split_at_checked(32)?;
    let parts = PrivateParts::Seed { kind: KeyType::Ed25519, seed: seed.to_vec().into() };
    (again == point).then(|| Given::Private { parts, point: Some(point.to_vec()) })
}

fn ec(curve: KeyType, from: &mut Reader<'_>, public: &mut Vec<u8>) -> Option<Given> {
    let (name, point) = (from.string()?, from.string()?);
    put_string(public, name);
    put_string(public, point);
    let scalar = from.positive()?.to_vec().into();
    let fits = Some(name) == openssh_curve(curve).map(str::as_bytes);
    fits.then(|| Given::Private { parts: PrivateParts::Ec { curve, scalar }, point: Some(point.to_vec()) })
}

/// The type of a name that belongs to one type alone; RSA has one name for all sizes.
fn type_of(name: &[u8]) -> Option<KeyType> {
    let named = |kind: &KeyType| openssh_name(*kind).is_some_and(|known| known.as_bytes() == name);
    KeyType::ALL.iter().copied().find(named)
}

/// Reads a line of `authorized_keys` without options, or an `id_….pub`.
///
/// # Errors
/// `invalid_argument` naming what is wrong; `invalid_key_type` for an RSA modulus of a size that no type has.
pub fn decode_public(line: &str) -> Result<PublicParts> {
    let mut words = line.split_ascii_whitespace();
    let (name, text) = words.next().zip(words.next()).ok_or_else(no_line)?;
    let blob = Base64::decode_vec(text).map_err(|_| no_line())?;
    let mut from = Reader(&blob);
    if from.string() != Some(name.as_bytes()) {
        return Err(no_line());
    }
    let parts = match (name, type_of(name.as_bytes())) {
        ("ssh-rsa", _) => from
            .positive()
            .map(<[u8]>::to_vec)
            .and_then(|exponent| Some(PublicParts::Rsa { exponent, modulus: from.positive()?.to_vec() })),
        (_, Some(KeyType::Ed25519)) => {
            from.string().and_then(|point| point.try_into().ok()).map(|point| PublicParts::Edwards { point })
        }
        (_, Some(curve)) => (from.string() == openssh_curve(curve).map(str::as_bytes))
            .then(|| from.string())
            .flatten()
            .map(|point| PublicParts::Ec { curve, point: point.to_vec() }),
        (_, None) => None,
    };
    parts.filter(|_| from.0.is_empty()).ok_or_else(no_line)
}

fn no_line() -> Error {
    bad_public_key("it is no public key of OpenSSH that CANIS has a type for")
}

fn broken() -> Error {
    bad_private_key("it is not what OpenSSH writes")
}

fn wrong_passphrase() -> Error {
    Error::new(ErrorCode::DecryptionFailed, "the passphrase is not the key's, or the file is damaged")
}

/// What RFC 4251, section 5, calls string, uint32 and mpint.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    /// An mpint above zero in its one shortest form, without the byte that keeps it positive.
    fn positive(&mut self) -> Option<&'a [u8]> {
        match self.string()? {
            [0, rest @ ..] if rest.first().is_some_and(|high| high & 0x80 != 0) => Some(rest),
            number if number.first().is_some_and(|high| (1..0x80).contains(high)) => Some(number),
            _ => None,
        }
    }
}
