//! Keys that a server of CANIS keeps: `-> canis <name> <version>` and what `encrypt` made of the file key, or
//! `-> canis <name> <version> <share>` and the file key under what the key shares with an ephemeral one.
//!
//! A server sees 16 bytes of each file, under a context of its own: what was encrypted otherwise is no file key, and a file
//! key is nothing that another program decrypts by mistake.

use super::header::Header;
use super::key::{FileKey, WRAPPED};
use super::public::{PublicRecipient, info, x25519_public, x25519_spki};
use super::recipient::{Identity, Recipient};
use super::stanza::{Stanza, base64};
use super::{damaged, malformed, x25519};
use crate::Shared;
use canis_proto::answer::{Decrypted, Derived, Encrypted, KeyInfo};
use canis_proto::batch::{self, MAX_BATCH, item};
use canis_proto::message::{Batch, Decrypt, Derive, Encrypt, PublicKey, ShowKey};
use canis_proto::text::{Sealed, sealed_text};
use canis_proto::value::Map;
use canis_proto::{AgreementKdf, Error, ErrorCode, Family, HashName, KeyName, Result, Usage};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The type of the stanza.
pub(super) const KIND: &str = "canis";

/// What file keys are bound to: the context of `encrypt`, the label of RSA-OAEP, the start of the info of HKDF.
pub(super) const CONTEXT: &[u8] = b"age-encryption.org/v1/canis";

/// A key that a server keeps, in its current version.
pub struct KeyRecipient {
    server: Arc<Shared>,
    name: KeyName,
    /// Wraps without the server.
    public: Option<PublicRecipient>,
}

impl KeyRecipient {
    /// Asks the server what kind of key it is. For a pair its public key is fetched, and the server not asked again; a symmetric
    /// key wraps every file key itself. So it does where the caller may not look at the key.
    ///
    /// # Errors
    /// What the server answers.
    pub fn new(server: Arc<Shared>, name: &str) -> Result<Self> {
        let name = KeyName::parse(name)?;
        let public = match server.call(&ShowKey { name: name.as_str().into(), before_version: 0 }) {
            Ok(key) if key.kind.is_asymmetric() => {
                opens_files(&key)?;
                let public = server.call(&PublicKey { name: name.as_str().into(), version: 0 })?;
                Some(PublicRecipient::new(name.as_str(), public.version, &public.spki)?)
            }
            Ok(_) => None,
            Err(error) if error.code == ErrorCode::PermissionDenied => None,
            Err(error) => return Err(error),
        };
        Ok(KeyRecipient { server, name, public })
    }

    /// The public key, of a pair.
    #[must_use]
    pub fn public(&self) -> Option<&PublicRecipient> {
        self.public.as_ref()
    }

    fn request<'a>(&'a self, key: &'a FileKey) -> Encrypt<'a> {
        Encrypt { context: CONTEXT.into(), ..Encrypt::new(self.name.as_str(), key.expose()) }
    }

    fn stanza(&self, answer: &Encrypted) -> Result<Stanza> {
        let sealed = Sealed::parse(&answer.ciphertext)?;
        let arguments = [self.name.as_str(), &sealed.version.to_string()];
        Ok(Stanza::new(KIND, &arguments).with_body(sealed.bytes))
    }
}

impl Recipient for KeyRecipient {
    fn wrap(&self, key: &FileKey) -> Result<Stanza> {
        match &self.public {
            Some(public) => public.wrap(key),
            None => self.stanza(&self.server.call(&self.request(key))?),
        }
    }

    fn wrap_all(&self, keys: &[FileKey]) -> Result<Vec<Stanza>> {
        if self.public.is_some() || keys.len() < 2 {
            return keys.iter().map(|key| self.wrap(key)).collect();
        }
        let mut stanzas = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MAX_BATCH) {
            let requests: Vec<_> = keys.iter().map(|key| self.request(key)).collect();
            for answer in ask_all(&self.server, requests.iter().map(item).collect())? {
                stanzas.push(self.stanza(&batch::read::<Encrypted>(&answer?)?)?);
            }
        }
        Ok(stanzas)
    }
}

/// Whether what is encrypted for a pair can be opened again: nobody asks its server before.
fn opens_files(key: &KeyInfo) -> Result<()> {
    let (usage, named) = match key.kind.family() {
        Family::Rsa => (Usage::DECRYPT, "decrypt"),
        _ => (Usage::DERIVE, "derive"),
    };
    if key.usage.allows(usage) {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::OperationNotAllowed,
        format!("key `{}` is not to be used to {named}, so that it would open no file", key.name),
    ))
}

/// Opens files with keys that a server keeps; the private ones stay there.
pub struct KeyIdentity {
    server: Arc<Shared>,
    /// The only key that is used.
    name: Option<KeyName>,
}

impl KeyIdentity {
    /// Opens by any key that a file names and the caller may use.
    #[must_use]
    pub fn any(server: Arc<Shared>) -> Self {
        KeyIdentity { server, name: None }
    }

    /// Opens by this key and no other. If it is an X25519 key, so are files that age wrote for its public key.
    ///
    /// # Errors
    /// `invalid_name`.
    pub fn named(server: Arc<Shared>, name: &str) -> Result<Self> {
        Ok(KeyIdentity { server, name: Some(KeyName::parse(name)?) })
    }

    /// The keys of several files, in their order, asked for in few requests. What one file fails with stands in its place.
    ///
    /// # Errors
    /// What the server answers to all of them.
    pub fn unwrap_all(&self, headers: &[&Header]) -> Result<Vec<Result<FileKey>>> {
        let mut keys = Vec::with_capacity(headers.len());
        for headers in headers.chunks(MAX_BATCH) {
            let firsts: Vec<_> = headers.iter().map(|header| self.first(header)).collect();
            let requests = firsts.iter().flatten().map(Wrapped::item).collect();
            let mut answers = ask_all(&self.server, requests)?.into_iter();
            for (header, wrapped) in headers.iter().zip(&firsts) {
                let answer = wrapped.as_ref().and_then(|wrapped| Some((wrapped, answers.next()?)));
                let key = answer.map(|(wrapped, answer)| wrapped.read(&answer?));
                keys.push(match key {
                    Some(Ok(key)) => header.verify(&key).map(|()| key),
                    // Another key may open it; else this tells why none does.
                    _ => header.open(&[self]),
                });
            }
        }
        Ok(keys)
    }

    fn first<'a>(&self, header: &'a Header) -> Option<Wrapped<'a>> {
        Wrapped::of(header.stanzas(), self.name.as_ref()).ok()?.into_iter().next()
    }

    /// What age wrote for the public key of an X25519 key: the server derives what age's own identities derive.
    fn unwrap_plain(&self, name: &KeyName, stanza: &Stanza) -> Result<Option<FileKey>> {
        let share = x25519::share(stanza)?;
        let peer = x25519_spki(&share);
        let mut version = 0;
        loop {
            let public = match self.server.call(&PublicKey { name: name.as_str().into(), version }) {
                Ok(public) => public,
                Err(error) if version > 0 && is_gone(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            // Not a key that age has written anything for.
            let Some(recipient) = x25519_public(&public.spki) else { return Ok(None) };
            let salt = x25519::salt(&share, &recipient);
            let request = derive(name.as_str(), public.version, &peer, &salt, x25519::INFO);
            let derived = self.server.call(&request).map(|derived| Zeroizing::new(derived.key))?;
            if let Some(key) = FileKey::unwrap(wrapping(&derived)?, &stanza.body)? {
                return Ok(Some(key));
            }
            version = public.version - 1;
            if version == 0 {
                return Ok(None);
            }
        }
    }
}

impl Identity for KeyIdentity {
    fn unwrap(&self, stanzas: &[Stanza]) -> Result<Option<FileKey>> {
        let mut failed = None;
        for wrapped in Wrapped::of(stanzas, self.name.as_ref())? {
            match wrapped.ask(&self.server) {
                Ok(key) => return Ok(Some(key)),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(name) = &self.name {
            for stanza in stanzas.iter().filter(|stanza| stanza.kind == x25519::KIND) {
                match self.unwrap_plain(name, stanza) {
                    Ok(None) => {}
                    Ok(Some(key)) => return Ok(Some(key)),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
        }
        failed.map_or(Ok(None), Err)
    }
}

/// What a stanza tells of a key of CANIS.
pub struct KeyStanza {
    /// The key.
    pub name: String,
    /// Its version.
    pub version: u32,
}

impl KeyStanza {
    /// Reads one; `None` for a stanza of another kind.
    ///
    /// # Errors
    /// `unsupported_format` for one that is malformed.
    pub fn read(stanza: &Stanza) -> Result<Option<KeyStanza>> {
        if stanza.kind != KIND {
            return Ok(None);
        }
        let wrapped = Wrapped::parse(stanza)?;
        Ok(Some(KeyStanza { name: wrapped.name.to_owned(), version: wrapped.version }))
    }
}

/// Whether a key pair of CANIS wrapped the file key: by an ephemeral share, or by RSA, which makes of 16 bytes as many as its modulus
/// has. What an AES key makes of them is shorter than that of any RSA key.
pub(super) fn is_of_a_pair(stanza: &Stanza) -> bool {
    const LEAST_MODULUS: usize = 2048 / 8;
    stanza.kind == KIND && (stanza.arguments.len() > 2 || stanza.body.len() >= LEAST_MODULUS)
}

/// A stanza of a key of CANIS.
pub(super) struct Wrapped<'a> {
    pub(super) name: &'a str,
    pub(super) version: u32,
    /// The ephemeral public key, SubjectPublicKeyInfo in DER, where there is one.
    pub(super) share: Option<Zeroizing<Vec<u8>>>,
    pub(super) body: &'a [u8],
}

impl<'a> Wrapped<'a> {
    /// Those of `only`, or of any key.
    pub(super) fn of(stanzas: &'a [Stanza], only: Option<&KeyName>) -> Result<Vec<Wrapped<'a>>> {
        let ours = stanzas
            .iter()
            .filter(|stanza| stanza.kind == KIND)
            .map(Wrapped::parse)
            .collect::<Result<Vec<_>>>()?;
        Ok(ours.into_iter().filter(|wrapped| only.is_none_or(|only| only.as_str() == wrapped.name)).collect())
    }

    fn parse(stanza: &'a Stanza) -> Result<Wrapped<'a>> {
        let wrong = || malformed("a section `canis` is not as it should be");
        let (name, version, share) = match &stanza.arguments[..] {
            [name, version] => (name, version, None),
            [name, version, share] => (name, version, Some(base64(share).ok_or_else(wrong)?)),
            _ => return Err(wrong()),
        };
        KeyName::parse(name).map_err(|_| wrong())?;
        let number =
            version.parse::<u32>().ok().filter(|number| *number > 0 && number.to_string() == *version);
        if share.is_some() && stanza.body.len() != WRAPPED {
            return Err(wrong());
        }
        Ok(Wrapped { name, version: number.ok_or_else(wrong)?, share, body: &stanza.body })
    }

    fn ask(&self, server: &Shared) -> Result<FileKey> {
        match &self.share {
            Some(share) => {
                let derived = server.call(&self.derivation(share, &info(self.name, self.version)))?;
                self.opened(derived)
            }
            None => decrypted(
                server.call(&Decrypt { context: CONTEXT.into(), ..Decrypt::new(self.name, self.text()) })?,
            ),
        }
    }

    fn item(&self) -> Map<'static> {
        match &self.share {
            Some(share) => item(&self.derivation(share, &info(self.name, self.version))).into_owned(),
            None => item(&Decrypt { context: CONTEXT.into(), ..Decrypt::new(self.name, self.text()) })
                .into_owned(),
        }
    }

    fn read(&self, answer: &Map<'static>) -> Result<FileKey> {
        match &self.share {
            Some(_) => self.opened(batch::read::<Derived>(answer)?),
            None => decrypted(batch::read::<Decrypted>(answer)?),
        }
    }

    fn text(&self) -> String {
        sealed_text(self.name, self.version, self.body)
    }

    fn derivation<'b>(&'b self, share: &'b [u8], info: &'b [u8]) -> Derive<'b> {
        derive(self.name, self.version, share, share, info)
    }

    fn opened(&self, derived: Derived) -> Result<FileKey> {
        let derived = Zeroizing::new(derived.key);
        FileKey::unwrap(wrapping(&derived)?, self.body)?.ok_or_else(|| {
            damaged(&format!("key `{}`, version {}, does not open this file", self.name, self.version))
        })
    }
}

fn decrypted(answer: Decrypted) -> Result<FileKey> {
    FileKey::from_slice(&Zeroizing::new(answer.plaintext))
}

fn derive<'a>(name: &'a str, version: u32, peer: &'a [u8], salt: &'a [u8], info: &'a [u8]) -> Derive<'a> {
    Derive {
        name: name.into(),
        version,
        peer: peer.into(),
        kdf: AgreementKdf::Hkdf,
        hash: HashName::Sha256,
        salt: salt.into(),
        info: info.into(),
        length: 32,
    }
}

fn wrapping(derived: &[u8]) -> Result<&[u8; 32]> {
    derived.try_into().map_err(|_| Error::internal("the server derived too little"))
}

/// Whether this version is none of those that may still be used.
fn is_gone(error: &Error) -> bool {
    matches!(
        error.code,
        ErrorCode::VersionNotFound | ErrorCode::VersionNotAllowed | ErrorCode::VersionRetired
    )
}

fn ask_all(server: &Shared, operations: Vec<Map<'_>>) -> Result<Vec<Result<Map<'static>>>> {
    if operations.is_empty() {
        return Ok(Vec::new());
    }
    let expected = operations.len();
    let results = server.call(&Batch { operations, atomic: false, preview: false })?.results;
    match results.len() == expected {
        true => Ok(results),
        false => Err(Error::internal("the server answered too little")),
    }
}
