//! Two operations on one part (section 5.16): digest or sign what is encrypted, digest or verify what is decrypted.
//!
//! The second operation works only when the first has done its work: a length query or a buffer that is too small
//! leaves both where they were.

use super::cipher::{self, Ciphering};
use super::digest::{self, Digesting};
use super::output::{Input, Transfer};
use super::sign::{self, Signing};
use super::verify::{self, Verification};
use crate::module::Module;
use crate::pending::{Operation, Pending};
use crate::rv::{Result, fail};
use canis_core::object::{Decrypting, Encrypting};
use pkcs11_sys::*;

/// C_DigestEncryptUpdate.
pub(crate) fn digest_encrypt(
    module: &Module,
    session: CK_SESSION_HANDLE,
    io: Result<Transfer<'_>>,
) -> Result {
    need(module, session, |_: &Digesting| true)?;
    encrypt(module, session, io, |plaintext| digest::update(module, session, Ok(plaintext)))
}

/// C_SignEncryptUpdate.
pub(crate) fn sign_encrypt(module: &Module, session: CK_SESSION_HANDLE, io: Result<Transfer<'_>>) -> Result {
    need(module, session, |signing: &Signing| signing.message.has_parts())?;
    encrypt(module, session, io, |plaintext| sign::update(module, session, Ok(plaintext)))
}

/// C_DecryptDigestUpdate.
pub(crate) fn decrypt_digest(
    module: &Module,
    session: CK_SESSION_HANDLE,
    io: Result<Transfer<'_>>,
) -> Result {
    need(module, session, |_: &Digesting| true)?;
    decrypt(module, session, io, |plaintext| digest::update(module, session, Ok(plaintext)))
}

/// C_DecryptVerifyUpdate.
pub(crate) fn decrypt_verify(
    module: &Module,
    session: CK_SESSION_HANDLE,
    io: Result<Transfer<'_>>,
) -> Result {
    need(module, session, |verification: &Verification| verification.message.has_parts())?;
    decrypt(module, session, io, |plaintext| verify::update(module, session, Ok(plaintext)))
}

fn encrypt(
    module: &Module,
    session: CK_SESSION_HANDLE,
    io: Result<Transfer<'_>>,
    then: impl FnOnce(&[u8]) -> Result,
) -> Result {
    need(module, session, |_: &Ciphering<Encrypting>| true)?;
    let Transfer { input, out } = io?;
    let query = out.is_query();
    cipher::update::<Encrypting>(module, session, Ok(Transfer { input: Input::Given(&input), out }))?;
    if query { Ok(()) } else { then(&input) }
}

fn decrypt(
    module: &Module,
    session: CK_SESSION_HANDLE,
    io: Result<Transfer<'_>>,
    then: impl FnOnce(&[u8]) -> Result,
) -> Result {
    need(module, session, |_: &Ciphering<Decrypting>| true)?;
    let Transfer { input, mut out } = io?;
    let part = Transfer { input: Input::Given(&input), out: out.reborrow() };
    cipher::update::<Decrypting>(module, session, Ok(part))?;
    if out.is_query() { Ok(()) } else { then(out.written()) }
}

/// # Errors
/// CKR_OPERATION_NOT_INITIALIZED if none of this kind is active, or the active one takes no parts.
fn need<O: Operation>(
    module: &Module,
    session: CK_SESSION_HANDLE,
    has_parts: impl FnOnce(&O) -> bool,
) -> Result {
    module.sessions.with(session, |session| match O::place(session) {
        Pending::Busy => fail(CKR_OPERATION_ACTIVE),
        Pending::Active(active) if has_parts(active) => Ok(()),
        Pending::Idle | Pending::Active(_) => fail(CKR_OPERATION_NOT_INITIALIZED),
    })
}
