//! The test vectors of age v1 (C2SP CCTV, package `cctv-age` 0.2.0; 0BSD, CC0-1.0 or Unlicense, at choice).
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use canis_client::file::{
    ArmorReader, ArmorWriter, Header, HybridIdentity, Identity, Reader, X25519Identity,
};
use canis_proto::{Error, ErrorCode};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{Read, Write};

const VECTORS: &str = include_str!("age_vectors.json");

/// Files under a passphrase are opened by age itself; CANIS must read their headers and leave them alone.
const NOT_OURS: &str = "scrypt";

struct Vector {
    name: String,
    fields: Vec<(String, String)>,
    file: Vec<u8>,
}

impl Vector {
    fn all() -> Vec<Vector> {
        let texts: BTreeMap<String, String> = serde_json::from_str(VECTORS).unwrap();
        texts.into_iter().map(|(name, text)| Vector::read(name, &STANDARD.decode(text).unwrap())).collect()
    }

    fn read(name: String, bytes: &[u8]) -> Vector {
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
        let fields = std::str::from_utf8(&bytes[..end]).unwrap().lines();
        let field = |line: &str| line.split_once(": ").map(|(k, v)| (k.to_owned(), v.to_owned())).unwrap();
        let mut vector =
            Vector { name, fields: fields.map(field).collect(), file: bytes[end + 2..].to_vec() };
        if vector.field("compressed") == Some("zlib") {
            vector.file = miniz_oxide::inflate::decompress_to_vec_zlib(&vector.file).unwrap();
        }
        vector
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn identities(&self) -> Vec<Box<dyn Identity>> {
        let identities = self.fields.iter().filter(|(key, _)| key == "identity");
        let identity = |text: &str| -> Box<dyn Identity> {
            match HybridIdentity::is_meant(text) {
                true => Box::new(HybridIdentity::parse(text).unwrap()),
                false => Box::new(X25519Identity::parse(text).unwrap()),
            }
        };
        identities.map(|(_, text)| identity(text)).collect()
    }

    fn reader(&self) -> Box<dyn Read + '_> {
        match self.field("armored") {
            Some("yes") => Box::new(ArmorReader::new(&self.file[..])),
            _ => Box::new(&self.file[..]),
        }
    }

    /// What comes out, and why no more.
    fn decrypt(&self) -> (Vec<u8>, Result<(), Error>) {
        let identities = self.identities();
        let identities: Vec<_> = identities.iter().map(|identity| &**identity).collect();
        let mut out = Vec::new();
        let end = Reader::new(self.reader(), &identities).and_then(|mut reader| {
            reader.read_to_end(&mut out).map(drop).map_err(|error| error.downcast::<Error>().unwrap())
        });
        (out, end)
    }

    /// Whether it is for somebody whom CANIS leaves to age.
    fn is_not_ours(&self) -> bool {
        let for_others = |header: &Header| header.stanzas().iter().any(|s| s.kind == NOT_OURS);
        Header::read(&mut self.reader()).is_ok_and(|header| for_others(&header))
    }
}

/// What comes out of each is what shall come out, whether the file is whole or not; and it fails with the code that its kind
/// of fault has. A file for others only is for nobody here, whatever else is wrong with it.
#[test]
fn all_vectors() {
    let (mut ours, mut others) = (0, 0);
    for vector in Vector::all() {
        let name = &vector.name;
        let (out, end) = vector.decrypt();
        let code = end.as_ref().err().map(|error| error.code);
        if vector.is_not_ours() && code == Some(ErrorCode::KeyNotFound) {
            assert!(out.is_empty(), "{name}");
            others += 1;
            continue;
        }
        let expected: &[_] = match vector.field("expect").unwrap() {
            "success" => &[None],
            "no match" => &[Some(ErrorCode::KeyNotFound)],
            "HMAC failure" => &[Some(ErrorCode::DecryptionFailed)],
            "header failure" | "armor failure" => &[Some(ErrorCode::UnsupportedFormat)],
            // Without a whole nonce it is no body.
            "payload failure" => &[Some(ErrorCode::DecryptionFailed), Some(ErrorCode::UnsupportedFormat)],
            unknown => panic!("{name}: {unknown}"),
        };
        assert!(expected.contains(&code), "{name}: {end:?}");
        let hash: String = Sha256::digest(&out).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(vector.field("payload").map_or(out.is_empty(), |payload| payload == hash), "{name}");
        ours += 1;
    }
    assert_eq!((ours, others), (121, 22));
}

/// A header that can be read is written as it was, and so is armour but for the white space around it and the ends of lines.
#[test]
fn what_is_read_is_written_the_same() {
    let (mut headers, mut armors) = (0, 0);
    for vector in Vector::all() {
        if let Ok(header) = Header::read(&mut vector.reader()) {
            let texts: String = header.stanzas().iter().map(|stanza| stanza.to_text().to_string()).collect();
            assert!(std::str::from_utf8(header.as_bytes()).unwrap().contains(&texts), "{}", vector.name);
            headers += 1;
        }
        let mut bytes = Vec::new();
        if vector.field("armored").is_some() && vector.reader().read_to_end(&mut bytes).is_ok() {
            let mut writer = ArmorWriter::new(Vec::new());
            writer.write_all(&bytes).unwrap();
            let again = String::from_utf8(writer.finish().unwrap()).unwrap();
            let before = String::from_utf8(vector.file.clone()).unwrap().replace('\r', "");
            assert_eq!(again.trim(), before.trim(), "{}", vector.name);
            armors += 1;
        }
    }
    assert!(headers > 60 && armors >= 8, "{headers} {armors}");
}
