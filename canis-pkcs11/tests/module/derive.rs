//! C_DeriveKey and keys of passwords: known answers, other programs, and what a derived key promises.

use crate::client::{Client, Given, bytes, how, no, number, open_secret, plain, secret, with, yes};
use crate::harness::{Home, succeed};
use crate::keys::P256;
use pkcs11_sys::*;
use std::ptr::null_mut;

const P521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
const X25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x6e];

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn import(client: &Client, value: &[u8], more: &[Given]) -> CK_OBJECT_HANDLE {
    let template = with(open_secret(CKK_GENERIC_SECRET), [bytes(CKA_VALUE, value), yes(CKA_DERIVE)]);
    client.create(&with(template, more.iter().cloned())).unwrap()
}

fn len(len: CK_ULONG) -> Given {
    number(CKA_VALUE_LEN, len)
}

fn hkdf(salt: Option<&[u8]>, info: &[u8]) -> CK_HKDF_PARAMS {
    CK_HKDF_PARAMS {
        bExtract: CK_TRUE,
        bExpand: CK_TRUE,
        prfHashMechanism: CKM_SHA256,
        ulSaltType: if salt.is_some() { CKF_HKDF_SALT_DATA } else { CKF_HKDF_SALT_NULL },
        pSalt: salt.map_or(null_mut(), |salt| salt.as_ptr().cast_mut()),
        ulSaltLen: salt.map_or(0, |salt| salt.len() as CK_ULONG),
        hSaltKey: 0,
        pInfo: info.as_ptr().cast_mut(),
        ulInfoLen: info.len() as CK_ULONG,
    }
}

/// RFC 5869, appendix A.1 and A.3: whole, in two steps, as data; the salt as bytes and as a key.
#[test]
fn hkdf_known_answers() {
    let client = Client::new("hkdf");
    let base = import(&client, &[0x0b; 22], &[]);
    let (salt, info) = (hex("000102030405060708090a0b0c"), hex("f0f1f2f3f4f5f6f7f8f9"));
    let okm = hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    let prk = hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
    let wanted = with(open_secret(CKK_GENERIC_SECRET), [len(42)]);
    let value = |key| client.read(key, CKA_VALUE).unwrap();

    let whole = hkdf(Some(&salt), &info);
    assert_eq!(value(client.derive(&how(CKM_HKDF_DERIVE, whole), base, &wanted).unwrap()), okm);
    let data = [number(CKA_CLASS, CKO_DATA), len(42)];
    assert_eq!(value(client.derive(&how(CKM_HKDF_DATA, whole), base, &data).unwrap()), okm);
    let salt_key = import(&client, &salt, &[]);
    let by_key = CK_HKDF_PARAMS { ulSaltType: CKF_HKDF_SALT_KEY, hSaltKey: salt_key, ..whole };
    assert_eq!(value(client.derive(&how(CKM_HKDF_DERIVE, by_key), base, &wanted).unwrap()), okm);

    let extract = how(CKM_HKDF_DERIVE, CK_HKDF_PARAMS { bExpand: CK_FALSE, ..whole });
    let middle = client.derive(&extract, base, &open_secret(CKK_GENERIC_SECRET)).unwrap();
    assert_eq!(value(middle), prk);
    let expand = how(CKM_HKDF_DERIVE, CK_HKDF_PARAMS { bExtract: CK_FALSE, ..whole });
    assert_eq!(value(client.derive(&expand, middle, &wanted).unwrap()), okm);
    assert_eq!(client.derive(&extract, base, &wanted), Err(CKR_KEY_SIZE_RANGE));
    let neither = how(CKM_HKDF_DERIVE, CK_HKDF_PARAMS { bExtract: CK_FALSE, bExpand: CK_FALSE, ..whole });
    assert_eq!(client.derive(&neither, base, &wanted), Err(CKR_MECHANISM_PARAM_INVALID));

    let third = hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
    assert_eq!(value(client.derive(&how(CKM_HKDF_DERIVE, hkdf(None, b"")), base, &wanted).unwrap()), third);
}

#[test]
fn hkdf_keys_are_generated_and_used() {
    let client = Client::new("hkdfkeys");
    let base = client.generate(&plain(CKM_HKDF_KEY_GEN), &[len(32)]).unwrap();
    assert_eq!(client.read(base, CKA_KEY_TYPE).unwrap(), CKK_HKDF.to_ne_bytes());
    let wanted = with(secret(CKK_AES), [len(32)]);
    let first = client.derive(&how(CKM_HKDF_DERIVE, hkdf(None, b"info")), base, &wanted).unwrap();
    let again = client.derive(&how(CKM_HKDF_DERIVE, hkdf(None, b"info")), base, &wanted).unwrap();
    let sealed = client.encrypt(&plain(CKM_AES_ECB), first, &[7; 16]).unwrap();
    assert_eq!(client.decrypt(&plain(CKM_AES_ECB), again, &sealed).unwrap(), [7; 16]);
}

fn ecdh(kdf: CK_EC_KDF_TYPE, shared: &[u8], peer: &[u8]) -> CK_ECDH1_DERIVE_PARAMS {
    CK_ECDH1_DERIVE_PARAMS {
        kdf,
        ulSharedDataLen: shared.len() as CK_ULONG,
        pSharedData: shared.as_ptr().cast_mut(),
        ulPublicDataLen: peer.len() as CK_ULONG,
        pPublicData: peer.as_ptr().cast_mut(),
    }
}

/// Known by another program: openssl and the module agree, with points bare and as DER, on P-256 and X25519, with and
/// without the KDF of X9.63.
#[test]
fn openssl_and_the_module_agree() {
    let client = Client::new("ecdh");
    let home = Home::new();
    let openssl = |arguments: &[&str]| succeed(home.command("openssl").args(arguments));
    let read = |name: &str| std::fs::read(home.path(name)).unwrap();
    for (generate, curve, algorithm, point_len) in [
        (CKM_EC_KEY_PAIR_GEN, P256.0, &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..], 65),
        (CKM_EC_KEY_PAIR_GEN, P521, &["EC", "-pkeyopt", "ec_paramgen_curve:P-521"], 133),
        (CKM_EC_MONTGOMERY_KEY_PAIR_GEN, X25519, &["X25519"], 32),
    ] {
        let (public, private) = client.pair(generate, &[bytes(CKA_EC_PARAMS, curve)], &[]);
        std::fs::write(home.path("ours.der"), client.read(public, CKA_PUBLIC_KEY_INFO).unwrap()).unwrap();
        openssl(&[&["genpkey", "-algorithm"], algorithm, &["-out", "theirs.pem"]].concat());
        openssl(&["pkey", "-in", "theirs.pem", "-pubout", "-outform", "DER", "-out", "theirs.der"]);
        openssl(&[
            "pkeyutl",
            "-derive",
            "-inkey",
            "theirs.pem",
            "-peerkey",
            "ours.der",
            "-peerform",
            "DER",
            "-out",
            "shared",
        ]);
        let (theirs, shared) = (read("theirs.der"), read("shared"));
        let bare = &theirs[theirs.len() - point_len..];
        let header = if point_len < 128 { vec![4, point_len as u8] } else { vec![4, 0x81, point_len as u8] };
        let der = [&header[..], bare].concat();
        for kind in [CKM_ECDH1_DERIVE, CKM_ECDH1_COFACTOR_DERIVE] {
            for peer in [bare, &der] {
                let how = how(kind, ecdh(CKD_NULL, b"", peer));
                let key = client.derive(&how, private, &open_secret(CKK_GENERIC_SECRET)).unwrap();
                assert_eq!(client.read(key, CKA_VALUE).unwrap(), shared);
            }
        }
        // Less than all of it are the last bytes.
        let short = with(open_secret(CKK_AES), [len(16)]);
        let null = how(CKM_ECDH1_DERIVE, ecdh(CKD_NULL, b"", bare));
        let key = client.derive(&null, private, &short).unwrap();
        assert_eq!(client.read(key, CKA_VALUE).unwrap(), shared[shared.len() - 16..]);
        for (kdf, digest) in [
            (CKD_SHA1_KDF, "SHA1"),
            (CKD_SHA224_KDF, "SHA224"),
            (CKD_SHA256_KDF, "SHA256"),
            (CKD_SHA384_KDF, "SHA384"),
            (CKD_SHA512_KDF, "SHA512"),
        ] {
            let hexed: String = shared.iter().map(|byte| format!("{byte:02x}")).collect();
            let (digest, secret) = (format!("digest:{digest}"), format!("hexsecret:{hexed}"));
            openssl(&[
                "kdf",
                "-keylen",
                "100",
                "-kdfopt",
                &digest,
                "-kdfopt",
                &secret,
                "-kdfopt",
                "info:shared info",
                "-binary",
                "-out",
                "kdf",
                "X963KDF",
            ]);
            let how = how(CKM_ECDH1_DERIVE, ecdh(kdf, b"shared info", bare));
            let wanted = with(open_secret(CKK_GENERIC_SECRET), [len(100)]);
            let key = client.derive(&how, private, &wanted).unwrap();
            assert_eq!(client.read(key, CKA_VALUE).unwrap(), read("kdf"), "{digest}");
        }
        let wanted = open_secret(CKK_GENERIC_SECRET);
        let derive = |parameter| client.derive(&how(CKM_ECDH1_DERIVE, parameter), private, &wanted);
        assert_eq!(derive(ecdh(CKD_NULL, b"x", bare)), Err(CKR_MECHANISM_PARAM_INVALID));
        assert_eq!(derive(ecdh(99, b"", bare)), Err(CKR_MECHANISM_PARAM_INVALID));
        assert_eq!(derive(ecdh(CKD_NULL, b"", &bare[1..])), Err(CKR_MECHANISM_PARAM_INVALID));
        assert_eq!(derive(ecdh(CKD_NULL, b"", &vec![0; point_len])), Err(CKR_MECHANISM_PARAM_INVALID));
        assert_eq!(client.derive(&null, public, &wanted), Err(CKR_KEY_TYPE_INCONSISTENT));
        let long = with(open_secret(CKK_GENERIC_SECRET), [len(67)]);
        assert_eq!(client.derive(&null, private, &long), Err(CKR_KEY_SIZE_RANGE));
    }
}

/// RFC 6070, section 2.
#[test]
fn keys_of_passwords() {
    let client = Client::new("pbkdf2");
    let salt = b"salt";
    let parameter = CK_PKCS5_PBKD2_PARAMS2 {
        saltSource: CKZ_SALT_SPECIFIED,
        pSaltSourceData: salt.as_ptr().cast_mut().cast(),
        ulSaltSourceDataLen: 4,
        iterations: 4096,
        prf: CKP_PKCS5_PBKD2_HMAC_SHA1,
        pPrfData: null_mut(),
        ulPrfDataLen: 0,
        pPassword: b"password".as_ptr().cast_mut(),
        ulPasswordLen: 8,
    };
    let wanted = with(open_secret(CKK_GENERIC_SECRET), [len(20)]);
    let key = client.generate(&how(CKM_PKCS5_PBKD2, parameter), &wanted).unwrap();
    assert_eq!(client.read(key, CKA_VALUE).unwrap(), hex("4b007901b765489abead49d926f721d065a429c1"));
    assert_eq!(client.read(key, CKA_KEY_GEN_MECHANISM).unwrap(), CKM_PKCS5_PBKD2.to_ne_bytes());
    let none = how(CKM_PKCS5_PBKD2, CK_PKCS5_PBKD2_PARAMS2 { iterations: 0, ..parameter });
    assert_eq!(client.generate(&none, &wanted), Err(CKR_MECHANISM_PARAM_INVALID));
    let endless = how(CKM_PKCS5_PBKD2, CK_PKCS5_PBKD2_PARAMS2 { iterations: CK_ULONG::MAX, ..parameter });
    assert_eq!(client.generate(&endless, &wanted), Err(CKR_MECHANISM_PARAM_INVALID));
    let many = how(CKM_PKCS5_PBKD2, CK_PKCS5_PBKD2_PARAMS2 { iterations: 10_000_000, ..parameter });
    let long = with(open_secret(CKK_GENERIC_SECRET), [len(4096)]);
    assert_eq!(client.generate(&many, &long), Err(CKR_MECHANISM_PARAM_INVALID));
    let lengthless = open_secret(CKK_GENERIC_SECRET);
    assert_eq!(client.generate(&how(CKM_PKCS5_PBKD2, parameter), &lengthless), Err(CKR_TEMPLATE_INCOMPLETE));
}

/// Known by another program: SP 800-108 in counter mode as openssl's KBKDF computes it.
#[test]
fn sp_800_108_counter_mode() {
    let client = Client::new("kbkdf");
    let base = import(&client, &hex("000102030405060708090a0b0c0d0e0f"), &[]);
    let mut counter = CK_SP800_108_COUNTER_FORMAT { bLittleEndian: CK_FALSE, ulWidthInBits: 32 };
    let mut length = CK_SP800_108_DKM_LENGTH_FORMAT {
        dkmLengthMethod: CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS,
        bLittleEndian: CK_FALSE,
        ulWidthInBits: 32,
    };
    let mut fixed = *b"label\0context";
    fn field<T: ?Sized>(kind: CK_ULONG, value: &mut T) -> CK_PRF_DATA_PARAM {
        let len = size_of_val(value) as CK_ULONG;
        CK_PRF_DATA_PARAM { type_: kind, pValue: std::ptr::from_mut(value).cast(), ulValueLen: len }
    }
    let mut fields = [
        field(CK_SP800_108_ITERATION_VARIABLE, &mut counter),
        field(CK_SP800_108_BYTE_ARRAY, &mut fixed),
        field(CK_SP800_108_DKM_LENGTH, &mut length),
    ];
    let parameter = CK_SP800_108_KDF_PARAMS {
        prfType: CKM_SHA256_HMAC,
        ulNumberOfDataParams: 3,
        pDataParams: fields.as_mut_ptr(),
        ulAdditionalDerivedKeys: 0,
        pAdditionalDerivedKeys: null_mut(),
    };
    let wanted = with(open_secret(CKK_GENERIC_SECRET), [len(32)]);
    let key = client.derive(&how(CKM_SP800_108_COUNTER_KDF, parameter), base, &wanted).unwrap();
    let expected = hex("f8bd45f9279c1bf8c75b06cf7ae23bf1756306dc1e3e7db1e7dc2f89f4974977");
    assert_eq!(client.read(key, CKA_VALUE).unwrap(), expected);
    let refused =
        |parameter| client.derive(&how(CKM_SP800_108_COUNTER_KDF, parameter), base, &wanted).unwrap_err();
    let none = CK_SP800_108_KDF_PARAMS { ulNumberOfDataParams: 0, ..parameter };
    let many = CK_SP800_108_KDF_PARAMS { ulNumberOfDataParams: CK_ULONG::MAX, ..parameter };
    let more = CK_SP800_108_KDF_PARAMS { ulAdditionalDerivedKeys: 1, ..parameter };
    let strange = CK_SP800_108_KDF_PARAMS { prfType: CKM_AES_GCM, ..parameter };
    for parameter in [none, many, more, strange] {
        assert_eq!(refused(parameter), CKR_MECHANISM_PARAM_INVALID);
    }
}

fn data(value: &[u8]) -> CK_KEY_DERIVATION_STRING_DATA {
    CK_KEY_DERIVATION_STRING_DATA { pData: value.as_ptr().cast_mut(), ulLen: value.len() as CK_ULONG }
}

/// PKCS#11 v3.1, section 6.43.
#[test]
fn keys_are_joined_xored_and_cut() {
    let client = Client::new("joined");
    let (one, two) = (import(&client, b"0123456789abcdef", &[]), import(&client, b"GHIJ", &[]));
    let value = |key: Result<CK_OBJECT_HANDLE, CK_RV>| client.read(key.unwrap(), CKA_VALUE).unwrap();
    let wanted = open_secret(CKK_GENERIC_SECRET);
    let cut = |to| with(open_secret(CKK_GENERIC_SECRET), [len(to)]);
    let key = how(CKM_CONCATENATE_BASE_AND_KEY, two);
    assert_eq!(value(client.derive(&key, one, &wanted)), b"0123456789abcdefGHIJ");
    assert_eq!(value(client.derive(&key, one, &cut(18))), b"0123456789abcdefGH");
    assert_eq!(client.derive(&key, one, &cut(21)), Err(CKR_KEY_SIZE_RANGE));
    let after = how(CKM_CONCATENATE_BASE_AND_DATA, data(b"data"));
    assert_eq!(value(client.derive(&after, one, &wanted)), b"0123456789abcdefdata");
    let before = how(CKM_CONCATENATE_DATA_AND_BASE, data(b"data"));
    assert_eq!(value(client.derive(&before, one, &wanted)), b"data0123456789abcdef");
    let xor = how(CKM_XOR_BASE_AND_DATA, data(&[0x40; 20]));
    assert_eq!(value(client.derive(&xor, one, &wanted)), b"pqrstuvwxy!\"#$%&");
    // 0x36 0x37 0x38: from bit 4 on, 0x63 0x73.
    let extract = |bit: CK_ULONG| how(CKM_EXTRACT_KEY_FROM_KEY, bit);
    assert_eq!(value(client.derive(&extract(52), one, &cut(2))), [0x63, 0x73]);
    assert_eq!(value(client.derive(&extract(120), one, &cut(3))), b"f01");
    assert_eq!(client.derive(&extract(128), one, &cut(2)), Err(CKR_KEY_SIZE_RANGE));
    assert_eq!(client.derive(&extract(0), one, &wanted), Err(CKR_KEY_SIZE_RANGE));
    let nobody = how(CKM_CONCATENATE_BASE_AND_KEY, 0 as CK_OBJECT_HANDLE);
    assert_eq!(client.derive(&nobody, one, &wanted), Err(CKR_KEY_HANDLE_INVALID));
}

/// A key from a secret key promises no less than that.
#[test]
fn derived_keys_have_the_promises_of_their_base() {
    let client = Client::new("heirs");
    let hkdf = how(CKM_HKDF_DERIVE, hkdf(None, b""));
    let wanted = |more: &[Given]| with(with(secret(CKK_GENERIC_SECRET), [len(32)]), more.iter().cloned());
    let base = client.generate(&plain(CKM_GENERIC_SECRET_KEY_GEN), &[len(32)]).unwrap();
    let child = client.derive(&hkdf, base, &wanted(&[])).unwrap();
    for (kind, expected) in [
        (CKA_SENSITIVE, true),
        (CKA_ALWAYS_SENSITIVE, true),
        (CKA_EXTRACTABLE, false),
        (CKA_NEVER_EXTRACTABLE, true),
        (CKA_LOCAL, false),
    ] {
        assert_eq!(client.is(child, kind), expected, "{kind:x}");
    }
    for weaker in [no(CKA_SENSITIVE), yes(CKA_EXTRACTABLE)] {
        assert_eq!(client.derive(&hkdf, base, &wanted(&[weaker])), Err(CKR_TEMPLATE_INCONSISTENT));
    }
    let as_data = [number(CKA_CLASS, CKO_DATA), len(32)];
    let data = client.derive(&how(CKM_HKDF_DATA, self::hkdf(None, b"")), base, &as_data);
    assert_eq!(data, Err(CKR_TEMPLATE_INCONSISTENT));

    let open = import(&client, &[7; 32], &[]);
    let child = client.derive(&hkdf, open, &wanted(&[])).unwrap();
    assert!(client.is(child, CKA_SENSITIVE) && !client.is(child, CKA_ALWAYS_SENSITIVE));
    assert!(!client.is(child, CKA_NEVER_EXTRACTABLE));
    let join = how(CKM_CONCATENATE_BASE_AND_KEY, base);
    let open_child = with(open_secret(CKK_GENERIC_SECRET), []);
    assert_eq!(client.derive(&join, open, &open_child), Err(CKR_TEMPLATE_INCONSISTENT));

    let silent = client.generate(&plain(CKM_GENERIC_SECRET_KEY_GEN), &[len(32), no(CKA_DERIVE)]).unwrap();
    assert_eq!(client.derive(&hkdf, silent, &wanted(&[])), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
    let join = how(CKM_CONCATENATE_BASE_AND_KEY, silent);
    assert_eq!(client.derive(&join, base, &wanted(&[])), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
    assert_eq!(client.derive(&hkdf, 0, &wanted(&[])), Err(CKR_KEY_HANDLE_INVALID));
    assert_eq!(client.derive(&plain(CKM_SHA256), base, &wanted(&[])), Err(CKR_MECHANISM_INVALID));
    let (_, rsa) = client.pair(CKM_RSA_PKCS_KEY_PAIR_GEN, &[number(CKA_MODULUS_BITS, 2048)], &[]);
    assert_eq!(client.derive(&hkdf, rsa, &wanted(&[])), Err(CKR_KEY_TYPE_INCONSISTENT));
}

/// Parameters that are no structure of the mechanism, lead nowhere or say absurd lengths: a code each, no crash.
#[test]
fn absurd_parameters_are_refused() {
    let client = Client::new("absurd");
    let secret_base = import(&client, &[7; 32], &[]);
    let wrapper = client.aes(32, &[yes(CKA_WRAP), yes(CKA_UNWRAP)]);
    let (_, ec) = client.pair(CKM_EC_KEY_PAIR_GEN, &[bytes(CKA_EC_PARAMS, P256.0)], &[]);
    let wanted = secret(CKK_GENERIC_SECRET);
    for kind in [
        CKM_HKDF_DERIVE,
        CKM_HKDF_DATA,
        CKM_SP800_108_COUNTER_KDF,
        CKM_CONCATENATE_BASE_AND_KEY,
        CKM_CONCATENATE_BASE_AND_DATA,
        CKM_CONCATENATE_DATA_AND_BASE,
        CKM_XOR_BASE_AND_DATA,
        CKM_EXTRACT_KEY_FROM_KEY,
        CKM_ECDH1_DERIVE,
    ] {
        let base = if kind == CKM_ECDH1_DERIVE { ec } else { secret_base };
        assert_eq!(client.derive(&plain(kind), base, &wanted), Err(CKR_MECHANISM_PARAM_INVALID), "{kind:x}");
        assert_eq!(client.derive(&how(kind, [7u8; 3]), base, &wanted), Err(CKR_MECHANISM_PARAM_INVALID));
    }
    let nowhere = CK_KEY_DERIVATION_STRING_DATA { pData: null_mut(), ulLen: 32 };
    let endless = CK_KEY_DERIVATION_STRING_DATA { pData: [7u8].as_mut_ptr(), ulLen: CK_ULONG::MAX };
    for parameter in [nowhere, endless] {
        let xor = how(CKM_XOR_BASE_AND_DATA, parameter);
        assert_eq!(client.derive(&xor, secret_base, &wanted), Err(CKR_MECHANISM_PARAM_INVALID));
    }
    let empty = how(CKM_XOR_BASE_AND_DATA, data(b""));
    assert_eq!(client.derive(&empty, secret_base, &wanted), Err(CKR_KEY_SIZE_RANGE));
    let bit = how(CKM_EXTRACT_KEY_FROM_KEY, CK_ULONG::MAX);
    assert_eq!(client.derive(&bit, secret_base, &with(wanted.clone(), [len(16)])), Err(CKR_KEY_SIZE_RANGE));
    let long = with(wanted.clone(), [len(CK_ULONG::MAX)]);
    let hkdf_of = |hash| how(CKM_HKDF_DERIVE, CK_HKDF_PARAMS { prfHashMechanism: hash, ..hkdf(None, b"") });
    assert_eq!(client.derive(&hkdf_of(CKM_SHA256), secret_base, &long), Err(CKR_KEY_SIZE_RANGE));
    assert_eq!(client.derive(&hkdf_of(CKM_AES_GCM), secret_base, &wanted), Err(CKR_MECHANISM_PARAM_INVALID));

    let target = client.aes(32, &[yes(CKA_EXTRACTABLE)]);
    let rsa = CK_RSA_AES_KEY_WRAP_PARAMS { ulAESKeyBits: 256, pOAEPParams: null_mut() };
    assert_eq!(
        client.wrap(&how(CKM_RSA_AES_KEY_WRAP, rsa), wrapper, target),
        Err(CKR_MECHANISM_PARAM_INVALID)
    );
    for kind in [CKM_AES_GCM, CKM_RSA_PKCS_OAEP, CKM_RSA_AES_KEY_WRAP] {
        assert_eq!(client.wrap(&plain(kind), wrapper, target), Err(CKR_MECHANISM_PARAM_INVALID), "{kind:x}");
    }
    let pbkdf2 = with(wanted, [len(32)]);
    assert_eq!(client.generate(&plain(CKM_PKCS5_PBKD2), &pbkdf2), Err(CKR_MECHANISM_PARAM_INVALID));
}
