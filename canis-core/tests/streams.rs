//! Messages in pieces: every provider alike and crosswise, whatever the pieces; and a streamed ciphertext that was cut,
//! reordered, mixed or moved never opens (R1, R39).
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod store;

use canis_core::crypto::chunks::CHUNK;
use canis_core::crypto::providers;
use canis_core::{Begin, Caller, Core, Run, Stream};
use canis_proto::message::{HashData, Mac, RotateKey, Sign, Verify};
use canis_proto::stream::{
    DecryptStream, EncryptStream, HashStream, MacStream, SignStream, VerifyMacStream, VerifyStream,
};
use canis_proto::{ErrorCode, HashName, KeyType, Operation, Result, SignatureForm, SignatureScheme};
use store::{Opened, on_every_provider, open};

const TAG: usize = 16;

/// Runs a whole message through a stream in pieces of this length; gives what came out, and the answer.
fn run<R, A>(core: &Core, caller: &Caller, request: R, message: &[u8], piece: usize) -> Result<(Vec<u8>, A)>
where
    R: Run + Operation<Answer = Box<dyn Stream<A>>>,
{
    let mut stream = core.call(caller, request)?;
    let mut out = Vec::new();
    for piece in message.chunks(piece) {
        stream.update(piece, &mut out)?;
    }
    let answer = stream.finish(core, caller, &mut out)?;
    Ok((out, answer))
}

fn encrypt(core: &Core, caller: &Caller, name: &str, message: &[u8], piece: usize) -> Vec<u8> {
    let request = EncryptStream { name: name.into(), context: b"context"[..].into(), version: 0 };
    let (sealed, answer) = run(core, caller, Begin::new(request), message, piece).unwrap();
    assert_eq!(answer.bytes as usize, sealed.len());
    sealed
}

fn decrypt_as(
    core: &Core,
    caller: &Caller,
    name: &str,
    context: &[u8],
    sealed: &[u8],
    piece: usize,
) -> Result<Vec<u8>> {
    let (header, body) = split(sealed);
    let header = std::str::from_utf8(header).unwrap();
    let request = DecryptStream { name: name.into(), header: header.into(), context: context.into() };
    let (opened, answer) = run(core, caller, Begin::new(request), body, piece)?;
    assert_eq!(answer.bytes as usize, opened.len());
    Ok(opened)
}

fn decrypt(opened: &Opened, sealed: &[u8]) -> Result<Vec<u8>> {
    decrypt_as(&opened.core, &opened.caller, "box", b"context", sealed, 50_000)
}

/// The first line with its newline, and what follows.
fn split(sealed: &[u8]) -> (&[u8], &[u8]) {
    sealed.split_at(sealed.iter().position(|b| *b == b'\n').unwrap() + 1)
}

fn message(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

/// Messages of every length around the chunks' come back, whatever the pieces and whichever provider made them.
#[test]
fn messages_come_back() {
    for from in providers() {
        let made = store::fresh(from);
        made.create("box", KeyType::Aes256);
        made.create("small", KeyType::Aes128);
        for to in providers() {
            let core = open(made.dir.path(), to);
            let caller = core.authenticate(&made.token).unwrap();
            for len in [0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 17] {
                for (name, piece) in [("box", 1 << 20), ("small", 4093)] {
                    let message = message(len);
                    let sealed = encrypt(&made.core, &made.caller, name, &message, piece);
                    let (header, body) = split(&sealed);
                    assert!(header.starts_with(format!("canis:s1:{name}:1:").as_bytes()));
                    let chunks = len.div_ceil(CHUNK).max(1);
                    assert_eq!(body.len(), len + chunks * TAG);
                    for piece in [1 << 20, CHUNK + TAG, 7919] {
                        let opened = decrypt_as(&core, &caller, name, b"context", &sealed, piece).unwrap();
                        assert!(opened == message, "{len} bytes, {} → {}", from.name, to.name);
                    }
                }
            }
        }
    }
}

/// Every way to damage a body: nothing of a chunk that is not in its place comes out, and no end but the real one
/// counts.
#[test]
fn damaged_streams_are_refused() {
    on_every_provider(|opened| {
        opened.create("box", KeyType::Aes256);
        let whole = message(3 * CHUNK + 100);
        let sealed = encrypt(&opened.core, &opened.caller, "box", &whole, 1 << 20);
        let other = encrypt(&opened.core, &opened.caller, "box", &whole, 1 << 20);
        let (header, body) = split(&sealed);
        let (_, foreign) = split(&other);
        let chunks: Vec<&[u8]> = body.chunks(CHUNK + TAG).collect();
        let foreign: Vec<&[u8]> = foreign.chunks(CHUNK + TAG).collect();
        let [a, b, c, d] = chunks[..] else { panic!("{} chunks", chunks.len()) };
        let mut flipped = c.to_vec();
        flipped[CHUNK / 2] ^= 1;
        let cases: [(&str, Vec<&[u8]>); 14] = [
            ("nothing", vec![]),
            ("the last chunk is missing", vec![a, b, c]),
            ("all but the first are missing", vec![a]),
            ("cut in the last chunk", vec![a, b, c, &d[..50]]),
            ("cut in a tag", vec![a, b, c, &d[..d.len() - 1]]),
            ("cut inside a chunk", vec![a, b, &c[..1000]]),
            ("two chunks changed places", vec![a, c, b, d]),
            ("a chunk is left out", vec![a, c, d]),
            ("a chunk is doubled", vec![a, b, b, c, d]),
            ("the last chunk comes first", vec![d]),
            ("a chunk of another message", vec![a, foreign[1], c, d]),
            ("the end of another message", vec![a, b, c, foreign[3]]),
            ("one bit", vec![a, b, &flipped, d]),
            ("something behind the end", vec![a, b, c, d, &[0; 40]]),
        ];
        for (what, parts) in cases {
            let damaged = [header, &parts.concat()].concat();
            let error = decrypt(opened, &damaged).unwrap_err();
            assert_eq!(error.code, ErrorCode::DecryptionFailed, "{what}: {error}");
        }
        assert!(decrypt(opened, &sealed).unwrap() == whole);
    });
}

/// A chunk leaves only after it was verified: what comes out before the damage is the message so far, and not a byte
/// of the damaged chunk.
#[test]
fn only_verified_chunks_leave() {
    on_every_provider(|opened| {
        opened.create("box", KeyType::Aes256);
        let whole = message(3 * CHUNK);
        let mut sealed = encrypt(&opened.core, &opened.caller, "box", &whole, 1 << 20);
        let start = split(&sealed).0.len();
        sealed[start + CHUNK + TAG + 5] ^= 0x80;
        let (header, body) = split(&sealed);
        let request = DecryptStream {
            name: "box".into(),
            header: std::str::from_utf8(header).unwrap().into(),
            context: b"context"[..].into(),
        };
        let mut stream = opened.core.call(&opened.caller, Begin::new(request)).unwrap();
        let mut out = Vec::new();
        let failed = body.chunks(1000).find_map(|piece| stream.update(piece, &mut out).err()).unwrap();
        assert_eq!(failed.code, ErrorCode::DecryptionFailed);
        assert!(out == whole[..CHUNK]);
    });
}

/// The first line binds a ciphertext to key, version and context before any of it is read.
#[test]
fn wrong_headers_are_refused() {
    on_every_provider(|opened| {
        let Opened { core, caller, .. } = opened;
        for name in ["box", "other"] {
            opened.create(name, KeyType::Aes256);
        }
        opened.create("pair", KeyType::Rsa2048);
        let sealed = encrypt(core, caller, "box", b"text", 10);
        core.call(caller, RotateKey { name: "box".into(), preview: false }).map(drop).unwrap();
        let code = |name: &str, context: &[u8], sealed: &[u8]| {
            decrypt_as(core, caller, name, context, sealed, 10).unwrap_err().code
        };
        assert_eq!(decrypt(opened, &sealed).unwrap(), b"text");
        assert_eq!(code("box", b"another", &sealed), ErrorCode::DecryptionFailed);
        assert_eq!(code("other", b"context", &sealed), ErrorCode::InvalidArgument);
        let text = String::from_utf8_lossy(&sealed).into_owned();
        let edited = |from: &str, to: &str| {
            let (header, body) = split(&sealed);
            let header = std::str::from_utf8(header).unwrap();
            assert!(text.contains(from));
            [header.replacen(from, to, 1).as_bytes(), body].concat()
        };
        assert_eq!(code("other", b"context", &edited("box", "other")), ErrorCode::DecryptionFailed);
        assert_eq!(code("box", b"context", &edited(":1:", ":2:")), ErrorCode::DecryptionFailed);
        assert_eq!(code("box", b"context", &edited(":1:", ":3:")), ErrorCode::VersionNotFound);
        assert_eq!(code("box", b"context", &edited("s1", "v1")), ErrorCode::UnsupportedFormat);
        assert_eq!(code("pair", b"context", &edited("box", "pair")), ErrorCode::OperationNotSupported);
        let request = EncryptStream { name: "pair".into(), context: b""[..].into(), version: 0 };
        let refused = core.call(caller, Begin::new(request)).map(|_| ()).unwrap_err();
        assert_eq!(refused.code, ErrorCode::OperationNotSupported);
    });
}

/// Digests, MACs and signatures over streams are those over the same message in one piece.
#[test]
fn streams_answer_as_whole_messages_do() {
    on_every_provider(|opened| {
        let Opened { core, caller, .. } = opened;
        let message = message(200_000);
        opened.create("tag", KeyType::Generic);
        for hash in HashName::ALL {
            let hash = *hash;
            let (_, streamed) = run(core, caller, Begin::new(HashStream { hash }), &message, 999).unwrap();
            let whole = core.call(caller, HashData { data: message.as_slice().into(), hash });
            assert!(streamed == whole.map_err(|e| e.code).ok().unwrap());

            let request = MacStream { name: "tag".into(), hash };
            let (_, made) = run(core, caller, Begin::new(request), &message, 999).unwrap();
            let whole = Mac { name: "tag".into(), message: message.as_slice().into(), hash };
            assert!(core.call(caller, whole).map(|whole| whole.mac == made.mac).unwrap());
            for (message, valid) in [(&message[..], true), (&message[1..], false)] {
                let request = VerifyMacStream { name: "tag".into(), mac: made.mac.as_str().into(), hash };
                let (_, checked) = run(core, caller, Begin::new(request), message, 65_536).unwrap();
                assert_eq!(checked.valid, valid);
            }
        }
        for (kind, scheme) in [
            (KeyType::EcdsaP256, None),
            (KeyType::EcdsaP384, None),
            (KeyType::Rsa2048, None),
            (KeyType::Rsa2048, Some(SignatureScheme::RsaPkcs1Sha512)),
            (KeyType::MlDsa44, None),
            (KeyType::MlDsa44, Some(SignatureScheme::HashMlDsaSha256)),
        ] {
            let name = format!("{kind}-{}", scheme.is_some());
            opened.create(&name, kind);
            let form = SignatureForm::Der;
            let context: &[u8] = if kind == KeyType::MlDsa44 { b"of streams" } else { b"" };
            let request =
                SignStream { name: name.as_str().into(), scheme, form, version: 0, context: context.into() };
            let (_, made) = run(core, caller, Begin::new(request), &message, 3333).unwrap();
            let whole = Verify::new(name.as_str(), &message[..], made.signature.as_str());
            let whole = Verify { scheme, context: context.into(), ..whole };
            assert!(core.call(caller, whole).map(|answer| answer.valid).unwrap());
            let request = Sign::new(name.as_str(), &message[..]);
            let signature = core.call(caller, Sign { scheme, context: context.into(), ..request });
            let signature = signature.map(|signed| signed.signature).unwrap();
            for (message, valid) in [(&message[..], true), (&message[1..], false)] {
                let signature = signature.as_str().into();
                let (name, context) = (name.as_str().into(), context.into());
                let request = VerifyStream { name, signature, scheme, form, context };
                let (_, checked) = run(core, caller, Begin::new(request), message, 65_536).unwrap();
                assert_eq!(checked.valid, valid);
            }
        }
        opened.create("edwards", KeyType::Ed25519);
        let form = SignatureForm::Der;
        let context = (&b""[..]).into();
        let request = SignStream { name: "edwards".into(), scheme: None, form, version: 0, context };
        let refused = core.call(caller, Begin::new(request)).map(|_| ()).unwrap_err();
        assert_eq!(refused.code, ErrorCode::OperationNotSupported);
    });
}
