//! The module at a server over TLS, as a host on another machine has it: programs in a network namespace of their own, lost
//! connections, servers that come back, others that are no good.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod fail_over;
mod failing;
mod host;
mod lost;
mod namespace;
mod nginx;
mod proxy;
mod sshd;
