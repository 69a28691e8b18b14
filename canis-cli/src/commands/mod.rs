//! One file a group of commands.

pub(crate) mod aes_gcm;
mod apply;
pub(crate) mod batch;
pub(crate) mod datakey;
pub(crate) mod derive;
pub(crate) mod digest;
pub(crate) mod encryption;
pub(crate) mod init;
pub(crate) mod key;
mod key_life;
pub(crate) mod kv;
pub(crate) mod mac;
pub(crate) mod pkcs12;
pub(crate) mod policy;
pub(crate) mod rewrap;
pub(crate) mod root;
mod root_key;
pub(crate) mod sealing;
pub(crate) mod signing;
pub(crate) mod slot;
mod slot_transfer;
pub(crate) mod softhsm;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod token;
mod token_objects;
pub(crate) mod transfer;
