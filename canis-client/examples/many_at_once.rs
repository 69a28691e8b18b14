//! Encrypts a thousand records over one connection, all in flight at the same time.
use canis_client::{AsyncClient, Config};
use canis_proto::message::{CreateKey, Encrypt};

#[tokio::main]
async fn main() -> canis_proto::Result<()> {
    let canis = AsyncClient::connect(&Config::from_environment()?).await?;
    canis.call(&CreateKey::new("example/many", "aes256-gcm".parse()?)).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..1000u32 {
        let canis = canis.clone();
        let record = number.to_string().into_bytes();
        tasks.spawn(async move { canis.call(&Encrypt::new("example/many", record)).await });
    }
    let sealed = tasks.join_all().await.into_iter().collect::<canis_proto::Result<Vec<_>>>()?;
    println!("{} records, the first: {}", sealed.len(), sealed[0].ciphertext);
    Ok(())
}
