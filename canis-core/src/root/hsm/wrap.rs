//! Wrapping and unwrapping 32 bytes by a key in the token.

use super::key::Halves;
use super::library::{Failure, failed};
use super::mechanism::WrapMechanism;
use super::token::TokenName;
use crate::crypto::{GCM_NONCE, default_provider};
use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::rsa::{PkcsOaepParams, PkcsOaepSource};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

const TAG_BITS: u64 = 128;

/// A token that is logged in, and how it is to wrap.
pub(super) struct Wrapping<'a> {
    pub(super) session: &'a Session,
    pub(super) name: &'a TokenName,
    pub(super) mechanism: WrapMechanism,
    /// Associated data, where the mechanism has them.
    pub(super) context: &'a [u8],
}

impl Wrapping<'_> {
    /// What `secret` is wrapped to. It is opened again before it is given out: what does not open must not be stored.
    pub(super) fn wrap(&self, key: Halves, secret: &SecretBytes) -> Result<Vec<u8>, Failure> {
        let wrapped = match self.mechanism {
            WrapMechanism::AesGcm => self.seal(key.wraps, secret)?,
            WrapMechanism::AesKeyWrapPad | WrapMechanism::AesKeyWrap => {
                self.wrap_object(key.wraps, secret)?
            }
            _ => self
                .session
                .encrypt(&self.plain()?, key.wraps, secret.expose())
                .map_err(|error| self.refused(&error))?,
        };
        if self.unwrap(key.unwraps, &wrapped)?.equals(secret.expose()) {
            return Ok(wrapped);
        }
        Err(Error::new(
            ErrorCode::RootUnavailable,
            format!("{} does not give back what it wrapped by {}", self.name, self.mechanism.name()),
        )
        .into())
    }

    /// What was wrapped.
    pub(super) fn unwrap(&self, key: ObjectHandle, wrapped: &[u8]) -> Result<SecretBytes, Failure> {
        match self.mechanism {
            WrapMechanism::AesGcm => self.open(key, wrapped),
            WrapMechanism::AesKeyWrapPad | WrapMechanism::AesKeyWrap => self.unwrap_object(key, wrapped),
            _ => {
                let opened = self.session.decrypt(&self.plain()?, key, wrapped);
                opened.map(SecretBytes::taken_from).map_err(|error| self.not_opened(&error))
            }
        }
    }

    /// A mechanism without associated data.
    fn plain(&self) -> Result<Mechanism<'static>, Failure> {
        match (self.mechanism, self.mechanism.hash()) {
            (_, Some((hash, mask))) => {
                Ok(Mechanism::RsaPkcsOaep(PkcsOaepParams::new(hash, mask, PkcsOaepSource::empty())))
            }
            (WrapMechanism::AesKeyWrapPad, _) => Ok(Mechanism::AesKeyWrapPad),
            (WrapMechanism::AesKeyWrap, _) => Ok(Mechanism::AesKeyWrap),
            _ => Err(Error::internal("a mechanism without its parameters").into()),
        }
    }

    /// Nonce and ciphertext. Some HSMs take no nonce but their own, and write it over the one that they were given: what is
    /// there afterwards is the one that counts.
    fn seal(&self, key: ObjectHandle, secret: &SecretBytes) -> Result<Vec<u8>, Failure> {
        let mut nonce = [0; GCM_NONCE];
        default_provider().random.fill(&mut nonce)?;
        let sealed = match self.seal_under(&mut nonce, key, secret) {
            Err(Pkcs11Error::Pkcs11(RvError::MechanismParamInvalid | RvError::ArgumentsBad, _)) => {
                nonce = [0; GCM_NONCE];
                self.seal_under(&mut nonce, key, secret)
            }
            sealed => sealed,
        };
        let sealed = sealed.map_err(|error| self.refused(&error))?;
        if nonce == [0; GCM_NONCE] {
            let why = format!("{} encrypts by AES-GCM under a nonce of zeros; it is not used so", self.name);
            return Err(Error::new(ErrorCode::RootUnavailable, why).into());
        }
        Ok([&nonce[..], &sealed].concat())
    }

    fn seal_under(
        &self,
        nonce: &mut [u8; GCM_NONCE],
        key: ObjectHandle,
        secret: &SecretBytes,
    ) -> cryptoki::error::Result<Vec<u8>> {
        let parameters = GcmParams::new(nonce, self.context, TAG_BITS.into())?;
        self.session.encrypt(&Mechanism::AesGcm(parameters), key, secret.expose())
    }

    fn open(&self, key: ObjectHandle, wrapped: &[u8]) -> Result<SecretBytes, Failure> {
        let Some((nonce, wrapped)) = wrapped.split_first_chunk::<GCM_NONCE>() else {
            return Err(Error::new(ErrorCode::StoreTampered, "the HSM's root slot is too short").into());
        };
        let mut nonce = *nonce;
        let opened = GcmParams::new(&mut nonce, self.context, TAG_BITS.into())
            .and_then(|parameters| self.session.decrypt(&Mechanism::AesGcm(parameters), key, wrapped));
        opened.map(SecretBytes::taken_from).map_err(|error| self.not_opened(&error))
    }

    /// By C_WrapKey: the secret becomes an object of this session first.
    fn wrap_object(&self, key: ObjectHandle, secret: &SecretBytes) -> Result<Vec<u8>, Failure> {
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::Token(false),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
            Attribute::Value(secret.expose().to_vec()),
        ];
        let object = self.session.create_object(&template);
        template.into_iter().for_each(wiped);
        let object = object.map_err(|error| self.refused(&error))?;
        let wrapped = self.session.wrap_key(&self.plain()?, key, object);
        drop(self.session.destroy_object(object));
        wrapped.map_err(|error| self.refused(&error))
    }

    fn unwrap_object(&self, key: ObjectHandle, wrapped: &[u8]) -> Result<SecretBytes, Failure> {
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::Token(false),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
        ];
        let object = self.session.unwrap_key(&self.plain()?, key, wrapped, &template);
        let object = object.map_err(|error| self.not_opened(&error))?;
        let value = self.session.get_attributes(object, &[AttributeType::Value]);
        drop(self.session.destroy_object(object));
        match value.map_err(|error| self.refused(&error))?.pop() {
            Some(Attribute::Value(bytes)) => Ok(SecretBytes::taken_from(bytes)),
            _ => Err(Error::new(
                ErrorCode::RootUnavailable,
                format!("{} does not show what it unwrapped by {}", self.name, self.mechanism.name()),
            )
            .into()),
        }
    }

    /// A key that unwraps nothing of this is another key, whatever the token calls it.
    fn not_opened(&self, error: &Pkcs11Error) -> Failure {
        match error {
            Pkcs11Error::Pkcs11(
                RvError::EncryptedDataInvalid
                | RvError::EncryptedDataLenRange
                | RvError::DataInvalid
                | RvError::DataLenRange
                | RvError::WrappedKeyInvalid
                | RvError::WrappedKeyLenRange,
                _,
            ) => Error::new(
                ErrorCode::RootCredentialWrong,
                format!(
                    "key {} on {} is not the one that wrapped this store's root key",
                    self.name.key(),
                    self.name
                ),
            )
            .into(),
            error => self.refused(error),
        }
    }

    fn refused(&self, error: &Pkcs11Error) -> Failure {
        let (name, mechanism) = (self.name, self.mechanism.name());
        failed(format_args!("{name} refuses to use key {} by {mechanism}", name.key()), error)
    }
}

fn wiped(attribute: Attribute) {
    if let Attribute::Value(bytes) = attribute {
        drop(SecretBytes::taken_from(bytes));
    }
}
