//! Signs a document with a key that stays in the server, and checks the signature.
use canis_client::{Client, Config};
use canis_proto::message::{CreateKey, Sign, Verify};

fn main() -> canis_proto::Result<()> {
    let mut canis = Client::connect(&Config::from_environment()?)?;
    canis.call(&CreateKey::new("example/signing", "ecdsa-p256".parse()?))?;
    let signature = canis.call(&Sign::new("example/signing", &b"the contract"[..]))?.signature;
    println!("{signature}");
    let verified = canis.call(&Verify::new("example/signing", &b"the contract"[..], &signature))?;
    println!("valid: {}", verified.valid);
    Ok(())
}
