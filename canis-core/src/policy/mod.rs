//! Policies: who may do what on which paths. Text in HCL → rules → a decision, and the rule that made it.
//!
//! The language is that of docs/policy.md: `path` blocks with capabilities and conditions, no expressions. Deciding reads
//! nothing but its arguments, so that it can be asked again for an explanation, and by a test.

mod condition;
mod contain;
mod decide;
mod demand;
mod error;
mod index;
mod layout;
mod path;
mod read;
mod rights;

pub use condition::{OfKey, Source, Unmet};
pub(crate) use condition::{is_network, network_holds};
pub use decide::{Asked, Decision, RuleName, Rules, Why, context_of};
pub(crate) use demand::Demand;
pub use error::PolicyError;
pub use read::Policy;
pub(crate) use read::{Placed, Text};
pub(crate) use rights::Rights;
