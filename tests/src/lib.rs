//! The harness: starts one real thing each, in a directory of its own, and stops it when dropped.

mod audit_log;
mod built;
mod gate;
mod kill_at;
mod openssl;
mod pgbouncer;
mod postgres;
mod run;
mod server;
mod shim;
mod softhsm;
mod sshd;

pub use audit_log::AuditLog;
pub use built::{binary, module, python};
pub use gate::{Gate, Passage};
pub use kill_at::KillAt;
pub use openssl::openssl;
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use run::{Finished, run};
pub use server::{Server, Site, write_private};
pub use shim::Shim;
pub use softhsm::SoftHsm;
pub use sshd::Sshd;
