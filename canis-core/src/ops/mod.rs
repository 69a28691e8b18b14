//! The operations, one file each (small ones of one kind together). Only these use keys.

mod authenticate;
mod create_key;
mod decrypt;
mod due;
mod encrypt;
mod key_destroy;
mod key_info;
mod key_state;
mod key_update;
mod object_confirm;
mod object_copy;
mod object_derive;
mod object_edit;
mod object_export;
mod object_find;
mod object_generate;
mod object_import;
mod object_keep;
mod object_open;
mod object_role;
mod object_stream;
mod object_unwrap;
mod object_use;
mod object_wrap;
mod rotate;
mod sign;
mod status;
mod token_init;
mod token_login;
mod verify_store;

pub use due::{DueReport, RunDue};
pub use verify_store::{StoreReport, VerifyStore};
