//! The keeper of keys: key material sealed under a root key, and one door to it, [`Core`].
// What a caller or a file can bring about is an error, never a panic.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unimplemented))]

mod allow;
mod application;
mod at_once;
pub mod audit;
pub mod backup;
mod beside;
mod caller;
pub mod clock;
pub mod config_keys;
mod core;
pub mod crypto;
pub mod datadir;
pub mod format;
mod identity;
mod jwt;
mod keyring;
pub mod moving;
pub mod object;
mod ops;
mod origin;
pub mod pace;
pub mod policy;
mod request_id;
mod resource;
pub mod root;
pub mod secret;
pub mod secret_file;
pub mod setup;
pub mod store;
mod stream;
pub mod token;
pub mod wire;

pub use application::{Application, Room};
pub use at_once::{at_once, shortly};
pub use caller::Caller;
pub use core::{Core, Facts, Resource, Run};
pub use crypto::default_provider;
pub use identity::UnixPeer;
pub use jwt::Issuer;
pub use keyring::figures::{CacheFigures, CommitFigures, DueFigures, Figures};
pub use keyring::receipt::Once;
pub use keyring::rows_checked::RowsFigures;
pub use ops::authenticate::Presented;
pub use ops::{AcceptStore, DueReport, ReadMetrics, RunDue, StoreReport, VerifyStore};
pub use origin::{Door, Origin, Proof};
pub use request_id::{RequestId, current_request, for_request};
pub use stream::{Begin, Stream};
