//! `canis file recipient`: a key of the server as age's programs name it.

use crate::args::Connection;
use crate::file_args;
use crate::{connect, files};
use canis_client::file::{KeyRecipient, X25519Recipient, identity_text, named_recipient, public_recipient};
use canis_proto::{Error, KeyName, Result};

pub(super) fn run(connection: &Connection, args: &file_args::KeyRecipient) -> Result<()> {
    let name = KeyName::parse(&args.name)?;
    if args.identity {
        return print(&identity_text(Some(&name)));
    }
    let key = KeyRecipient::new(connect::shared(connection)?, name.as_str())?;
    match key.public() {
        Some(public) if args.plain => {
            let plain = X25519Recipient::from_spki(public.spki());
            print(&plain.ok_or_else(|| not_plain(&name))?.to_text())
        }
        _ if args.plain => Err(not_plain(&name)),
        Some(public) => print(&public_recipient(public)),
        None => print(&named_recipient(&name)),
    }
}

fn not_plain(name: &KeyName) -> Error {
    Error::invalid(format!("key `{name}` is none of X25519, and age knows no others without its plugin"))
}

fn print(text: &str) -> Result<()> {
    files::print(format!("{text}\n").as_bytes())
}
