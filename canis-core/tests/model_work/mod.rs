//! What keys of a type make and open again. The types are those that there are: one that is used in a new way is noticed here.
#![allow(dead_code)] // each test file uses its own part

use canis_core::{Caller, Core};
use canis_proto::message::{Decapsulate, Decrypt, Encapsulate, Encrypt, Mac, Sign, Verify, VerifyMac};
use canis_proto::{ErrorCode, Family, HashName, KeyType, Result, SignatureScheme, Usage};

/// What is signed and encrypted.
const PLAIN: &[u8] = b"plain";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Encrypt,
    Sign,
    Mac,
    Encapsulate,
}

/// Every type whose keys are made and used in a moment: a model asks for hundreds. RSA keys are long in the making, and most parameter
/// sets of SLH-DSA in signing. Keys that derive alone leave nothing that could be opened.
pub(crate) fn types() -> Vec<KeyType> {
    let quick = |kind: &KeyType| kind.family() != Family::Rsa;
    let signs = |kind: &KeyType| !kind.name().starts_with("slh-dsa-") || kind.name().ends_with("128f");
    let opens = |kind: &KeyType| kind.default_usage() != Usage::DERIVE;
    let all = KeyType::ALL.iter().copied().filter(|kind| !kind.is_legacy());
    all.filter(quick).filter(signs).filter(opens).collect()
}

impl Work {
    pub(crate) fn of(kind: KeyType) -> Work {
        let usage = kind.default_usage();
        match SignatureScheme::default_for(kind) {
            Some(_) => Work::Sign,
            None if usage.allows(Usage::SIGN) => Work::Mac,
            None if usage.allows(Usage::ENCRYPT) && kind.is_asymmetric() => Work::Encapsulate,
            None if usage.allows(Usage::ENCRYPT) => Work::Encrypt,
            None => {
                panic!("{kind}: nothing is known here that keys of this type make; say how they are used")
            }
        }
    }

    /// Whether a version can be asked for.
    pub(crate) fn names_versions(self) -> bool {
        self != Work::Mac
    }

    /// What opening says to what another key made: the wrong secret and the wrong signature are no errors.
    pub(crate) fn of_another_key(self) -> std::result::Result<bool, ErrorCode> {
        match self {
            Work::Encrypt => Err(ErrorCode::DecryptionFailed),
            Work::Sign | Work::Mac | Work::Encapsulate => Ok(false),
        }
    }

    /// A text form, and the secret of which it is.
    pub(crate) fn make(
        self,
        core: &Core,
        caller: &Caller,
        name: &str,
        version: u32,
    ) -> Result<(String, Vec<u8>)> {
        Ok(match self {
            Work::Encrypt => {
                let made = core.call(caller, Encrypt { version, ..Encrypt::new(name, PLAIN) })?;
                (made.ciphertext, PLAIN.to_vec())
            }
            Work::Sign => {
                let made = core.call(caller, Sign { version, ..Sign::new(name, PLAIN) })?;
                (made.signature, Vec::new())
            }
            Work::Mac => {
                let request = Mac { name: name.into(), message: PLAIN.into(), hash: HashName::Sha256 };
                (core.call(caller, request)?.mac, Vec::new())
            }
            Work::Encapsulate => {
                let made = core.call(caller, Encapsulate { name: name.into(), version })?;
                (made.ciphertext.clone(), made.secret.clone())
            }
        })
    }

    /// Whether it is what was made.
    pub(crate) fn open(
        self,
        core: &Core,
        caller: &Caller,
        name: &str,
        (text, secret): &(String, Vec<u8>),
    ) -> Result<bool> {
        Ok(match self {
            Work::Encrypt => core.call(caller, Decrypt::new(name, text.as_str()))?.plaintext == *secret,
            Work::Sign => core.call(caller, Verify::new(name, PLAIN, text.as_str()))?.valid,
            Work::Mac => {
                let (name, message, mac) = (name.into(), PLAIN.into(), text.as_str().into());
                core.call(caller, VerifyMac { name, message, mac, hash: HashName::Sha256 })?.valid
            }
            Work::Encapsulate => {
                let request = Decapsulate { name: name.into(), ciphertext: text.as_str().into() };
                core.call(caller, request)?.secret == *secret
            }
        })
    }
}
