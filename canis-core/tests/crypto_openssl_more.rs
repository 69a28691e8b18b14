//! R43: the `openssl` program is the other opinion on AES, on RSA encryption without OAEP, and on agreement.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::public_parts::PublicParts;
use canis_core::crypto::{
    BlockMode, CipherStream, Direction, Iv, MAX_AGREED, MAX_DIGEST, SignScheme, providers,
};
use canis_proto::{Family, KeyType};
use crypto_material::openssl::Bench;

const MESSAGE: &[u8] = b"a message that both sides know";

/// R43: AES in ECB, CBC, CBC with padding and CTR, and CMAC, as `openssl enc` and `openssl mac` have them.
#[test]
fn aes() {
    let bench = Bench::new();
    let (iv, message) = ([0x1f; 16], vec![0x5c; 4096]);
    let text = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for provider in providers() {
        for bits in [128, 192, 256] {
            let key = vec![0x2a; bits / 8];
            let aes = provider.cipher.aes(&key).unwrap();
            let cases = [
                (BlockMode::Ecb, "ecb", "-nopad", 4096),
                (BlockMode::Cbc { iv: Iv::new(iv) }, "cbc", "-nopad", 4096),
                (BlockMode::CbcPad { iv: Iv::new(iv) }, "cbc", "", 4095),
                (BlockMode::Ctr { counter: iv, bits: 128 }, "ctr", "", 4081),
            ];
            for (mode, name, padding, len) in cases {
                bench.write("clear", &message[..len]);
                let iv = if name == "ecb" { String::new() } else { format!("-iv {}", text(&iv)) };
                let key = text(&key);
                bench.openssl(&format!(
                    "enc -aes-{bits}-{name} {padding} -K {key} {iv} -in clear -out sealed"
                ));
                let mut stream = CipherStream::new(&*aes, mode, Direction::Encrypt).unwrap();
                let mut out = vec![0; len + 16];
                let at = stream.update(&message[..len], &mut out).unwrap();
                let end = at + stream.finish(&mut out[at..]).unwrap();
                assert_eq!(out[..end], bench.read("sealed"), "{mode:?} {bits} on {}", provider.name);
            }
            bench.write("clear", &message);
            let mac = bench
                .openssl(&format!("mac -cipher AES-{bits}-CBC -macopt hexkey:{} -in clear CMAC", text(&key)));
            let mut tag = [0; MAX_DIGEST];
            let len = aes.cmac().unwrap().tag(&[&message], &mut tag).unwrap();
            assert_eq!(mac.trim().to_lowercase(), text(&tag[..len]), "CMAC {bits} on {}", provider.name);
        }
    }
}

/// PKCS#1 v1.5 encryption and raw RSA both ways, and what openssl recovers from our signature.
#[test]
fn rsa_pkcs1_and_raw() {
    let bench = Bench::new();
    let (pkcs8, spki) = bench.genpkey(KeyType::Rsa2048);
    let block = [vec![0], vec![0x6b; 255]].concat();
    bench.write("message", MESSAGE);
    bench.write("block", &block);
    for provider in providers() {
        let private = provider.keys.private(KeyType::Rsa2048, &pkcs8).unwrap();
        let public = provider.keys.public(KeyType::Rsa2048, &spki).unwrap();
        let mut out = [0; 256];
        for (mode, clear, ours) in [
            ("pkcs1", MESSAGE, public.encrypt_pkcs1(MESSAGE).unwrap()),
            ("none", &block, public.encrypt_raw(&block).unwrap()),
        ] {
            let options = format!("-keyform DER -pkeyopt rsa_padding_mode:{mode}");
            bench.write("ours", &ours);
            bench.openssl(&format!("pkeyutl -decrypt -inkey key.der -in ours -out clear {options}"));
            assert_eq!(bench.read("clear"), clear, "{mode} on {}", provider.name);
            let input = if mode == "none" { "block" } else { "message" };
            bench.openssl(&format!(
                "pkeyutl -encrypt -pubin -inkey pub.der -in {input} -out theirs {options}"
            ));
            let len = if mode == "none" {
                private.decrypt_raw(&bench.read("theirs"), &mut out).unwrap()
            } else {
                private.decrypt_pkcs1(&bench.read("theirs"), &mut out).unwrap()
            };
            assert_eq!(&out[..len], clear, "{mode} on {}", provider.name);
        }
        private.sign(SignScheme::RsaPkcs1, MESSAGE, &mut out).unwrap();
        bench.write("ours", &out);
        bench.openssl("pkeyutl -verifyrecover -pubin -keyform DER -inkey pub.der -in ours -out clear");
        assert_eq!(bench.read("clear"), MESSAGE);
    }
}

/// R43: ECDH on every curve, and X25519, with openssl on the other side.
#[test]
fn agreement() {
    let kinds = KeyType::ALL.iter().copied();
    for kind in kinds.filter(|kind| matches!(kind.family(), Family::Ec | Family::Montgomery)) {
        let bench = Bench::new();
        let (_, spki) = bench.genpkey(kind);
        let peer = match PublicParts::from_spki(&spki).unwrap().1 {
            PublicParts::Ec { point, .. } => point,
            PublicParts::Montgomery { point } => point.to_vec(),
            other => panic!("{other:?}"),
        };
        for provider in providers() {
            let pkcs8 = provider.keys.generate(kind).unwrap();
            let private = provider.keys.private(kind, pkcs8.expose()).unwrap();
            bench.write("ours.der", private.public_spki());
            bench.openssl(
                "pkeyutl -derive -keyform DER -inkey key.der -peerform DER -peerkey ours.der -out theirs",
            );
            let mut out = [0; MAX_AGREED];
            let len = private.agree(&peer, &mut out).unwrap();
            assert_eq!(out[..len], bench.read("theirs"), "{kind} on {}", provider.name);
        }
    }
}
