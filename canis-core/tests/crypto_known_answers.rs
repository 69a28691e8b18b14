//! The vectors that the standards print, on every provider.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::public_parts::PublicParts;
use canis_core::crypto::xaes::XaesKey;
use canis_core::crypto::{Hash, MAX_DIGEST, RUST, SignScheme, providers};
use canis_proto::KeyType;
use crypto_material::hex;

/// FIPS 180-4: a million times "a", in parts of uneven length, and a copy taken on the way.
#[test]
fn digests_in_parts() {
    let answers = [
        (Hash::Sha1, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
        (Hash::Sha256, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        (
            Hash::Sha384,
            "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b
             07b8b3dc38ecc4ebae97ddd87f3d8985",
        ),
        (
            Hash::Sha512,
            "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb
             de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b",
        ),
    ];
    let message = vec![b'a'; 1_000_000];
    for provider in providers() {
        for (hash, answer) in answers {
            let mut hasher = provider.digest.start(hash);
            let mut forks = Vec::new();
            for (number, part) in message.chunks(99_991).enumerate() {
                if number % 3 == 0 {
                    forks.push((hasher.fork(), number * 99_991));
                }
                hasher.update(part);
            }
            let mut out = [0; MAX_DIGEST];
            assert_eq!(hasher.finish(&mut out), hash.len());
            assert_eq!(out[..hash.len()], hex(answer), "{hash:?} of {}", provider.name);
            for (mut fork, at) in forks {
                fork.update(&message[at..]);
                assert_eq!(fork.finish(&mut out), hash.len());
                assert_eq!(out[..hash.len()], hex(answer), "{hash:?} of {}, from a copy", provider.name);
            }
        }
    }
}

/// RFC 4231, test cases 1, 3, 6 and 7 (keys shorter and longer than a block).
#[test]
fn hmac() {
    let long = "Test Using Larger Than Block-Size Key - Hash Key First";
    let longer = "This is a test using a larger than block-size key and a larger than block-size data. \
                  The key needs to be hashed before being used by the HMAC algorithm.";
    let cases: [(&[u8], &[u8], &str); 4] = [
        (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        (&[0xaa; 131], long.as_bytes(), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
        (&[0xaa; 131], longer.as_bytes(), "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
    ];
    for provider in providers() {
        for (key, message, answer) in cases {
            assert_eq!(provider.mac.hmac_sha256(key, &[message])[..], hex(answer), "{}", provider.name);
        }
    }
}

/// RFC 5869, appendices A.2 and A.3, and the longest output there is.
#[test]
fn hkdf() {
    let range = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
    for provider in providers() {
        let mut out = [0; 82];
        provider.kdf.hkdf_sha256(&range(0, 0x4f), &range(0x60, 0xaf), &range(0xb0, 0xff), &mut out).unwrap();
        let answer = "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c
                      59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71
                      cc30c58179ec3e87c14c01d5c1f3434f1d87";
        assert_eq!(out[..], hex(answer), "{}", provider.name);
        let mut out = [0; 42];
        provider.kdf.hkdf_sha256(&[0x0b; 22], &[], &[], &mut out).unwrap();
        let answer = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
        assert_eq!(out[..], hex(answer), "{}", provider.name);
        assert!(provider.kdf.hkdf_sha256(b"secret", b"", b"", &mut [0; 8160]).is_ok());
        assert!(provider.kdf.hkdf_sha256(b"secret", b"", b"", &mut [0; 8161]).is_err());
        assert!(provider.kdf.hkdf_sha256(b"secret", b"", b"", &mut []).is_ok());
    }
}

/// The reference implementation's test vector for Argon2id version 1.3 with one lane, and refused parameters.
#[test]
fn argon2id() {
    for provider in providers() {
        let mut out = [0; 32];
        provider.kdf.argon2id(b"password", b"somesalt", 256, 2, &mut out).unwrap();
        let answer = "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe";
        assert_eq!(out[..], hex(answer), "{}", provider.name);
        assert!(
            provider.kdf.argon2id(b"password", b"somesalt", 7, 2, &mut out).is_err(),
            "memory below 8 KiB"
        );
        assert!(provider.kdf.argon2id(b"password", b"somesalt", 256, 0, &mut out).is_err(), "no pass");
        assert!(
            provider.kdf.argon2id(b"password", b"short", 256, 2, &mut out).is_err(),
            "salt below 8 bytes"
        );
        assert!(provider.kdf.argon2id(b"password", b"somesalt", 256, 2, &mut [0; 3]).is_err(), "3 bytes out");
    }
}

/// R1: test cases 4 and 10 of the GCM specification (AES-128 and AES-192), and the C2SP vectors of XAES-256-GCM.
#[test]
fn gcm_and_xaes() {
    let key = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c");
    let nonce: [u8; 12] = hex("cafebabefacedbaddecaf888").try_into().unwrap();
    let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let plaintext = hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
                         1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
    let cases = [
        (
            16,
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
            "5bc94fbc3221a5db94fae95ae7121a47",
        ),
        (
            24,
            "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c
             7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710",
            "2519498e80f1478f37ba55bd6d27618c",
        ),
    ];
    for provider in providers() {
        for (len, ciphertext, tag) in cases {
            let (mut out, mut made) = (vec![0; plaintext.len()], [0; 16]);
            let ready = provider.cipher.aes_gcm(&key[..len]).unwrap();
            ready.seal(&nonce, &aad, &plaintext, &mut out, &mut made).unwrap();
            assert_eq!((out, made.to_vec()), (hex(ciphertext), hex(tag)), "{}", provider.name);
        }
        let xaes: [(u8, &[u8], &str); 2] = [
            (1, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
            (3, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
        ];
        for (byte, aad, answer) in xaes {
            let (mut out, mut tag) = ([0; 12], [0; 16]);
            let key = XaesKey::new(provider, &[byte; 32]).unwrap();
            key.seal(b"ABCDEFGHIJKLMNOPQRSTUVWX", aad, b"XAES-256-GCM", &mut out, &mut tag).unwrap();
            assert_eq!([&out[..], &tag].concat(), hex(answer), "{}", provider.name);
        }
    }
}

/// R6: RFC 8032, section 7.1, all five vectors: imported as PKCS#8, public key and signature as printed.
#[test]
fn ed25519() {
    let long_message = hex(include_str!("crypto_material/rfc8032_1024.txt"));
    let cases: [(&str, &str, &[u8], &str); 4] = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            &[],
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155
             5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            &[0xaf, 0x82],
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac
             18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
        (
            "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
            "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
            &long_message,
            "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350
             aa5371b1508f9f4528ecea23c436d94b5e8fcd4f681e30a6ac00a9704a188a03",
        ),
        (
            "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
            &hex("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a
                  2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"),
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589
             09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
        ),
    ];
    for provider in providers() {
        for (seed, point, message, signature) in &cases {
            let pkcs8 = [hex("302e020100300506032b657004220420"), hex(seed)].concat();
            let key = provider.keys.private(KeyType::Ed25519, &pkcs8).unwrap();
            let mut out = [0; 64];
            key.sign(SignScheme::Ed25519, message, &mut out).unwrap();
            assert_eq!(out[..], hex(signature), "{}", provider.name);
            let parts = PublicParts::Edwards { point: hex(point).try_into().unwrap() };
            assert_eq!(key.public_spki(), parts.to_spki().unwrap(), "{}", provider.name);
            let public = provider.keys.public(KeyType::Ed25519, key.public_spki()).unwrap();
            assert_eq!(public.verify(SignScheme::Ed25519, message, &out), Ok(true));
        }
    }
}

/// R4, R5: RFC 6979, appendices A.2.5 to A.2.7: the RustCrypto provider's nonces are those of the standard with the
/// curve's own hash; both providers read the key without its public half and compute that, and verify.
#[test]
fn ecdsa_deterministic() {
    let p256 = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
    let p384 = "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d8
                96d5724e4c70a825f872c9ea60d2edf5";
    let p521 =
        "00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75caa896eb32f1f47c70855836a6d16fcc1466
                f6d8fbec67db89ec0c08b0e996b83538";
    let cases = [
        (
            KeyType::EcdsaP256,
            hex(p256),
            Hash::Sha256,
            "sample",
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716
             f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        ),
        (
            KeyType::EcdsaP256,
            hex(p256),
            Hash::Sha256,
            "test",
            "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367
             019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
        ),
        (
            KeyType::EcdsaP384,
            hex(p384),
            Hash::Sha384,
            "sample",
            "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46
             99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
        ),
        (
            KeyType::EcdsaP384,
            hex(p384),
            Hash::Sha384,
            "test",
            "8203b63d3c853e8d77227fb377bcf7b7b772e97892a80f36ab775d509d7a5feb0542a7f0812998da8f1dd3ca3cf023db
             ddd0760448d42d8a43af45af836fce4de8be06b485e9b61b827c2f13173923e06a739f040649a667bf3b828246baa5a5",
        ),
        (
            KeyType::EcdsaP521,
            hex(p521),
            Hash::Sha512,
            "sample",
            "00c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25a1ee9017b5d450606add152b534931
             d7d4e8455cc91f9b15bf05ec36e377fa
             00617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af282623eaa63e5b5c0723d8b8c37ff0777b1a
             20f8ccb1dccc43997f1ee0e44da4a67a",
        ),
    ];
    for (kind, scalar, hash, message, answer) in cases {
        let pkcs8 = pkcs8_without_point(kind, &scalar);
        let mut digest = [0; MAX_DIGEST];
        let len = RUST.digest.hash(hash, message.as_bytes(), &mut digest);
        let private = RUST.keys.private(kind, &pkcs8).unwrap();
        let mut out = vec![0; private.signature_len()];
        private.sign(SignScheme::Ecdsa, &digest[..len], &mut out).unwrap();
        assert_eq!(out, hex(answer), "{kind}, {message}");
        for provider in providers() {
            let spki = provider.keys.private(kind, &pkcs8).unwrap().public_spki().to_vec();
            assert_eq!(spki, private.public_spki(), "{}", provider.name);
            let public = provider.keys.public(kind, &spki).unwrap();
            assert_eq!(public.verify(SignScheme::Ecdsa, &digest[..len], &out), Ok(true), "{}", provider.name);
        }
    }
}

/// PKCS#8 around an ECPrivateKey (RFC 5915) of version and scalar alone.
fn pkcs8_without_point(kind: KeyType, scalar: &[u8]) -> Vec<u8> {
    let tlv = |tag: u8, body: &[u8]| [&[tag, body.len() as u8], body].concat();
    let curve = match kind {
        KeyType::EcdsaP256 => hex("06082a8648ce3d030107"),
        KeyType::EcdsaP521 => hex("06052b81040023"),
        _ => hex("06052b81040022"),
    };
    let algorithm = tlv(0x30, &[hex("06072a8648ce3d0201"), curve].concat());
    let key = tlv(0x30, &[tlv(0x02, &[1]), tlv(0x04, scalar)].concat());
    tlv(0x30, &[tlv(0x02, &[0]), algorithm, tlv(0x04, &key)].concat())
}
