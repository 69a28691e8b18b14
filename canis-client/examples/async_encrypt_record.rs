//! Encrypts one field of a record, as a task; the ciphertext opens with the record's number only.
use canis_client::{AsyncPool, Config};
use canis_proto::message::{CreateKey, Decrypt, Encrypt};

#[tokio::main]
async fn main() -> canis_proto::Result<()> {
    let canis = AsyncPool::new(&Config::from_environment()?, 1)?;
    canis.call(&CreateKey::new("example/async-records", "aes256-gcm".parse()?)).await?;
    let context = &b"record 17"[..];
    let card = Encrypt::new("example/async-records", &b"4111 1111 1111 1111"[..]);
    let sealed = canis.call(&Encrypt { context: context.into(), ..card }).await?.ciphertext;
    println!("{sealed}");
    let open = Decrypt::new("example/async-records", &sealed);
    let opened = canis.call(&Decrypt { context: context.into(), ..open }).await?;
    println!("{}", String::from_utf8_lossy(&opened.plaintext));
    Ok(())
}
