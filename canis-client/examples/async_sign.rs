//! Signs a document with a key that stays in the server, and checks the signature, as a task.
use canis_client::{AsyncPool, Config};
use canis_proto::message::{CreateKey, Sign, Verify};

#[tokio::main]
async fn main() -> canis_proto::Result<()> {
    let canis = AsyncPool::new(&Config::from_environment()?, 1)?;
    canis.call(&CreateKey::new("example/async-signing", "ecdsa-p256".parse()?)).await?;
    let document = &b"the contract"[..];
    let signature = canis.call(&Sign::new("example/async-signing", document)).await?.signature;
    println!("{signature}");
    let checked = canis.call(&Verify::new("example/async-signing", document, &signature)).await?;
    println!("valid: {}", checked.valid);
    Ok(())
}
