//! `canis bench canisp` and `canis bench http`: a server of ours between the fastest that TLS, or HTTP over it, allows and
//! OpenBao, in one run.
//!
//! Every server and the client are processes of their own. The client is the same program for all of them, with requests
//! made beforehand, so that it costs as little as it can: it shares the machine with the server.

pub(super) mod echo;
pub(super) mod load;
mod peers;
pub(super) mod plan;
mod processor;
mod provider;
mod report;
mod requests;
mod rounds;
mod shape;

pub(crate) use requests::Asked;
pub(super) use rounds::{run, run_http};
pub(crate) use shape::Shape;
