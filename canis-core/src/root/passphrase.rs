//! A passphrase as root: Argon2id (RFC 9106) makes the wrapping key.
//!
//! Why this is safe here: 256 MiB and three passes make a guess cost about a second of one core and as much memory;
//! the parameters stand in the slot, so they can be raised later.

use super::Root;
use crate::crypto::Provider;
use crate::crypto::xaes::XaesKey;
use crate::keyring::root_record::RootParameters;
use crate::keyring::seal::{open_secret, xaes_key};
use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, Result};

pub(super) const KIND: &str = "passphrase";
/// The shortest passphrase taken, in bytes.
const SHORTEST: usize = 8;

const MEMORY_KIB: u32 = 256 * 1024;
const PASSES: u32 = 3;
/// More memory than this in a slot is refused: a slot edited by other hands must not exhaust the host.
const MOST_MEMORY_KIB: u32 = 4 * 1024 * 1024;

pub(super) struct PassphraseRoot {
    key: XaesKey,
}

pub(super) fn parameters(provider: &Provider) -> Result<RootParameters> {
    let mut salt = [0; 16];
    provider.random.fill(&mut salt)?;
    Ok(RootParameters::Passphrase { salt, memory: MEMORY_KIB, passes: PASSES })
}

/// Refuses a passphrase that a list of guesses would find.
pub(super) fn check_length(passphrase: &SecretBytes) -> Result<()> {
    if passphrase.len() >= SHORTEST {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the passphrase has {} bytes; it must have at least {SHORTEST}",
        passphrase.len()
    )))
}

/// Whether a guess costs less than it would in a slot made today.
pub(super) fn is_weak(memory: u32, passes: u32) -> bool {
    memory < MEMORY_KIB || passes < PASSES
}

impl PassphraseRoot {
    pub(super) fn new(
        provider: &'static Provider,
        passphrase: &SecretBytes,
        salt: &[u8; 16],
        memory: u32,
        passes: u32,
    ) -> Result<Self> {
        if memory > MOST_MEMORY_KIB || passes > 64 {
            return Err(Error::new(
                ErrorCode::StoreTampered,
                "a passphrase slot asks for absurd Argon2id parameters",
            ));
        }
        let stretch = |out: &mut [u8]| provider.kdf.argon2id(passphrase.expose(), salt, memory, passes, out);
        Ok(PassphraseRoot { key: xaes_key(provider, &SecretBytes::filled(32, stretch)?)? })
    }
}

impl Root for PassphraseRoot {
    fn seal(&self, key: &SecretBytes, context: &[u8]) -> Result<Vec<u8>> {
        self.key.seal_to_vec(context, key.expose())
    }

    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<SecretBytes> {
        open_secret(&self.key, context, sealed).map_err(|_| {
            Error::new(
                ErrorCode::RootCredentialWrong,
                "the passphrase is not the one this store was made with",
            )
        })
    }
}
