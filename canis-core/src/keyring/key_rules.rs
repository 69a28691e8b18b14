//! What a key may be used for now: its state, usage, limits and versions.

use super::key::Key;
use super::key_record::KeyRecord;
use canis_proto::{Error, ErrorCode, KeyState, KeyType, Result, Usage};

/// Refuses what CANISP does with keys to types that are for old clients of PKCS#11 only.
///
/// # Errors
/// `invalid_key_type`.
pub(crate) fn refuse_legacy(kind: KeyType) -> Result<()> {
    if !kind.is_legacy() {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::InvalidKeyType,
        format!("keys of type {kind} are for old clients of PKCS#11 only; take an AES key"),
    ))
}

impl Key {
    /// The version to encrypt or sign with: the current one, or an older one that was asked for and is allowed.
    ///
    /// # Errors
    /// `version_not_allowed`, `version_not_found`.
    pub(crate) fn version_to_use(&self, asked: u32) -> Result<u32> {
        let KeyRecord { name, current_version: current, min_encryption_version: oldest, .. } = &self.record;
        if asked == 0 || asked == *current {
            return Ok(*current);
        }
        if asked > *current {
            return Err(self.without(asked));
        }
        if *oldest > 0 && asked >= *oldest {
            return Ok(asked);
        }
        let allowed = match oldest {
            0 => "only its current version".to_owned(),
            oldest => format!("versions from {oldest} on"),
        };
        Err(Error::new(
            ErrorCode::VersionNotAllowed,
            format!("key `{name}` encrypts and signs with {allowed}, not with version {asked}"),
        ))
    }

    /// Refuses a use of one version that the limits of versions forbid: what makes something new is for the current
    /// version and those from min_encryption_version on.
    ///
    /// # Errors
    /// `version_not_allowed`, `version_retired`.
    pub(crate) fn allow_version(&self, usage: Usage, version: u32) -> Result<()> {
        let makes = Usage::ENCRYPT.with(Usage::SIGN).with(Usage::WRAP);
        match usage.intersect(makes) {
            Usage::NONE => self.allow_old(version),
            _ => self.version_to_use(version).map(drop),
        }
    }

    /// Refuses a version that is too old to decrypt and verify.
    ///
    /// # Errors
    /// `version_not_allowed`, `version_retired`.
    pub(crate) fn allow_old(&self, version: u32) -> Result<()> {
        let KeyRecord { name, min_decryption_version: oldest, .. } = &self.record;
        self.still_has(version)?;
        if version >= *oldest {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::VersionNotAllowed,
            format!(
                "key `{name}` decrypts and verifies with versions from {oldest} on; this is of version {version}"
            ),
        ))
    }

    pub(super) fn still_has(&self, version: u32) -> Result<()> {
        if version < self.record.oldest_version { Err(self.retired(version)) } else { Ok(()) }
    }

    /// The error for a version whose material was destroyed.
    pub(crate) fn retired(&self, version: u32) -> Error {
        Error::new(
            ErrorCode::VersionRetired,
            format!(
                "version {version} of key `{}` is retired: its material was destroyed, and what it encrypted cannot be \
                 decrypted any more",
                self.record.name
            ),
        )
    }

    /// The error for a version that has no row: one that was, or one that never was.
    pub(crate) fn without(&self, version: u32) -> Error {
        if (1..=self.record.current_version).contains(&version) {
            return self.retired(version);
        }
        Error::new(ErrorCode::VersionNotFound, format!("key `{}` has no version {version}", self.record.name))
    }

    /// Refuses a use that the key's state, usage or type forbids, at a door where no PIN can be asked for.
    ///
    /// # Errors
    /// `operation_not_supported` if no key of its type can, `operation_not_allowed` otherwise; as [`refuse_legacy`].
    pub(crate) fn require(&self, usage: Usage, verb: &str) -> Result<()> {
        if self.record.limited {
            return Err(Error::new(
                ErrorCode::MechanismNotAllowed,
                format!(
                    "key `{}` is limited by CKA_ALLOWED_MECHANISMS or a template of its own, which this operation does \
                     not know; use it through PKCS#11",
                    self.record.name
                ),
            ));
        }
        self.require_within_limits(usage, verb)
    }

    /// [`Key::require`] where the caller sees to what attributes limit the key to.
    pub(crate) fn require_within_limits(&self, usage: Usage, verb: &str) -> Result<()> {
        refuse_legacy(self.kind)?;
        if self.record.always_authenticate && usage.intersect(Usage::PUBLIC) == Usage::NONE {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                format!(
                    "key `{}` needs its PIN for each use (CKA_ALWAYS_AUTHENTICATE); use it through PKCS#11",
                    self.record.name
                ),
            ));
        }
        self.require_attended(usage, verb)
    }

    /// [`Key::require`] where the caller sees to the PIN.
    pub(crate) fn require_attended(&self, usage: Usage, verb: &str) -> Result<()> {
        let name = &self.record.name;
        if !self.kind.possible_usage().allows(usage) {
            return Err(Error::new(
                ErrorCode::OperationNotSupported,
                format!("key `{name}` is of type {}, which cannot {verb}", self.kind),
            ));
        }
        if self.state == KeyState::Destroyed {
            return Err(Error::new(ErrorCode::KeyDestroyed, format!("key `{name}` was destroyed")));
        }
        if !self.state.allowed_usage().allows(usage) {
            let remedy = if self.state == KeyState::Created { "activate" } else { "enable" };
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                format!("key `{name}` is {}; it cannot {verb} in this state; {remedy} it first", self.state),
            ));
        }
        if !self.usage.allows(usage) {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                format!(
                    "key `{name}` is not to be used to {verb}; its usage is {}",
                    self.usage.names().collect::<Vec<_>>().join(", ")
                ),
            ));
        }
        Ok(())
    }
}
