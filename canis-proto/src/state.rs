//! The states of a key, and what each allows.

use crate::Usage;
use std::fmt;

/// The state of a key (NIST SP 800-57 part 1, section 7, in the words of the key engine's design).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum KeyState {
    /// Exists, no cryptography yet.
    Created = 1,
    /// In use.
    Active = 2,
    /// Decrypts and verifies only.
    Disabled = 3,
    /// The material is gone.
    Destroyed = 4,
}

impl KeyState {
    /// Every state.
    pub const ALL: [KeyState; 4] =
        [KeyState::Created, KeyState::Active, KeyState::Disabled, KeyState::Destroyed];

    /// The name users see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            KeyState::Created => "created",
            KeyState::Active => "active",
            KeyState::Disabled => "disabled",
            KeyState::Destroyed => "destroyed",
        }
    }

    /// What a key in this state may still do.
    #[must_use]
    pub const fn allowed_usage(self) -> Usage {
        match self {
            KeyState::Active => Usage::ALL,
            KeyState::Disabled => Usage::DECRYPT.with(Usage::VERIFY),
            KeyState::Created | KeyState::Destroyed => Usage::NONE,
        }
    }

    /// Whether a key may go from this state to `next`. The key engine's design draws Created, Active, Disabled,
    /// Destroyed in this order; the way back from Disabled to Active is an extension (ADR 0010).
    #[must_use]
    pub const fn may_become(self, next: KeyState) -> bool {
        use KeyState::{Active, Created, Destroyed, Disabled};
        matches!(
            (self, next),
            (Created, Active) | (Active, Disabled) | (Disabled, Active) | (Disabled, Destroyed)
        )
    }

    /// The state with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<KeyState> {
        match number {
            1 => Some(KeyState::Created),
            2 => Some(KeyState::Active),
            3 => Some(KeyState::Disabled),
            4 => Some(KeyState::Destroyed),
            _ => None,
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<KeyState> {
        KeyState::ALL.into_iter().find(|s| s.name() == name)
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
