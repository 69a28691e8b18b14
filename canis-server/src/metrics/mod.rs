//! What is counted, and `/metrics`, which tells it to Prometheus and its like (OpenMetrics 1.0). Names and meanings stand in
//! one table ([`family`]). Counting takes no lock and allocates nothing; what others count already is asked for when somebody
//! reads. No label holds what a caller says: neither names of keys nor of tenants (ADR 0035).

mod counts;
mod exposition;
mod family;
mod gather;
mod listener;
mod process;
mod requests;

pub(crate) use counts::Metrics;
pub(crate) use exposition::Form;
pub use family::{Family, Kind};
pub(crate) use gather::{sealed, text};
pub(crate) use listener::{accept_all, for_this_machine, listen};
