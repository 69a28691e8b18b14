//! Encrypts the fields of a record in one request, as a task; each has its own answer or error.
use canis_client::{AsyncPool, Config};
use canis_proto::answer::Encrypted;
use canis_proto::batch;
use canis_proto::message::{Batch, CreateKey, Encrypt};

#[tokio::main]
async fn main() -> canis_proto::Result<()> {
    let canis = AsyncPool::new(&Config::from_environment()?, 1)?;
    canis.call(&CreateKey::new("example/async-batch", "aes256-gcm".parse()?)).await?;
    let fields = ["Alice", "4111 1111 1111 1111"].map(|f| Encrypt::new("example/async-batch", f.as_bytes()));
    let operations = fields.iter().map(batch::item).collect();
    let done = canis.call(&Batch { operations, atomic: false, preview: false }).await?;
    for result in done.results {
        println!("{}", batch::read::<Encrypted>(&result?)?.ciphertext);
    }
    Ok(())
}
