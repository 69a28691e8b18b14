//! The async client against a real server: many requests in flight, answers in any order, ends that are noticed.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_client::{AsyncClient, AsyncPool, Config};
use canis_proto::ErrorCode;
use canis_proto::message::{CreateKey, Decrypt, Encrypt, RotateKey, ShowKey, Sign, Status};
use canis_tests::{Server, Site};
use std::time::Duration;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

fn config(site: &Site, server: &Server) -> Config {
    let ca = std::fs::read(server.ca()).unwrap();
    let token = Some(Zeroizing::new(site.token.clone()));
    Config { token, ..Config::new(server.addr(), ca, "ca.pem") }
}

async fn connected(site: &Site, server: &Server) -> AsyncClient {
    AsyncClient::connect(&config(site, server)).await.unwrap()
}

/// Slow and quick requests, small and large ones, share a connection; each answer finds its asker.
#[tokio::test]
async fn answers_find_their_askers() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let canis = connected(&site, &server).await;
    for (name, kind) in [("aes", "aes256-gcm"), ("rsa", "rsa-2048")] {
        canis.call(&CreateKey::new(name, kind.parse().unwrap())).await.unwrap();
    }
    let mut tasks = JoinSet::new();
    for number in 0..200usize {
        let canis = canis.clone();
        tasks.spawn(async move {
            if number % 40 == 0 {
                canis.call(&Sign::new("rsa", vec![1])).await.unwrap();
            }
            let plaintext = vec![number.to_le_bytes()[0]; number * 400];
            let sealed = canis.call(&Encrypt::new("aes", plaintext.clone())).await.unwrap();
            let opened = canis.call(&Decrypt::new("aes", sealed.ciphertext)).await.unwrap();
            assert!(opened.plaintext == plaintext, "{number} got another's answer");
        });
    }
    assert_eq!(tasks.join_all().await.len(), 200);
    server.stop();
}

/// An error belongs to its request alone; what is dropped or late takes no place from others.
#[tokio::test]
async fn refused_dropped_and_late_requests_do_no_harm() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let canis = connected(&site, &server).await;
    canis.call(&CreateKey::new("rsa", "rsa-2048".parse().unwrap())).await.unwrap();
    let missing = ShowKey { name: "none".into(), before_version: 0 };
    assert_eq!(canis.call(&missing).await.err().unwrap().code, ErrorCode::KeyNotFound);
    let large = Encrypt::new("rsa", vec![0; 17 << 20]);
    assert_eq!(canis.call(&large).await.err().unwrap().code, ErrorCode::TooLarge);

    // More than the server takes at once: a place that were lost would be missed.
    let request = Sign::new("rsa", vec![1]);
    for _ in 0..3 * canis.server().max_in_flight {
        tokio::select! {
            biased;
            _ = canis.call(&request) => panic!("answered before it was sent"),
            () = std::future::ready(()) => {}
        }
    }
    let slow = CreateKey::new("slow", "rsa-8192".parse().unwrap());
    let late = canis.call_within(Duration::from_millis(1), &slow).await.err().unwrap();
    assert_eq!(late.code, ErrorCode::DeadlineExceeded);
    assert!(late.message.contains("within 1 ms"), "{late}");
    canis.call(&request).await.unwrap();
    assert!(canis.ended().is_none());
    server.stop();
}

/// R61, R78: a wrong token, an authority that did not sign, and a server that is not there are told apart.
#[tokio::test]
async fn strangers_are_told_why() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let refused = async |config: Config| AsyncClient::connect(&config).await.err().unwrap();
    let wrong = Some(Zeroizing::new("canis_wrong".to_owned()));
    let error = refused(Config { token: wrong, ..config(&site, &server) }).await;
    assert_eq!(error.code, ErrorCode::Unauthenticated);

    let other = Site::with_keyfile();
    let ca_pem = std::fs::read(other.data().join("ca.pem")).unwrap();
    let error = refused(Config { ca_pem, ..config(&site, &server) }).await;
    assert_eq!(error.code, ErrorCode::Unauthenticated);
    assert!(error.message.contains("not signed by the CA"), "{error}");

    let gone = config(&site, &server);
    server.stop();
    let error = refused(gone).await;
    assert!(error.message.contains("is canis-server running?"), "{error}");
}

/// When the server stops or dies, everybody who waits is told, and so is who comes after.
#[tokio::test]
async fn the_end_of_a_server_is_noticed() {
    let site = Site::with_keyfile();
    for gently in [true, false] {
        let server = site.start().unsealed();
        let canis = connected(&site, &server).await;
        canis.call(&Status).await.unwrap();
        let name = if gently { "gently" } else { "suddenly" };
        let waiting = tokio::spawn({
            let canis = canis.clone();
            async move { canis.call(&CreateKey::new(name, "rsa-8192".parse().unwrap())).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        tokio::task::spawn_blocking(move || if gently { drop(server.stop()) } else { server.kill() })
            .await
            .unwrap();
        let answer = waiting.await.unwrap();
        assert!(answer.is_ok() || answer.is_err_and(|error| error.code == ErrorCode::Unavailable));
        let after = canis.call(&Status).await.err().unwrap();
        assert_eq!(after.code, ErrorCode::Unavailable);
        assert!(canis.ended().is_some());
    }
}

/// R65: a pool goes on when its server is killed and started again, and each change happens once.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_goes_on() {
    let site = Site::with_keyfile();
    let mut server = site.start().unsealed();
    let addr = server.addr().to_owned();
    let mut config = Config { retry_for: Duration::from_secs(60), ..config(&site, &server) };
    // A server that is not there is passed over.
    config.others = vec![std::mem::replace(&mut config.addr, "127.0.0.1:1".to_owned())];
    let canis = AsyncPool::new(&config, 3).unwrap();
    canis.call(&CreateKey::new("k", "aes256-gcm".parse().unwrap())).await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let canis = canis.clone();
        tasks.spawn(async move {
            for _ in 0..100 {
                canis.call(&Encrypt::new("k", vec![1])).await.unwrap();
            }
        });
    }
    let rotating = tokio::spawn(async move {
        let mut versions = Vec::new();
        for _ in 0..60 {
            let rotate = RotateKey { name: "k".into(), preview: false };
            versions.push(canis.call(&rotate).await.unwrap().version);
        }
        versions
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        server.kill();
        server = site.start_at(&addr).unsealed();
    }
    assert_eq!(rotating.await.unwrap(), (2..62).collect::<Vec<_>>());
    tasks.join_all().await;
}

/// A pool of sockets on this host; what is late is told so, and takes no place from others.
#[tokio::test]
async fn a_pool_on_the_servers_host() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let config = Config::new(format!("unix:{}", site.data().display()), Vec::new(), "");
    let canis = AsyncPool::new(&config, 2).unwrap();
    canis.call(&CreateKey::new("rsa", "rsa-2048".parse().unwrap())).await.unwrap();
    let slow = CreateKey::new("slow", "rsa-8192".parse().unwrap());
    let late = canis.call_within(Duration::from_millis(30), &slow).await.err().unwrap();
    assert_eq!(late.code, ErrorCode::DeadlineExceeded);
    canis.call(&Sign::new("rsa", vec![1])).await.unwrap();
    drop(server);
}
