//! A PKCS#11 HSM as root. The vendor's library is loaded by a helper process only (ADR 0022): `helper` starts it and asks
//! it, `serve` is what it does, and `wire` is what goes between them.

mod anchor;
mod asked;
mod child;
mod helper;
mod key;
mod library;
mod mechanism;
mod probe;
mod root;
mod serve;
mod signing;
mod token;
mod wire;
mod wrap;

pub use asked::{HsmFigures, hsm_figures};
pub use helper::HsmHelper;
pub use mechanism::WrapMechanism;
pub use probe::{Probe, Verdict};
pub use root::probe;
pub use serve::serve;
pub use token::TokenName;

pub(super) use anchor::NewAnchor;
pub(super) use root::{HsmRoot, KIND, Token};
pub(super) use signing::ToSign;
