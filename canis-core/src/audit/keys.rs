//! The keys of the audit log. All come from one random secret that the store keeps sealed, so that a new root key does not
//! make old lines unreadable. A store without a root has no secrets: there the secret is made of the store's id, and the
//! log is a checksum (docs/storage.md).

use crate::crypto::xaes::XaesKey;
use crate::crypto::{Hash, MAX_DIGEST, MacKey, PrivateKey, Provider, SignScheme};
use crate::keyring::seal::{derive, derive_xaes};
use crate::secret::SecretBytes;
use canis_proto::value::Value;
use canis_proto::{Error, Id, KeyType, Result};

/// What stands before the 32 bytes of a private key in PKCS#8 (RFC 8410, section 7).
const ED25519: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The keys.
pub(crate) struct AuditKeys {
    provider: &'static Provider,
    mac: Box<dyn MacKey>,
    digest: SecretBytes,
    seal: XaesKey,
    sign: Box<dyn PrivateKey>,
}

impl AuditKeys {
    /// Derives them.
    pub(crate) fn new(provider: &'static Provider, secret: &SecretBytes) -> Result<Self> {
        let mac = derive(provider, secret, "canis/v1/audit-line")?;
        let seed = derive(provider, secret, "canis/v1/audit-sign")?;
        let pkcs8 = SecretBytes::filled(ED25519.len() + seed.len(), |out| {
            out[..ED25519.len()].copy_from_slice(&ED25519);
            out[ED25519.len()..].copy_from_slice(seed.expose());
            Ok::<_, Error>(())
        })?;
        Ok(AuditKeys {
            provider,
            mac: provider.mac.hmac(Hash::Sha256, mac.expose())?,
            digest: derive(provider, secret, "canis/v1/audit-digest")?,
            seal: derive_xaes(provider, secret, "canis/v1/audit-row")?,
            sign: provider.keys.private(KeyType::Ed25519, pkcs8.expose())?,
        })
    }

    /// The MAC of a line that comes after the line with the MAC `before`.
    pub(crate) fn line_mac(&self, before: &[u8; 32], line: &[u8]) -> Result<[u8; 32]> {
        let mut out = [0; MAX_DIGEST];
        self.mac.tag(&[before, line], &mut out)?;
        Ok(std::array::from_fn(|at| out[at]))
    }

    /// What stands for a context or the identifier of an entry: nobody without the key can try guesses against it.
    pub(crate) fn digest(&self, tenant: Option<Id>, kind: u8, bytes: &[u8]) -> [u8; 16] {
        let tenant = tenant.unwrap_or(Id::STORE);
        let tag = self.provider.mac.hmac_sha256(self.digest.expose(), &[&[kind], tenant.as_bytes(), bytes]);
        std::array::from_fn(|at| tag[at])
    }

    /// Seals what stands in the row of a table.
    pub(crate) fn seal(&self, table: &str, writer: Id, number: u64, record: &[u8]) -> Result<Vec<u8>> {
        self.seal.seal_to_vec(&place(table, writer, number), record)
    }

    /// Opens it.
    pub(crate) fn open(&self, table: &str, writer: Id, number: u64, sealed: &[u8]) -> Result<Vec<u8>> {
        let open = || {
            let len = crate::crypto::xaes::plaintext_len(sealed.len())?;
            let mut record = vec![0; len];
            self.seal.open_from_slice(&place(table, writer, number), sealed, &mut record).ok()?;
            Some(record)
        };
        open().ok_or_else(|| {
            let why = format!("a row of {table} of the audit writer {writer} was changed by other hands");
            Error::new(canis_proto::ErrorCode::StoreTampered, why)
        })
    }

    /// Signs the SHA-256 of a segment.
    pub(crate) fn sign(&self, digest: &[u8; 32]) -> Result<[u8; 64]> {
        let mut signature = [0; 64];
        self.sign.sign(SignScheme::Ed25519, digest, &mut signature)?;
        Ok(signature)
    }

    /// The public key, SubjectPublicKeyInfo DER.
    pub(crate) fn public(&self) -> &[u8] {
        self.sign.public_spki()
    }
}

fn place(table: &str, writer: Id, number: u64) -> Vec<u8> {
    Value::Array(vec![
        Value::from("canis/v1/audit"),
        Value::from(table),
        Value::from(&writer.0[..]),
        Value::from(number),
    ])
    .encode()
}
