//! Attacks that take a key apart: each through the module, and each in vain.

use crate::client::{Client, bytes, how, no, number, open_secret, plain, secret, with, yes};
use pkcs11_sys::*;

/// R52: bytes that somebody knows beside those of a sensitive key do not count as bytes of it: joined to thirteen known
/// ones a key would be cut into windows with one unknown byte each, which its MACs give away.
#[test]
fn no_known_bytes_open_a_window_on_a_sensitive_key() {
    let client = Client::new("window");
    let wanted =
        |len: CK_ULONG| with(secret(CKK_GENERIC_SECRET), [number(CKA_VALUE_LEN, len), yes(CKA_SIGN)]);
    let base = client.generate(&plain(CKM_GENERIC_SECRET_KEY_GEN), &wanted(16)).unwrap();
    let mut known = [7u8; 13].to_vec();
    for at in 0..16 {
        let data = CK_KEY_DERIVATION_STRING_DATA { pData: known.as_ptr().cast_mut(), ulLen: 13 };
        let joined = client.derive(&how(CKM_CONCATENATE_DATA_AND_BASE, data), base, &wanted(29)).unwrap();
        let window = client.derive(&how(CKM_EXTRACT_KEY_FROM_KEY, 8 * at as CK_ULONG), joined, &wanted(14));
        let Ok(window) = window else {
            assert_eq!(window, Err(CKR_KEY_SIZE_RANGE));
            return;
        };
        let hmac = plain(CKM_SHA256_HMAC);
        let tag = client.sign(&hmac, window, b"message").unwrap();
        let byte = (0..=255u8).find(|byte| {
            let value = [&known[at..], &[*byte]].concat();
            let guess = [bytes(CKA_VALUE, &value), yes(CKA_SIGN)];
            let guess = client.create(&with(open_secret(CKK_GENERIC_SECRET), guess)).unwrap();
            client.sign(&hmac, guess, b"message").unwrap() == tag
        });
        known.push(byte.unwrap());
    }
    panic!("the sensitive key is {:02x?}", &known[13..]);
}

/// R52: HMAC fills keys up with zeros, so the MAC of a key cut by one byte is that of the whole one whose last byte was
/// altered to be zero: 256 tries tell which byte that was, and turned around the key tells all.
#[test]
fn no_shorter_key_tells_the_last_byte_of_a_sensitive_one() {
    let client = Client::new("shorter");
    let wanted =
        |len: CK_ULONG| with(secret(CKK_GENERIC_SECRET), [number(CKA_VALUE_LEN, len), yes(CKA_SIGN)]);
    let base = client.generate(&plain(CKM_GENERIC_SECRET_KEY_GEN), &wanted(32)).unwrap();
    let tag = |key| client.sign(&plain(CKM_SHA256_HMAC), key, b"message").unwrap();
    let shorter = client.derive(&how(CKM_EXTRACT_KEY_FROM_KEY, 0 as CK_ULONG), base, &wanted(31)).map(tag);
    let told = (0..=255u8).find(|guess| {
        let mut mask = [0; 32];
        mask[31] = *guess;
        let data = CK_KEY_DERIVATION_STRING_DATA { pData: mask.as_mut_ptr(), ulLen: 32 };
        let whole = client.derive(&how(CKM_XOR_BASE_AND_DATA, data), base, &wanted(32)).unwrap();
        Ok(tag(whole)) == shorter
    });
    assert_eq!((told, shorter), (None, Err(CKR_KEY_SIZE_RANGE)));
}

/// R52: what is not extractable stays inside as what is sensitive does: no byte of it alone, nothing of it as data.
#[test]
fn keys_that_are_only_not_extractable_stay_inside() {
    let client = Client::new("inside");
    let stays = [number(CKA_VALUE_LEN, 32), no(CKA_SENSITIVE), no(CKA_EXTRACTABLE)];
    let base = client.generate(&plain(CKM_GENERIC_SECRET_KEY_GEN), &stays).unwrap();
    assert_eq!(client.read(base, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
    let one = [number(CKA_VALUE_LEN, 1), no(CKA_SENSITIVE), no(CKA_EXTRACTABLE), yes(CKA_SIGN)];
    let one = with(secret(CKK_GENERIC_SECRET), one);
    let known = client.create(&with(open_secret(CKK_GENERIC_SECRET), [bytes(CKA_VALUE, &[1; 32])])).unwrap();
    let hkdf = CK_HKDF_PARAMS {
        bExtract: CK_TRUE,
        bExpand: CK_TRUE,
        prfHashMechanism: CKM_SHA256,
        ulSaltType: CKF_HKDF_SALT_NULL,
        pSalt: std::ptr::null_mut(),
        ulSaltLen: 0,
        hSaltKey: 0,
        pInfo: std::ptr::null_mut(),
        ulInfoLen: 0,
    };
    let salted = CK_HKDF_PARAMS { ulSaltType: CKF_HKDF_SALT_KEY, hSaltKey: base, ..hkdf };
    let data = [number(CKA_CLASS, CKO_DATA), number(CKA_VALUE_LEN, 32)];
    let cut = how(CKM_EXTRACT_KEY_FROM_KEY, 0 as CK_ULONG);
    let answers = [
        client.derive(&cut, base, &one),
        client.derive(&how(CKM_HKDF_DERIVE, hkdf), base, &one),
        // As the salt beside a known key it is guarded as well.
        client.derive(&how(CKM_HKDF_DERIVE, salted), known, &one),
        client.derive(&how(CKM_HKDF_DATA, hkdf), base, &data),
        client.derive(&how(CKM_HKDF_DATA, salted), known, &data),
    ];
    let (small, leaves) = (Err(CKR_KEY_SIZE_RANGE), Err(CKR_TEMPLATE_INCONSISTENT));
    assert_eq!(answers, [small, small, small, leaves, leaves]);
}

/// HMAC fills keys up with zeros. So of two keys, one whose last byte was altered to be zero and one that is a byte
/// shorter, equal MACs would tell what the last byte was, and so on for every byte.
pub(crate) fn cut_by_its_padding(client: &Client, aes: CK_OBJECT_HANDLE) {
    let key = client.aes(16, &[yes(CKA_SENSITIVE), yes(CKA_EXTRACTABLE)]);
    let iv = [7u8; 16];
    let wrapped = client.wrap(&how(CKM_AES_CBC_PAD, iv), aes, key).unwrap();
    let tag = |last: u8, wrapped: &[u8], len: CK_ULONG| {
        let mut iv = iv;
        iv[15] ^= last;
        let wanted = with(secret(CKK_GENERIC_SECRET), [number(CKA_VALUE_LEN, len), yes(CKA_SIGN)]);
        let key = client.unwrap(&how(CKM_AES_CBC_PAD, iv), aes, wrapped, &wanted)?;
        client.sign(&plain(CKM_SHA256_HMAC), key, b"message")
    };
    let told = (0..=255u8).find(|guess| {
        let (whole, shorter) = (tag(*guess, &wrapped, 16), tag(guess ^ 1, &wrapped[..16], 15));
        whole.is_ok() && whole == shorter
    });
    assert_eq!(told, None, "the last byte of a sensitive key is told");
}

/// A wrong padding answers by a key that differs with all that was given; else the one that was right would stand out.
pub(crate) fn wrong_paddings_differ(client: &Client, aes: CK_OBJECT_HANDLE) {
    let key = client.aes(24, &[yes(CKA_SENSITIVE), yes(CKA_EXTRACTABLE)]);
    let wrapped = client.wrap(&how(CKM_AES_CBC_PAD, [7u8; 16]), aes, key).unwrap();
    let sealed = |iv: u8| {
        let wanted = with(secret(CKK_AES), [number(CKA_VALUE_LEN, 16)]);
        let key = client.unwrap(&how(CKM_AES_CBC_PAD, [iv; 16]), aes, &wrapped[..16], &wanted).unwrap();
        client.encrypt(&plain(CKM_AES_ECB), key, &[0; 16]).unwrap()
    };
    assert_eq!(sealed(1), sealed(1));
    assert_ne!(sealed(1), sealed(2));
}
