//! `canis datakey`.

use crate::args::Connection;
use crate::files::{self, Readers};
use crate::use_args::DataKey;
use crate::{connect, show};
use base64ct::{Base64, Encoding};
use canis_proto::Result;
use canis_proto::message::MakeDataKey;
use serde_json::json;
use zeroize::Zeroizing;

pub(crate) fn run(connection: &Connection, args: &DataKey, json: bool) -> Result<()> {
    let request = MakeDataKey {
        name: args.name.as_str().into(),
        length: args.length,
        context: args.context.as_bytes().into(),
        plaintext: !args.wrapped_only,
    };
    let made = connect::open(connection)?.call(&request)?;
    let plaintext = made.plaintext.map(Zeroizing::new);
    if let (Some(out), Some(plaintext)) = (&args.out, &plaintext) {
        files::write(out, plaintext, Readers::Owner)?;
    }
    let shown = plaintext.filter(|_| args.out.is_none()).map(|p| Zeroizing::new(Base64::encode_string(&p)));
    if json {
        let plaintext = shown.as_deref();
        return show::json(&json!({
            "key": args.name,
            "ciphertext": made.ciphertext,
            "plaintext_base64": plaintext,
            "out": args.out,
        }));
    }
    match shown {
        // Alone it goes into a file or a variable.
        None => files::print(format!("{}\n", made.ciphertext).as_bytes()),
        Some(key) => show::pairs(&[("ciphertext", made.ciphertext), ("plaintext", key.to_string())]),
    }
}
