//! Fetches a public key (SubjectPublicKeyInfo, DER) and says how long it is.
use canis_client::{Client, Config};
use canis_proto::message::{CreateKey, PublicKey};

fn main() -> canis_proto::Result<()> {
    let mut canis = Client::connect(&Config::from_environment()?)?;
    canis.call(&CreateKey::new("example/public", "rsa-2048".parse()?))?;
    let key = canis.call(&PublicKey { name: "example/public".into(), version: 0 })?;
    println!("{} of version {}: {} bytes", key.name, key.version, key.spki.len());
    Ok(())
}
