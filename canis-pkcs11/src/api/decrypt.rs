//! Decryption (section 5.10).

use super::encrypt::keep;
use super::output::{Out, Transfer};
use crate::mechanism::{Cipher, Mechanism};
use crate::message::Kept;
use crate::module::Module;
use crate::pending::{Done, Operation, Pending, Stage, begin_with_key, cancel_by_init, work};
use crate::rv::{Instead, Result, fail};
use crate::session::Session;
use crate::token::{ReadyKey, Wanted};
use canis_core::crypto::GCM_TAG;
use canis_core::object::UseToDecrypt;
use canis_proto::{ErrorCode, Usage};
use pkcs11_sys::*;
use zeroize::Zeroizing;

/// A decryption under way. Nothing of a plaintext leaves before all of it is authenticated, so parts are kept until
/// C_DecryptFinal.
pub(crate) struct Decryption {
    key: ReadyKey,
    cipher: Cipher,
    kept: Kept,
}

impl Operation for Decryption {
    fn place(session: &mut Session) -> &mut Pending<Self> {
        &mut session.decrypt
    }

    fn into_key(self) -> Option<ReadyKey> {
        Some(self.key)
    }
}

/// C_DecryptInit.
pub(crate) fn init(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: Result<Option<Mechanism<'_>>>,
    key: CK_OBJECT_HANDLE,
) -> Result {
    if let Ok(None) = mechanism {
        return cancel_by_init::<Decryption>(module, session);
    }
    let wanted = Wanted { handle: key, usage: Usage::DECRYPT };
    let parse = || {
        let Some(mechanism) = mechanism? else { return fail(CKR_ARGUMENTS_BAD) };
        Ok((mechanism.row, mechanism.ciphers()?))
    };
    begin_with_key(module, session, wanted, parse, |key, cipher| Decryption {
        key,
        cipher,
        kept: Kept::default(),
    })
}

/// C_Decrypt.
pub(crate) fn whole(module: &Module, session: CK_SESSION_HANDLE, io: Result<Transfer<'_>>) -> Result {
    work(module, session, Stage::Last, |decryption: &mut Decryption| {
        if decryption.kept.started() {
            return fail(CKR_OPERATION_NOT_INITIALIZED);
        }
        let Transfer { input, mut out } = io?;
        decrypt(module, decryption, &input, &mut out)
    })
}

/// C_DecryptUpdate.
pub(crate) fn update(module: &Module, session: CK_SESSION_HANDLE, io: Result<Transfer<'_>>) -> Result {
    work(module, session, Stage::Update, |decryption: &mut Decryption| keep(&mut decryption.kept, io?))
}

/// C_DecryptFinal.
pub(crate) fn last(module: &Module, session: CK_SESSION_HANDLE, out: Result<Out<'_>>) -> Result {
    work(module, session, Stage::Last, |decryption: &mut Decryption| {
        decrypt(module, decryption, decryption.kept.whole(), &mut out?)
    })
}

fn decrypt(module: &Module, decryption: &Decryption, input: &[u8], out: &mut Out<'_>) -> Result<Done> {
    match &decryption.cipher {
        Cipher::Gcm { .. } => decrypt_gcm(module, decryption, input, out),
        Cipher::Oaep { .. } => decrypt_oaep(module, decryption, input, out),
    }
}

fn decrypt_gcm(module: &Module, decryption: &Decryption, input: &[u8], out: &mut Out<'_>) -> Result<Done> {
    let Some(needed) = input.len().checked_sub(GCM_TAG) else { return fail(CKR_ENCRYPTED_DATA_LEN_RANGE) };
    let Some(space) = out.space(needed)? else { return Ok(Done::Measured) };
    open(module, decryption, input, space)?;
    Ok(Done::Worked)
}

/// How long an OAEP plaintext is shows only when it is there. A query gets the longest it could be; a buffer that is
/// smaller than that gets the plaintext if it fits.
fn decrypt_oaep(module: &Module, decryption: &Decryption, input: &[u8], out: &mut Out<'_>) -> Result<Done> {
    let block = decryption.key.key.signature_len();
    if input.len() != block {
        return fail(CKR_ENCRYPTED_DATA_LEN_RANGE);
    }
    if out.is_query() {
        out.wrote(block);
        return Ok(Done::Measured);
    }
    let mut plaintext = Zeroizing::new(vec![0; block]);
    let len = open(module, decryption, input, &mut plaintext)?;
    if let Some(space) = out.space(len)? {
        space.copy_from_slice(&plaintext[..len]);
    }
    Ok(Done::Worked)
}

fn open(module: &Module, decryption: &Decryption, input: &[u8], out: &mut [u8]) -> Result<usize> {
    let Decryption { key, cipher, .. } = decryption;
    module
        .keeper()?
        .core
        .call(&key.caller, UseToDecrypt { key: &key.key, cipher: cipher.scheme(), input, out })
        .instead(ErrorCode::InvalidArgument, CKR_ENCRYPTED_DATA_LEN_RANGE)
}
