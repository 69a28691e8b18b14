//! Encrypts the fields of a record in one request; each has its own answer or error.
use canis_client::{Client, Config};
use canis_proto::answer::Encrypted;
use canis_proto::batch;
use canis_proto::message::{Batch, CreateKey, Encrypt};

fn main() -> canis_proto::Result<()> {
    let mut canis = Client::connect(&Config::from_environment()?)?;
    canis.call(&CreateKey::new("example/batch", "aes256-gcm".parse()?))?;
    let fields =
        ["Alice", "4111 1111 1111 1111", "12/29"].map(|f| Encrypt::new("example/batch", f.as_bytes()));
    let operations = fields.iter().map(batch::item).collect();
    let done = canis.call(&Batch { operations, atomic: false, preview: false })?;
    for result in done.results {
        println!("{}", batch::read::<Encrypted>(&result?)?.ciphertext);
    }
    Ok(())
}
