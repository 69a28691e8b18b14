//! Tokens as the module keeps them: which are in use, and the keys that are ready in them. Whoever keeps the keys is
//! behind [`Keeper`].

mod embedded;
mod helper;
mod keeper;
mod key;
mod opened;
mod parts;
mod remote;

pub(crate) use keeper::{Keeper, Moment};
pub(crate) use key::{ReadyKey, Unconfirmed, Wanted};
pub(crate) use opened::{Opened, Token};
pub(crate) use parts::{CipherParts, MacParts};
pub(crate) use remote::Ended;
