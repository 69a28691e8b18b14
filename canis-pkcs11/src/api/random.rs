//! Random numbers (section 5.20).

use crate::module::Module;
use crate::rv::{Result, fail};
use pkcs11_sys::*;

/// C_SeedRandom: the generator is the operating system's and takes nothing from hosts.
pub(crate) fn seed(module: &Module, session: CK_SESSION_HANDLE) -> Result {
    module.sessions.token(session)?;
    fail(CKR_RANDOM_SEED_NOT_SUPPORTED)
}

/// C_GenerateRandom.
pub(crate) fn generate(module: &Module, session: CK_SESSION_HANDLE, out: Result<&mut [u8]>) -> Result {
    module.sessions.token(session)?;
    Ok(module.provider().random.fill(out?)?)
}
