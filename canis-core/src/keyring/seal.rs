//! Sealing rows at rest: XAES-256-GCM with a random nonce, and the row's place as associated data.
//!
//! Why this is safe here: nonces of 192 bits may be drawn at random without a budget; the associated data is the
//! canonical CBOR of [format, tenant, table, row id, version, kind, revision], so a blob that is copied to another
//! row, tenant, version or back in time no longer opens.

use super::renewal::Renewal;
use crate::crypto::Provider;
use crate::crypto::xaes::{self, XaesKey};
use crate::secret::{SecretBytes, wipe_stack};
use canis_proto::value::Value;
use canis_proto::{Error, ErrorCode, Id, Result};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The format of sealed rows.
const FORMAT: u32 = 1;

/// Where a row stands; nothing of it can change without the seal breaking.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The tenant, or [`Id::STORE`].
    pub(crate) tenant: Id,
    /// The table.
    pub(crate) table: &'a str,
    /// The row.
    pub(crate) row: Id,
    /// The key version, else 0.
    pub(crate) version: u32,
    /// What kind of thing is sealed, and for rows written once, their clear columns.
    pub(crate) kind: &'a str,
    /// The row's revision.
    pub(crate) revision: u64,
}

impl Place<'_> {
    /// What a seal is bound to.
    pub(crate) fn aad(&self) -> Vec<u8> {
        Value::Array(vec![
            Value::from(FORMAT),
            Value::from(&self.tenant.0[..]),
            Value::from(self.table),
            Value::from(&self.row.0[..]),
            Value::from(self.version),
            Value::from(self.kind),
            Value::from(self.revision),
        ])
        .encode()
    }

    /// The error for a row that does not open where it stands.
    pub(crate) fn tampered(&self) -> Error {
        Error::new(
            ErrorCode::StoreTampered,
            format!(
                "the {} row {} does not belong where it stands or was changed by other hands; it is refused. \
                 Restore it from a backup",
                self.table, self.row
            ),
        )
    }
}

/// The keys that one 256-bit key opens: a sealing key and a MAC key for clear rows.
pub(crate) struct RowSealer {
    provider: &'static Provider,
    seal: XaesKey,
    mac: SecretBytes,
    /// What rows may have been sealed under since.
    next: RwLock<Option<Arc<RowSealer>>>,
    /// What finds that where another server has done it.
    elsewhere: OnceLock<Renewal>,
}

impl RowSealer {
    /// Derives both keys (HKDF-SHA-256; the labels stand in docs/storage.md).
    pub(crate) fn new(provider: &'static Provider, key: &SecretBytes) -> Result<Self> {
        Ok(RowSealer {
            provider,
            seal: derive_xaes(provider, key, "canis/v1/row-seal")?,
            mac: derive(provider, key, "canis/v1/row-mac")?,
            next: RwLock::default(),
            elsewhere: OnceLock::new(),
        })
    }

    /// Whoever still reads by this one finds rows that were meanwhile sealed under `next`. It seals nothing by that.
    pub(crate) fn followed_by(&self, next: &Arc<RowSealer>) {
        *self.next.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(next));
    }

    /// Whoever reads by this one finds what other servers have sealed since.
    pub(super) fn renewed_by(&self, renewal: Renewal) {
        // It is said once, by whoever opened the tenant.
        drop(self.elsewhere.set(renewal));
    }

    /// `read` by the one that follows, if there is one.
    fn by_next<T>(&self, place: &Place<'_>, read: impl Fn(&RowSealer) -> Result<T>) -> Result<T> {
        let next = self.next.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(done) = next.and_then(|next| read(&next).ok()) {
            return Ok(done);
        }
        match self.elsewhere.get().map(Renewal::look).transpose()?.flatten() {
            Some(next) => {
                self.followed_by(&next);
                read(&next)
            }
            None => Err(place.tampered()),
        }
    }

    /// A sealed value that stands at `place`, under `to`.
    pub(crate) fn moved(&self, to: &RowSealer, place: &Place<'_>, sealed: &[u8]) -> Result<Vec<u8>> {
        to.seal(place, self.open_secret(place, sealed)?.expose())
    }

    /// Seals a record that holds no key bytes in clear.
    pub(crate) fn seal(&self, place: &Place<'_>, record: &[u8]) -> Result<Vec<u8>> {
        self.seal.seal_to_vec(&place.aad(), record)
    }

    /// Opens such a record.
    pub(crate) fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Vec<u8>> {
        let len = xaes::plaintext_len(sealed.len()).ok_or_else(|| place.tampered())?;
        let mut record = vec![0; len];
        match self.seal.open_from_slice(&place.aad(), sealed, &mut record) {
            Ok(()) => Ok(record),
            Err(_) => self.by_next(place, |next| next.open(place, sealed)),
        }
    }

    /// Opens key bytes.
    pub(crate) fn open_secret(&self, place: &Place<'_>, sealed: &[u8]) -> Result<SecretBytes> {
        open_secret(&self.seal, &place.aad(), sealed)
            .or_else(|_| self.by_next(place, |next| next.open_secret(place, sealed)))
    }

    /// Authenticates a record that stays readable.
    pub(crate) fn tag(&self, place: &Place<'_>, record: &[u8]) -> [u8; 32] {
        self.provider.mac.hmac_sha256(self.mac.expose(), &[&place.aad(), record])
    }

    /// Whether `tag` authenticates `record`.
    pub(crate) fn tag_fits(&self, place: &Place<'_>, record: &[u8], tag: &[u8]) -> bool {
        let by_next = |next: &RowSealer| match next.tag_fits(place, record, tag) {
            true => Ok(()),
            false => Err(place.tampered()),
        };
        bool::from(self.tag(place, record).ct_eq(tag)) || self.by_next(place, by_next).is_ok()
    }
}

/// What stands in for a MAC in a store without a root: it finds accidents, not attackers (docs/storage.md).
pub(crate) fn checksum(provider: &Provider, place: &Place<'_>, record: &[u8]) -> [u8; 32] {
    let mut hasher = provider.digest.start(crate::crypto::Hash::Sha256);
    hasher.update(&place.aad());
    hasher.update(record);
    let mut out = [0; crate::crypto::MAX_DIGEST];
    hasher.finish(&mut out);
    let mut sum = [0; 32];
    sum.copy_from_slice(&out[..32]);
    sum
}

/// Opens a sealed secret of any length.
pub(crate) fn open_secret(key: &XaesKey, aad: &[u8], sealed: &[u8]) -> Result<SecretBytes> {
    let len = xaes::plaintext_len(sealed.len())
        .ok_or_else(|| Error::new(ErrorCode::DecryptionFailed, "the sealed value is too short"))?;
    SecretBytes::filled(len, |out| key.open_from_slice(aad, sealed, out))
}

/// A 256-bit key for one purpose (RFC 5869; the label is HKDF's info).
pub(crate) fn derive(provider: &Provider, key: &SecretBytes, label: &str) -> Result<SecretBytes> {
    SecretBytes::filled(32, |out| provider.kdf.hkdf_sha256(key.expose(), &[], label.as_bytes(), out))
}

/// The same as a ready XAES key.
pub(crate) fn derive_xaes(provider: &'static Provider, key: &SecretBytes, label: &str) -> Result<XaesKey> {
    xaes_key(provider, &derive(provider, key, label)?)
}

/// A ready XAES key of 32 secret bytes.
pub(crate) fn xaes_key(provider: &'static Provider, key: &SecretBytes) -> Result<XaesKey> {
    let mut bytes = Zeroizing::new([0; 32]);
    if key.len() != bytes.len() {
        return Err(Error::internal("a sealing key is not 32 bytes long"));
    }
    bytes.copy_from_slice(key.expose());
    let ready = made(provider, &bytes);
    wipe_stack();
    ready
}

#[inline(never)]
fn made(provider: &'static Provider, key: &[u8; 32]) -> Result<XaesKey> {
    XaesKey::new(provider, key)
}

/// Commits to a key without giving it away; kept beside every wrapped copy, because GCM alone would let one blob
/// open under two keys.
pub(crate) fn commitment(provider: &Provider, key: &SecretBytes) -> Result<[u8; 32]> {
    let mut out = [0; 32];
    provider.kdf.hkdf_sha256(key.expose(), &[], b"canis/v1/commitment", &mut out)?;
    Ok(out)
}

/// The same for the root key in the slots of a store whose rows are counted: a slot that opens with this one says that
/// accumulators must be there, and nobody without the root key can make it say otherwise.
pub(crate) fn counted_commitment(provider: &Provider, key: &SecretBytes) -> Result<[u8; 32]> {
    let mut out = [0; 32];
    provider.kdf.hkdf_sha256(key.expose(), &[], b"canis/v1/commitment-counted", &mut out)?;
    Ok(out)
}

/// 32 fresh random bytes.
pub(crate) fn fresh_key(provider: &Provider) -> Result<SecretBytes> {
    SecretBytes::filled(32, |out| provider.random.fill(out))
}

/// A fresh row id.
pub(crate) fn fresh_id(provider: &Provider) -> Result<Id> {
    let mut bytes = [0; 16];
    provider.random.fill(&mut bytes)?;
    Ok(Id::from_random(bytes))
}
