//! PKCS#12 files (RFC 7292), `.p12` or `.pfx`: keys and certificates under a passphrase, as `openssl pkcs12 -export`,
//! Java's keytool, NSS and Windows write them. Read only.
//!
//! The MAC is checked before anything inside is looked at, so that what is parsed behind it is what whoever knew the
//! passphrase put there. It stands for integrity where the old ciphers have none.

use super::ber;
use super::pbes2::{self, Iterations, wrong_passphrase};
use super::pkcs12_encryption::{Passphrase, Purpose};
use crate::crypto::refusal::bad_private_key;
use crate::crypto::{Hash, MAX_DIGEST, Provider};
use crate::format::file::AskPassphrase;
use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, Result};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode, Reader, Sequence, SliceReader, Tag, TagNumber};
use spki::AlgorithmIdentifierRef;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The longest file taken, in bytes: room for hundreds of certificates.
pub const MAX_FILE: usize = 1 << 20;
/// The most bags, keys and certificates and all else, that are looked at.
const MAX_BAGS: usize = 1024;

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
const SHROUDED_KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERTIFICATE_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const SECRET_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.5");
const X509: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");
const FRIENDLY_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.20");

/// The hashes of MACs.
const HASHES: [(ObjectIdentifier, Hash); 5] = [
    (ObjectIdentifier::new_unwrap("1.3.14.3.2.26"), Hash::Sha1),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.4"), Hash::Sha224),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"), Hash::Sha256),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2"), Hash::Sha384),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3"), Hash::Sha512),
];

#[derive(Sequence)]
struct Pfx<'a> {
    version: u8,
    contents: ContentInfo<'a>,
    #[asn1(optional = "true")]
    mac: Option<MacData<'a>>,
}

#[derive(Sequence)]
struct ContentInfo<'a> {
    kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    content: AnyRef<'a>,
}

#[derive(Sequence)]
struct MacData<'a> {
    mac: DigestInfo<'a>,
    salt: &'a OctetStringRef,
    #[asn1(default = "one")]
    iterations: u32,
}

fn one() -> u32 {
    1
}

#[derive(Sequence)]
struct DigestInfo<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    digest: &'a OctetStringRef,
}

#[derive(Sequence)]
struct EncryptedData<'a> {
    version: u8,
    content: EncryptedContentInfo<'a>,
}

#[derive(Sequence)]
struct EncryptedContentInfo<'a> {
    kind: ObjectIdentifier,
    algorithm: AlgorithmIdentifierRef<'a>,
    /// An OCTET STRING behind the implicit tag 0, in one piece or several.
    encrypted: AnyRef<'a>,
}

#[derive(Sequence)]
struct Bag<'a> {
    kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    value: AnyRef<'a>,
    #[asn1(optional = "true")]
    attributes: Option<AnyRef<'a>>,
}

#[derive(Sequence)]
struct CertificateBag<'a> {
    kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    value: &'a OctetStringRef,
}

/// A private key in a file.
pub struct NamedKey {
    /// The name that the file gives it (friendlyName, the alias of Java), if any.
    pub name: Option<String>,
    /// The key, PKCS#8 DER.
    pub pkcs8: SecretBytes,
}

/// What a file holds.
#[derive(Default)]
pub struct Contents {
    /// Private keys.
    pub keys: Vec<NamedKey>,
    /// X.509 certificates, DER; nothing in them was looked at.
    pub certificates: Vec<Vec<u8>>,
    /// How many secret keys there are, which Java alone puts there, in a form of its own.
    pub secret_keys: usize,
    /// How many other things: revocation lists, certificates of other kinds.
    pub others: usize,
}

/// Whether this is meant as a PKCS#12 file: a SEQUENCE that begins with the version 3 and another SEQUENCE.
#[must_use]
pub fn is_pkcs12(bytes: &[u8]) -> bool {
    let header = match bytes {
        [0x30, 0x80, ..] => 2,
        [0x30, len, ..] if *len < 0x80 => 2,
        [0x30, len @ 0x81..=0x84, ..] => 2 + usize::from(len & 0x7f),
        _ => return false,
    };
    bytes.get(header..).is_some_and(|inside| inside.starts_with(&[2, 1, 3, 0x30]))
}

/// Reads a file. `ask` is asked for the passphrase unless the file is under the empty one.
///
/// # Errors
/// `too_large`; `invalid_argument` for what is no such file, has no MAC, or asks for absurd work; `decryption_failed` for
/// another passphrase or a damaged file; those of `ask`.
pub fn read(provider: &Provider, bytes: &[u8], ask: &mut AskPassphrase<'_>) -> Result<Contents> {
    if bytes.len() > MAX_FILE {
        let message =
            format!("a PKCS#12 file of {} bytes is too large; the limit is {MAX_FILE} bytes", bytes.len());
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    let whole = ber::to_der(bytes).ok_or_else(broken)?;
    let pfx: Pfx<'_> = parsed(&whole)?;
    if pfx.version != 3 || pfx.contents.kind != DATA {
        return Err(bad_private_key("the file is no PKCS#12 of version 3 under a passphrase"));
    }
    let mac = pfx.mac.ok_or_else(|| {
        bad_private_key("the PKCS#12 file has no MAC; if you trust it, open it with `openssl pkcs12 -nodes`")
    })?;
    let safes = octets(&pfx.contents.content)?;
    let mut left = Iterations::of_file();
    let passphrase = opened(provider, &mac, safes, ask, &mut left)?;
    let mut reader = FileReader { provider, passphrase, left, bags: 0, contents: Contents::default() };
    reader.safes(safes)?;
    Ok(reader.contents)
}

/// The passphrase whose MAC this is: the empty one, or the one that is asked for.
fn opened(
    provider: &Provider,
    mac: &MacData<'_>,
    content: &[u8],
    ask: &mut AskPassphrase<'_>,
    left: &mut Iterations,
) -> Result<Passphrase> {
    let oid = mac.mac.algorithm.oid;
    let hash =
        HASHES.into_iter().find(|(known, _)| *known == oid).map(|(_, hash)| hash).ok_or_else(|| {
            bad_private_key(&format!("the MAC {oid} of the PKCS#12 file is none that is read here"))
        })?;
    let mut fits = |passphrase: &Passphrase| {
        let (how, salt) = ((hash, Purpose::Mac), mac.salt.as_bytes());
        let key = passphrase.derive(provider, how, salt, mac.iterations, left, hash.len())?;
        let mut made = [0; MAX_DIGEST];
        let len = provider.mac.hmac(hash, key.expose())?.tag(&[content], &mut made)?;
        Ok::<bool, Error>(made[..len].ct_eq(mac.mac.digest.as_bytes()).into())
    };
    let empty = Passphrase::new(SecretBytes::zeroed(0))?;
    if fits(&empty)? {
        return Ok(empty);
    }
    let passphrase = Passphrase::new(ask()?)?;
    if fits(&passphrase)? { Ok(passphrase) } else { Err(wrong_passphrase()) }
}

struct FileReader<'a> {
    provider: &'a Provider,
    passphrase: Passphrase,
    left: Iterations,
    bags: usize,
    contents: Contents,
}

impl FileReader<'_> {
    /// The AuthenticatedSafe: contents, encrypted each on its own or not at all.
    fn safes(&mut self, ber: &[u8]) -> Result<()> {
        let whole = ber::to_der(ber).ok_or_else(broken)?;
        for safe in elements(&whole)? {
            let ContentInfo { kind, content } = parsed(safe)?;
            if kind == DATA {
                self.bags(octets(&content)?)?;
            } else if kind == ENCRYPTED_DATA {
                let data: EncryptedData<'_> = content.decode_as().map_err(|_| broken())?;
                let EncryptedContentInfo { algorithm, encrypted, .. } = data.content;
                let Tag::ContextSpecific { constructed, number: TagNumber(0) } = der::Tagged::tag(&encrypted)
                else {
                    return Err(broken());
                };
                let encrypted = ber::joined(constructed, encrypted.value()).ok_or_else(broken)?;
                let inside = self.passphrase.open(self.provider, &algorithm, &encrypted, &mut self.left)?;
                self.bags(inside.expose())?;
            } else {
                return Err(bad_private_key("the PKCS#12 file is under a public key, not a passphrase"));
            }
        }
        Ok(())
    }

    fn bags(&mut self, ber: &[u8]) -> Result<()> {
        let whole = ber::to_der(ber).ok_or_else(broken)?;
        for bag in elements(&whole)? {
            self.bags += 1;
            if self.bags > MAX_BAGS {
                return Err(bad_private_key(&format!("the PKCS#12 file holds more than {MAX_BAGS} things")));
            }
            self.bag(&parsed(bag)?)?;
        }
        Ok(())
    }

    fn bag(&mut self, bag: &Bag<'_>) -> Result<()> {
        let Contents { keys, certificates, secret_keys, others } = &mut self.contents;
        let value = Zeroizing::new(bag.value.to_der().map_err(|_| broken())?);
        let name = bag.attributes.as_ref().and_then(friendly_name);
        if bag.kind == KEY_BAG {
            keys.push(NamedKey { name, pkcs8: SecretBytes::copied_from(&value) });
        } else if bag.kind == SHROUDED_KEY_BAG {
            let (algorithm, encrypted) = pbes2::taken_apart(&value)?;
            let pkcs8 = self.passphrase.open(self.provider, &algorithm, encrypted, &mut self.left)?;
            keys.push(NamedKey { name, pkcs8 });
        } else if bag.kind == CERTIFICATE_BAG {
            let certificate: CertificateBag<'_> = parsed(&value)?;
            if certificate.kind == X509 {
                certificates.push(certificate.value.as_bytes().to_vec());
            } else {
                *others += 1;
            }
        } else if bag.kind == SECRET_BAG {
            *secret_keys += 1;
        } else {
            *others += 1;
        }
        Ok(())
    }
}

fn parsed<'a, T: Decode<'a>>(der: &'a [u8]) -> Result<T> {
    T::from_der(der).map_err(|_| broken())
}

/// The octets of a content, which must be an OCTET STRING.
fn octets<'a>(content: &AnyRef<'a>) -> Result<&'a [u8]> {
    let octets: &OctetStringRef = content.decode_as().map_err(|_| broken())?;
    Ok(octets.as_bytes())
}

/// The elements of a SEQUENCE OF, each with its header.
fn elements(der: &[u8]) -> Result<Vec<&[u8]>> {
    let whole: AnyRef<'_> = parsed(der)?;
    der::Tagged::tag(&whole).assert_eq(Tag::Sequence).map_err(|_| broken())?;
    rows(whole.value()).map_err(|_| broken())
}

fn rows(inside: &[u8]) -> der::Result<Vec<&[u8]>> {
    let mut reader = SliceReader::new(inside)?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(reader.tlv_bytes()?);
    }
    Ok(found)
}

/// The friendlyName (PKCS#9, RFC 2985, section 5.5.1) among a bag's attributes: a BMPString. One that cannot be read is
/// none, since nothing hangs on it but how people call the key.
fn friendly_name(attributes: &AnyRef<'_>) -> Option<String> {
    for attribute in rows(attributes.value()).ok()? {
        let parts = rows(AnyRef::from_der(attribute).ok()?.value()).ok()?;
        let [kind, values] = parts[..] else { continue };
        if ObjectIdentifier::from_der(kind).ok() == Some(FRIENDLY_NAME) {
            let value = *rows(AnyRef::from_der(values).ok()?.value()).ok()?.first()?;
            let units = AnyRef::from_der(value).ok()?.value().chunks(2);
            let units = units.map(|pair| pair.try_into().map(u16::from_be_bytes));
            return String::from_utf16(&units.collect::<std::result::Result<Vec<_>, _>>().ok()?).ok();
        }
    }
    None
}

fn broken() -> Error {
    bad_private_key("the file is no PKCS#12, or damaged")
}
