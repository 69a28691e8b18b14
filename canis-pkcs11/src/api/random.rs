//! Random numbers (section 5.20).

use crate::module::Module;
use crate::rv::Result;
use pkcs11_sys::*;

/// C_SeedRandom. The generator is seeded by the operating system and needs nothing from hosts, whose seeds nobody has
/// measured: they are accepted, because NSS gives up on a token that refuses them, and thrown away.
pub(crate) fn seed(module: &Module, session: CK_SESSION_HANDLE, seed: Result<&[u8]>) -> Result {
    module.sessions.check(session)?;
    seed.map(|_| ())
}

/// C_GenerateRandom.
pub(crate) fn generate(module: &Module, session: CK_SESSION_HANDLE, out: Result<&mut [u8]>) -> Result {
    module.sessions.check(session)?;
    Ok(module.provider().random.fill(out?)?)
}
