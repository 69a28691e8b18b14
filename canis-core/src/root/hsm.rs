//! A PKCS#11 HSM as root: an AES-256 key that never leaves the token wraps the root key by CKM_AES_GCM with AAD.
//!
//! The HSM is asked at init and unseal only. Each time the vendor's library is loaded, initialised, asked and
//! finalised again, so that no session, login or thread of it stays in the process.

use super::Root;
use crate::crypto::{GCM_NONCE, Provider};
use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, Result};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use std::path::Path;

pub(super) const KIND: &str = "hsm";
const TAG_BITS: u64 = 128;

pub(super) struct HsmRoot<'a> {
    pub(super) provider: &'static Provider,
    pub(super) module: &'a Path,
    pub(super) token: &'a str,
    pub(super) key: &'a str,
    pub(super) pin: &'a SecretBytes,
}

/// Makes the wrapping key inside the token unless one with the label is there.
pub(super) fn ensure_key(module: &Path, token: &str, key: &str, pin: &SecretBytes) -> Result<()> {
    with_session(module, token, pin, |session| match find_key(session, token, key)? {
        Some(handle) => check_key(session, token, key, handle),
        None => generate_key(session, token, key),
    })
}

/// A key that was there already must be as good as one made here.
fn check_key(session: &Session, token: &str, label: &str, key: ObjectHandle) -> Result<()> {
    let asked = [AttributeType::Sensitive, AttributeType::Extractable, AttributeType::ValueLen];
    let found = session
        .get_attributes(key, &asked)
        .map_err(|e| unavailable(&format!("token `{token}` does not describe key `{label}`"), &e))?;
    let good = [Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::ValueLen(32u64.into())];
    if good.iter().all(|attribute| found.contains(attribute)) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "key `{label}` on token `{token}` is not an AES-256 key that is sensitive and not extractable; \
         choose another --key-label"
    )))
}

impl Root for HsmRoot<'_> {
    fn seal(&self, key: &SecretBytes, context: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; GCM_NONCE];
        self.provider.random.fill(&mut nonce)?;
        let mut sealed = nonce.to_vec();
        let wrapped = with_session(self.module, self.token, self.pin, |session| {
            let handle = self.wrapping_key(session)?;
            let parameters = gcm(&mut nonce, context)?;
            let mechanism = Mechanism::AesGcm(parameters);
            session.encrypt(&mechanism, handle, key.expose()).map_err(|e| self.explain(&e))
        })?;
        sealed.extend_from_slice(&wrapped);
        Ok(sealed)
    }

    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<SecretBytes> {
        let Some((nonce, wrapped)) = sealed.split_first_chunk::<GCM_NONCE>() else {
            return Err(Error::new(ErrorCode::StoreTampered, "the HSM's root slot is too short"));
        };
        let mut nonce = *nonce;
        with_session(self.module, self.token, self.pin, |session| {
            let handle = self.wrapping_key(session)?;
            let parameters = gcm(&mut nonce, context)?;
            let opened = session.decrypt(&Mechanism::AesGcm(parameters), handle, wrapped);
            opened.map(SecretBytes::taken_from).map_err(|e| match e {
                Pkcs11Error::Pkcs11(RvError::EncryptedDataInvalid | RvError::DataInvalid, _) => Error::new(
                    ErrorCode::RootCredentialWrong,
                    format!(
                        "key `{}` on token `{}` is not the one that wrapped this store's root key",
                        self.key, self.token
                    ),
                ),
                e => self.explain(&e),
            })
        })
    }
}

impl HsmRoot<'_> {
    fn wrapping_key(&self, session: &Session) -> Result<ObjectHandle> {
        find_key(session, self.token, self.key)?.ok_or_else(|| {
            Error::new(
                ErrorCode::RootUnavailable,
                format!(
                    "token `{}` holds no AES key labelled `{}`; was it re-initialised?",
                    self.token, self.key
                ),
            )
        })
    }

    fn explain(&self, error: &Pkcs11Error) -> Error {
        unavailable(&format!("token `{}` refuses to use key `{}`", self.token, self.key), error)
    }
}

fn gcm<'a>(nonce: &'a mut [u8; GCM_NONCE], context: &'a [u8]) -> Result<GcmParams<'a>> {
    GcmParams::new(nonce, context, TAG_BITS.into())
        .map_err(|e| unavailable("AES-GCM parameters do not fit", &e))
}

/// Loads the library, logs in to the token, runs `work`, and leaves nothing behind.
fn with_session<T>(
    module: &Path,
    token: &str,
    pin: &SecretBytes,
    work: impl FnOnce(&Session) -> Result<T>,
) -> Result<T> {
    let library = Pkcs11::new(module).map_err(|e| {
        unavailable(
            &format!(
                "cannot load the PKCS#11 module {}; is the path right and the package installed",
                module.display()
            ),
            &e,
        )
    })?;
    let args = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
    let ours = match library.initialize(args) {
        Ok(()) => true,
        // The host process uses this module too: it stays initialised when we are done.
        Err(Pkcs11Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => false,
        Err(e) => {
            let what = format!("the PKCS#11 module {} does not initialise", module.display());
            return Err(unavailable(&what, &e));
        }
    };
    let result = log_in(&library, token, pin).and_then(|(session, login_is_ours)| {
        let result = work(&session);
        if login_is_ours && !ours {
            // The host's own sessions must not find themselves logged in by us.
            drop(session.logout());
        }
        result
    });
    if ours {
        // A library that cannot be finalised changes nothing for the answer we hold.
        drop(library.finalize());
    }
    result
}

/// A session that is logged in, and whether it was not before.
fn log_in(library: &Pkcs11, token: &str, pin: &SecretBytes) -> Result<(Session, bool)> {
    let slots = library
        .get_slots_with_initialized_token()
        .map_err(|e| unavailable("the PKCS#11 module cannot list its tokens", &e))?;
    let mut found =
        slots.into_iter().filter(|s| library.get_token_info(*s).is_ok_and(|t| t.label() == token));
    let slot = match (found.next(), found.next()) {
        (Some(slot), None) => slot,
        (None, _) => {
            return Err(Error::new(
                ErrorCode::RootUnavailable,
                format!(
                    "no token labelled `{token}` is there; plug it in, or check the label with `pkcs11-tool -L`"
                ),
            ));
        }
        (Some(_), Some(_)) => {
            return Err(Error::new(
                ErrorCode::RootUnavailable,
                format!("two tokens are labelled `{token}`; rename or remove one of them"),
            ));
        }
    };
    let session = library
        .open_rw_session(slot)
        .map_err(|e| unavailable(&format!("token `{token}` opens no session"), &e))?;
    let pin =
        std::str::from_utf8(pin.expose()).map_err(|_| Error::invalid("the token's PIN is not UTF-8"))?;
    match session.login(UserType::User, Some(&AuthPin::new(pin.into()))) {
        Ok(()) => Ok((session, true)),
        Err(Pkcs11Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok((session, false)),
        Err(Pkcs11Error::Pkcs11(RvError::PinIncorrect | RvError::PinLenRange | RvError::PinInvalid, _)) => {
            Err(Error::new(
                ErrorCode::RootCredentialWrong,
                format!(
                    "token `{token}` refuses the PIN; it was tried once and will not be tried again by itself"
                ),
            ))
        }
        Err(Pkcs11Error::Pkcs11(RvError::PinLocked, _)) => Err(Error::new(
            ErrorCode::RootCredentialWrong,
            format!("the PIN of token `{token}` is locked; its security officer must unlock it"),
        )),
        Err(e) => Err(unavailable(&format!("token `{token}` refuses the login"), &e)),
    }
}

fn find_key(session: &Session, token: &str, label: &str) -> Result<Option<ObjectHandle>> {
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(true),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    let found = session
        .find_objects(&template)
        .map_err(|e| unavailable(&format!("token `{token}` cannot be searched"), &e))?;
    match found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(Error::new(
            ErrorCode::RootUnavailable,
            format!("token `{token}` holds several AES keys labelled `{label}`; rename all but one"),
        )),
    }
}

fn generate_key(session: &Session, token: &str, label: &str) -> Result<()> {
    let template = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::ValueLen(32u64.into()),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    session
        .generate_key(&Mechanism::AesKeyGen, &template)
        .map(drop)
        .map_err(|e| unavailable(&format!("token `{token}` cannot generate an AES-256 key"), &e))
}

fn unavailable(what: &str, error: &Pkcs11Error) -> Error {
    Error::new(ErrorCode::RootUnavailable, format!("{what}: {error}"))
}
