//! Fetches a public key (SubjectPublicKeyInfo, DER) as a task and says how long it is.
use canis_client::{AsyncPool, Config};
use canis_proto::message::{CreateKey, PublicKey};

#[tokio::main]
async fn main() -> canis_proto::Result<()> {
    let canis = AsyncPool::new(&Config::from_environment()?, 1)?;
    canis.call(&CreateKey::new("example/async-public", "rsa-2048".parse()?)).await?;
    let key = canis.call(&PublicKey { name: "example/async-public".into(), version: 0 }).await?;
    println!("{} of version {}: {} bytes", key.name, key.version, key.spki.len());
    Ok(())
}
