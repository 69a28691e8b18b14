//! Ready keys: parsed once, precomputed, shared by all threads, wiped when dropped.

use super::key::Key;
use super::role::KnownValue;
use super::seal::xaes_key;
use super::tenant::OpenTenant;
use crate::crypto::xaes::XaesKey;
use crate::crypto::{AesKey, CipherKey, GcmKey, Hash, MacKey, PrivateKey, Provider, PublicKey};
use crate::secret::{SecretBytes, wipe_stack};
use canis_proto::{Error, Family, Id, KeyType, Result};
use std::sync::OnceLock;

/// A key version that can be used at once.
pub(crate) struct ReadyKey {
    pub(crate) material: ReadyMaterial,
    /// The material itself, where it stands nowhere else: a session object's, and a generic secret's.
    pub(crate) value: Option<SecretBytes>,
    /// What is known of the roles of that value.
    pub(crate) known: KnownValue,
}

/// What it is made of.
pub(crate) enum ReadyMaterial {
    /// An AES key: as the standards use it, and the key derived from it for ciphertexts of the API.
    Aes {
        /// CKM_AES_GCM with the recommended sizes.
        gcm: Box<dyn GcmKey>,
        /// Every other mode.
        blocks: Box<dyn AesKey>,
        /// CKM_AES_CMAC.
        cmac: Lazy,
        /// `canis:v1:`; absent for session objects, which have no name.
        api: Option<XaesKey>,
    },
    /// A DES key.
    Des {
        /// Every mode.
        blocks: Box<dyn CipherKey>,
        /// CKM_DES3_CMAC.
        cmac: Lazy,
    },
    /// A key pair.
    Pair {
        /// The private half.
        private: Box<dyn PrivateKey>,
        /// The public half.
        public: Box<dyn PublicKey>,
    },
    /// The public half of a pair whose private half is elsewhere.
    Public {
        /// It.
        public: Box<dyn PublicKey>,
        /// The same in SubjectPublicKeyInfo DER.
        spki: Vec<u8>,
    },
    /// A generic secret: an HMAC key for each hash, made when it is first asked for.
    Generic {
        /// In the order of [`Hash::ALL`].
        macs: [Lazy; Hash::ALL.len()],
    },
}

/// A MAC key that is made at its first use.
#[derive(Default)]
pub(crate) struct Lazy(OnceLock<Box<dyn MacKey>>);

impl Lazy {
    /// The key, made by `make` if it is not there yet.
    pub(crate) fn key(&self, make: impl FnOnce() -> Result<Box<dyn MacKey>>) -> Result<&dyn MacKey> {
        if let Some(key) = self.0.get() {
            return Ok(&**key);
        }
        let made = make()?;
        Ok(&**self.0.get_or_init(|| made))
    }
}

impl ReadyKey {
    /// Parses a public half.
    pub(crate) fn of_public(provider: &'static Provider, kind: KeyType, spki: &[u8]) -> Result<Self> {
        let material =
            ReadyMaterial::Public { public: provider.keys.public(kind, spki)?, spki: spki.to_vec() };
        Ok(ReadyKey { material, value: None, known: KnownValue::default() })
    }

    /// The public half of a pair.
    ///
    /// # Errors
    /// `internal` for a secret key.
    pub(crate) fn public(&self) -> Result<&dyn PublicKey> {
        match &self.material {
            ReadyMaterial::Pair { public, .. } | ReadyMaterial::Public { public, .. } => Ok(&**public),
            ReadyMaterial::Aes { .. } | ReadyMaterial::Des { .. } | ReadyMaterial::Generic { .. } => {
                Err(no_pair())
            }
        }
    }

    /// The same in SubjectPublicKeyInfo DER.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn spki(&self) -> Result<&[u8]> {
        match &self.material {
            ReadyMaterial::Pair { private, .. } => Ok(private.public_spki()),
            ReadyMaterial::Public { spki, .. } => Ok(spki),
            ReadyMaterial::Aes { .. } | ReadyMaterial::Des { .. } | ReadyMaterial::Generic { .. } => {
                Err(no_pair())
            }
        }
    }

    /// Parses `material`. `api` names the key version for ciphertexts of the API.
    pub(crate) fn new(
        provider: &'static Provider,
        kind: KeyType,
        material: SecretBytes,
        api: Option<ApiKey>,
    ) -> Result<Self> {
        let ready = Self::parsed(provider, kind, material, api);
        wipe_stack();
        ready
    }

    #[inline(never)]
    fn parsed(
        provider: &'static Provider,
        kind: KeyType,
        material: SecretBytes,
        api: Option<ApiKey>,
    ) -> Result<Self> {
        let bytes = material.expose();
        let ready = match kind.family() {
            Family::Aes => ReadyMaterial::Aes {
                gcm: provider.cipher.aes_gcm(bytes)?,
                blocks: provider.cipher.aes(bytes)?,
                cmac: Lazy::default(),
                api: api.as_ref().map(|place| place.derive(provider, &material)).transpose()?,
            },
            Family::Des | Family::TripleDes => {
                ReadyMaterial::Des { blocks: provider.cipher.des(bytes)?, cmac: Lazy::default() }
            }
            Family::Rsa
            | Family::Ec
            | Family::Edwards
            | Family::Montgomery
            | Family::MlDsa
            | Family::MlKem
            | Family::SlhDsa
            | Family::Hybrid => {
                let private = provider.keys.private(kind, bytes)?;
                let public = provider.keys.public(kind, private.public_spki())?;
                ReadyMaterial::Pair { private, public }
            }
            Family::Generic => ReadyMaterial::Generic { macs: Default::default() },
        };
        let keeps = api.is_none() || kind.family() == Family::Generic;
        Ok(ReadyKey { material: ready, value: keeps.then_some(material), known: KnownValue::default() })
    }
}

impl ReadyKey {
    /// A generic secret as an HMAC key; `None` for keys of other types.
    pub(crate) fn hmac(&self, provider: &Provider, hash: Hash) -> Result<Option<&dyn MacKey>> {
        let (ReadyMaterial::Generic { macs }, Some(value)) = (&self.material, &self.value) else {
            return Ok(None);
        };
        let kept = Hash::ALL.iter().position(|known| *known == hash).and_then(|place| macs.get(place));
        kept.map(|kept| kept.key(|| provider.mac.hmac(hash, value.expose()))).transpose()
    }

    /// The length of a generic secret, in bytes.
    pub(crate) fn value_len(&self) -> usize {
        self.value.as_ref().map_or(0, SecretBytes::len)
    }
}

fn no_pair() -> Error {
    Error::internal("a secret key was asked for its public half")
}

/// Which key version an API key is derived for.
pub(crate) struct ApiKey {
    tenant: Id,
    key: Id,
    version: u32,
}

impl ApiKey {
    pub(crate) fn new(tenant: &OpenTenant, key: &Key, version: u32) -> Self {
        ApiKey { tenant: tenant.id, key: key.id, version }
    }

    /// `encrypt` never uses AES material directly: raw AES at another door would otherwise give its message keys away.
    fn derive(&self, provider: &'static Provider, material: &SecretBytes) -> Result<XaesKey> {
        let mut info = b"canis/v1/api-aead".to_vec();
        info.extend_from_slice(&self.tenant.0);
        info.extend_from_slice(&self.key.0);
        info.extend_from_slice(&self.version.to_be_bytes());
        let key =
            SecretBytes::filled(32, |out| provider.kdf.hkdf_sha256(material.expose(), &[], &info, out))?;
        xaes_key(provider, &key)
    }
}
