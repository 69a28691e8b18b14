//! Encryption (section 5.8).

use super::output::{Out, Transfer};
use crate::mechanism::{Cipher, Mechanism};
use crate::message::Kept;
use crate::module::Module;
use crate::pending::{Done, Operation, Pending, Stage, begin_with_key, cancel_by_init, work};
use crate::rv::{Instead, Result, fail};
use crate::session::Session;
use crate::token::{ReadyKey, Wanted};
use canis_core::crypto::{GCM_TAG, Oaep};
use canis_core::object::{CipherScheme, UseToEncrypt};
use canis_proto::{ErrorCode, Usage};
use pkcs11_sys::*;

/// An encryption under way. Both ciphers work on whole messages, so parts are kept until C_EncryptFinal.
pub(crate) struct Encryption {
    key: ReadyKey,
    cipher: Cipher,
    kept: Kept,
}

impl Operation for Encryption {
    fn place(session: &mut Session) -> &mut Pending<Self> {
        &mut session.encrypt
    }

    fn into_key(self) -> Option<ReadyKey> {
        Some(self.key)
    }
}

impl Cipher {
    /// The cipher as the core takes it.
    pub(crate) fn scheme(&self) -> CipherScheme<'_> {
        match self {
            Cipher::Gcm { iv, aad } => CipherScheme::AesGcm { iv, aad },
            Cipher::Oaep { hash, mgf, label } => {
                CipherScheme::RsaOaep(Oaep { hash: *hash, mgf: *mgf, label })
            }
        }
    }

    /// The length of the ciphertext of `len` bytes; `block` is the key's modulus in bytes.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE for more than OAEP can take: modulus − 2·hash − 2 (RFC 8017, section 7.1.1).
    fn encrypted_len(&self, len: usize, block: usize) -> Result<usize> {
        match self {
            Cipher::Gcm { .. } => len.checked_add(GCM_TAG).ok_or_else(|| CKR_DATA_LEN_RANGE.into()),
            Cipher::Oaep { hash, .. } if len + 2 * hash.len() + 2 > block => fail(CKR_DATA_LEN_RANGE),
            Cipher::Oaep { .. } => Ok(block),
        }
    }
}

/// C_EncryptInit.
pub(crate) fn init(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: Result<Option<Mechanism<'_>>>,
    key: CK_OBJECT_HANDLE,
) -> Result {
    if let Ok(None) = mechanism {
        return cancel_by_init::<Encryption>(module, session);
    }
    let wanted = Wanted { handle: key, usage: Usage::ENCRYPT };
    let parse = || {
        let Some(mechanism) = mechanism? else { return fail(CKR_ARGUMENTS_BAD) };
        Ok((mechanism.row, mechanism.ciphers()?))
    };
    begin_with_key(module, session, wanted, parse, |key, cipher| Encryption {
        key,
        cipher,
        kept: Kept::default(),
    })
}

/// C_Encrypt.
pub(crate) fn whole(module: &Module, session: CK_SESSION_HANDLE, io: Result<Transfer<'_>>) -> Result {
    work(module, session, Stage::Last, |encryption: &mut Encryption| {
        if encryption.kept.started() {
            return fail(CKR_OPERATION_NOT_INITIALIZED);
        }
        let Transfer { input, mut out } = io?;
        encrypt(module, encryption, &input, &mut out)
    })
}

/// C_EncryptUpdate: gives nothing before C_EncryptFinal.
pub(crate) fn update(module: &Module, session: CK_SESSION_HANDLE, io: Result<Transfer<'_>>) -> Result {
    work(module, session, Stage::Update, |encryption: &mut Encryption| keep(&mut encryption.kept, io?))
}

/// Keeps a part. A length query is answered with an upper bound: hosts that then make a buffer of no bytes and pass
/// NULL for it would seem to ask again.
pub(crate) fn keep(kept: &mut Kept, io: Transfer<'_>) -> Result<Done> {
    let Transfer { input, mut out } = io;
    if out.is_query() {
        out.wrote(input.len());
        return Ok(Done::Measured);
    }
    kept.push(&input)?;
    out.wrote(0);
    Ok(Done::Worked)
}

/// C_EncryptFinal.
pub(crate) fn last(module: &Module, session: CK_SESSION_HANDLE, out: Result<Out<'_>>) -> Result {
    work(module, session, Stage::Last, |encryption: &mut Encryption| {
        encrypt(module, encryption, encryption.kept.whole(), &mut out?)
    })
}

fn encrypt(module: &Module, encryption: &Encryption, input: &[u8], out: &mut Out<'_>) -> Result<Done> {
    let Encryption { key, cipher, .. } = encryption;
    let needed = cipher.encrypted_len(input.len(), key.key.signature_len())?;
    let Some(space) = out.space(needed)? else { return Ok(Done::Measured) };
    let request = UseToEncrypt { key: &key.key, cipher: cipher.scheme(), input, out: space };
    let len = module
        .keeper()?
        .core
        .call(&key.caller, request)
        .instead(ErrorCode::InvalidArgument, CKR_DATA_LEN_RANGE)?;
    out.wrote(len);
    Ok(Done::Worked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use canis_core::crypto::Hash;

    #[test]
    fn lengths_follow_the_cipher() {
        let gcm = Cipher::Gcm { iv: [0; 12], aad: Vec::new() };
        assert_eq!(gcm.encrypted_len(0, 0).unwrap(), 16);
        assert!(gcm.encrypted_len(usize::MAX, 0).is_err());
        let oaep = Cipher::Oaep { hash: Hash::Sha256, mgf: Hash::Sha256, label: Vec::new() };
        assert_eq!(oaep.encrypted_len(190, 256).unwrap(), 256);
        assert_eq!(oaep.encrypted_len(191, 256).unwrap_err().rv, CKR_DATA_LEN_RANGE);
    }
}
