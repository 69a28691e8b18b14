//! Encrypts one field of a record; the ciphertext opens with the record's number only.
use canis_client::{Client, Config};
use canis_proto::message::{CreateKey, Decrypt, Encrypt};

fn main() -> canis_proto::Result<()> {
    let mut canis = Client::connect(&Config::from_environment()?)?;
    canis.call(&CreateKey::new("example/records", "aes256-gcm".parse()?))?;
    let (card, context) = (&b"4111 1111 1111 1111"[..], &b"record 17"[..]);
    let request = Encrypt { context: context.into(), ..Encrypt::new("example/records", card) };
    let sealed = canis.call(&request)?.ciphertext;
    println!("{sealed}");
    let opened =
        canis.call(&Decrypt { context: context.into(), ..Decrypt::new("example/records", &sealed) })?;
    println!("{}", String::from_utf8_lossy(&opened.plaintext));
    Ok(())
}
