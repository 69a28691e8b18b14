//! The operations of PKCS#11 as CANISP carries them ([ADR 0018](../../../docs/adr/0018-remote-module.md)): the forms of
//! their requests and answers, for the server and for the module alike.

#[cfg(test)]
mod draw;
mod form;
mod objects;
mod plain;
mod requests;
mod schemes;
#[cfg(test)]
mod tests;

pub use requests::{AtToken, described};
