//! Attacks on derived keys by what else a PRF gives under their base: MACs, shorter keys, the steps between.

use crate::client::{Client, Given, How, bytes, how, no, number, open_secret, plain, secret, with, yes};
use crate::raw::call;
use pkcs11_sys::*;
use std::ptr::null_mut;

const REFUSED: Result<Vec<u8>, CK_RV> = Err(CKR_KEY_FUNCTION_NOT_PERMITTED);
const NO_KEY: Result<CK_OBJECT_HANDLE, CK_RV> = Err(CKR_KEY_FUNCTION_NOT_PERMITTED);
const INFO: &[u8] = b"info";

fn len(len: CK_ULONG) -> Given {
    number(CKA_VALUE_LEN, len)
}

/// HKDF with SHA-256 and an empty salt.
fn hkdf(extract: bool, expand: bool) -> How<CK_HKDF_PARAMS> {
    let parameter = CK_HKDF_PARAMS {
        bExtract: CK_BBOOL::from(extract),
        bExpand: CK_BBOOL::from(expand),
        prfHashMechanism: CKM_SHA256,
        ulSaltType: CKF_HKDF_SALT_NULL,
        pSalt: null_mut(),
        ulSaltLen: 0,
        hSaltKey: 0,
        pInfo: INFO.as_ptr().cast_mut(),
        ulInfoLen: INFO.len() as CK_ULONG,
    };
    how(CKM_HKDF_DERIVE, parameter)
}

fn by_salt_key(salt: CK_OBJECT_HANDLE) -> How<CK_HKDF_PARAMS> {
    let mut parameter = hkdf(true, true).parameter.unwrap();
    (parameter.ulSaltType, parameter.hSaltKey) = (CKF_HKDF_SALT_KEY, salt);
    how(CKM_HKDF_DERIVE, parameter)
}

/// A generic secret, sensitive.
fn base(client: &Client, more: &[Given]) -> CK_OBJECT_HANDLE {
    let template = with(vec![len(32)], more.iter().cloned());
    client.generate(&plain(CKM_GENERIC_SECRET_KEY_GEN), &template).unwrap()
}

fn child(len_of: CK_ULONG) -> Vec<Given> {
    with(secret(CKK_GENERIC_SECRET), [len(len_of)])
}

/// A derivation by SP 800-108 with a counter of 32 bits and a label.
fn counter(
    client: &Client,
    prf: CK_MECHANISM_TYPE,
    base: CK_OBJECT_HANDLE,
) -> Result<CK_OBJECT_HANDLE, CK_RV> {
    let mut format = CK_SP800_108_COUNTER_FORMAT { bLittleEndian: CK_FALSE, ulWidthInBits: 32 };
    let mut label = *b"label";
    let field = |kind, value: *mut u8, len: usize| CK_PRF_DATA_PARAM {
        type_: kind,
        pValue: value.cast(),
        ulValueLen: len as CK_ULONG,
    };
    let mut fields = [
        field(CK_SP800_108_ITERATION_VARIABLE, (&raw mut format).cast(), size_of_val(&format)),
        field(CK_SP800_108_BYTE_ARRAY, label.as_mut_ptr(), label.len()),
    ];
    let parameter = CK_SP800_108_KDF_PARAMS {
        prfType: prf,
        ulNumberOfDataParams: 2,
        pDataParams: fields.as_mut_ptr(),
        ulAdditionalDerivedKeys: 0,
        pAdditionalDerivedKeys: null_mut(),
    };
    client.derive(&how(CKM_SP800_108_COUNTER_KDF, parameter), base, &child(32))
}

fn hmac(client: &Client, key: CK_OBJECT_HANDLE) -> Result<Vec<u8>, CK_RV> {
    client.sign(&plain(CKM_SHA256_HMAC), key, &[INFO, &[1]].concat())
}

/// HKDF-Expand's first block is HMAC over info ‖ 1, and so with SP 800-108: a base that made MACs derives no such keys,
/// and one that derived some makes no MACs, nor checks any, which would tell them byte by byte. In the token and in a
/// session, by copies, and by another object of the same value.
#[test]
fn macs_do_not_tell_what_was_derived() {
    let client = Client::new("prf");
    let known = client.create(&with(open_secret(CKK_GENERIC_SECRET), [bytes(CKA_VALUE, b"known")])).unwrap();
    for place in [yes(CKA_TOKEN), no(CKA_TOKEN)] {
        let place = std::slice::from_ref(&place);
        let made_macs = base(&client, place);
        hmac(&client, made_macs).unwrap();
        for key in [made_macs, client.copy(made_macs, place).unwrap()] {
            assert_eq!(client.derive(&hkdf(false, true), key, &child(32)), NO_KEY);
            assert_eq!(counter(&client, CKM_SHA256_HMAC, key), NO_KEY);
            assert_eq!(client.derive(&by_salt_key(key), known, &child(32)), NO_KEY);
            // Both steps of HKDF together are no HMAC under the base.
            client.derive(&hkdf(true, true), key, &child(32)).unwrap();
        }

        type Derive = fn(&Client, CK_OBJECT_HANDLE, CK_OBJECT_HANDLE) -> Result<CK_OBJECT_HANDLE, CK_RV>;
        let ways: [Derive; 3] = [
            |client, key, _| client.derive(&hkdf(false, true), key, &child(32)),
            |client, key, _| counter(client, CKM_SHA256_HMAC, key),
            |client, key, known| client.derive(&by_salt_key(key), known, &child(32)),
        ];
        for derive in ways {
            let value =
                [yes(CKA_SENSITIVE), bytes(CKA_VALUE, &client.session.generate_random_vec(32).unwrap())];
            let template = with(with(secret(CKK_GENERIC_SECRET), value), place.iter().cloned());
            let (key, twin) = (client.create(&template).unwrap(), client.create(&template).unwrap());
            derive(&client, key, known).unwrap();
            derive(&client, key, known).unwrap();
            for key in [key, twin, client.copy(key, place).unwrap()] {
                assert_eq!(hmac(&client, key), REFUSED);
                let short = how(CKM_SHA256_HMAC_GENERAL, 4 as CK_ULONG);
                assert_eq!(client.sign(&short, key, INFO), REFUSED);
                assert_eq!(verify(&client, key), CKR_KEY_FUNCTION_NOT_PERMITTED);
                client.set(key, &[no(CKA_SIGN)]).unwrap();
                client.set(key, &[yes(CKA_SIGN)]).unwrap();
                assert_eq!(hmac(&client, key), REFUSED);
            }
        }
    }
    // What may be read has nothing to hide.
    let open = client.create(&with(open_secret(CKK_GENERIC_SECRET), [bytes(CKA_VALUE, &[5; 32])])).unwrap();
    client.derive(&hkdf(false, true), open, &child(32)).unwrap();
    hmac(&client, open).unwrap();
}

fn verify(client: &Client, key: CK_OBJECT_HANDLE) -> CK_RV {
    let mut mechanism = crate::raw::mechanism(CKM_SHA256_HMAC);
    call!(C_VerifyInit(client.session.handle(), &mut mechanism, key))
}

/// The key between the two steps of HKDF: whoever takes the first step alone has no MACs under what comes out, however
/// he carries it about.
#[test]
fn the_key_between_the_steps_makes_no_macs() {
    let client = Client::new("between");
    let wrapper = client.aes(32, &[yes(CKA_WRAP), yes(CKA_UNWRAP)]);
    let kwp = plain(CKM_AES_KEY_WRAP_KWP);
    let base = base(&client, &[yes(CKA_EXTRACTABLE)]);
    for place in [yes(CKA_TOKEN), no(CKA_TOKEN)] {
        let wanted = with(child(32), [yes(CKA_SIGN), yes(CKA_EXTRACTABLE), place]);
        let middle = client.derive(&hkdf(true, false), base, &wanted).unwrap();
        let wrapped = client.wrap(&kwp, wrapper, middle).unwrap();
        let back = client.unwrap(&kwp, wrapper, &wrapped, &secret(CKK_GENERIC_SECRET)).unwrap();
        let copies = [yes(CKA_TOKEN), no(CKA_TOKEN)].map(|place| client.copy(middle, &[place]).unwrap());
        for key in [middle, back, copies[0], copies[1]] {
            assert_eq!(hmac(&client, key), REFUSED);
        }
        client.derive(&hkdf(false, true), middle, &child(32)).unwrap();
    }
}

/// HMAC fills its key up with zeros: with some more at the end it is another value and the same key.
#[test]
fn zeros_at_the_end_make_no_other_base() {
    let client = Client::new("zeros");
    let zeros = [0u8; 64];
    let data = |len| CK_KEY_DERIVATION_STRING_DATA { pData: zeros.as_ptr().cast_mut(), ulLen: len };
    for place in [yes(CKA_TOKEN), no(CKA_TOKEN)] {
        let place = std::slice::from_ref(&place);
        let key = base(&client, place);
        client.derive(&hkdf(false, true), key, &child(32)).unwrap();
        for how in [how(CKM_CONCATENATE_BASE_AND_DATA, data(5)), how(CKM_XOR_BASE_AND_DATA, data(32))] {
            let wanted = with(secret(CKK_GENERIC_SECRET), place.iter().cloned());
            let same = client.derive(&how, key, &wanted).unwrap();
            assert_eq!(hmac(&client, same), REFUSED);
        }
    }
}

/// A session's key that can be derived again does not forget what was derived from it when it is gone.
#[test]
fn a_derived_base_is_not_had_anew() {
    let client = Client::new("anew");
    let base = base(&client, &[yes(CKA_TOKEN)]);
    let middle = || client.derive(&hkdf(false, true), base, &child(32)).unwrap();
    let first = middle();
    client.derive(&hkdf(false, true), first, &child(32)).unwrap();
    assert_eq!(call!(C_DestroyObject(client.session.handle(), first)), CKR_OK);
    assert_eq!(hmac(&client, middle()), REFUSED);
}

/// CMAC is encryption of blocks: an AES key that did either derives nothing by CMAC, and the reverse.
#[test]
fn neither_cmac_nor_ecb_tells_what_cmac_derived() {
    let client = Client::new("cmac");
    let ecb = plain(CKM_AES_ECB);
    for place in [yes(CKA_TOKEN), no(CKA_TOKEN)] {
        let aes = || client.aes(32, &[place.clone(), yes(CKA_DERIVE)]);
        let key = aes();
        counter(&client, CKM_AES_CMAC, key).unwrap();
        assert_eq!(client.encrypt(&ecb, key, &[0; 16]), REFUSED);
        assert_eq!(client.decrypt(&ecb, key, &[0; 16]), REFUSED);
        assert_eq!(client.sign(&plain(CKM_AES_CMAC), key, INFO), REFUSED);
        let key = aes();
        client.encrypt(&ecb, key, &[0; 16]).unwrap();
        assert_eq!(counter(&client, CKM_AES_CMAC, key), NO_KEY);
        let key = aes();
        client.sign(&plain(CKM_AES_CMAC), key, INFO).unwrap();
        assert_eq!(counter(&client, CKM_AES_CMAC, key), NO_KEY);
    }
}

/// A KDF gives the same first bytes for every length. A short key that can be read does not tell half of a long one, and
/// a key that is one byte longer does not tell that byte, which 256 tries would by joining or XOR, and MACs to compare.
#[test]
fn short_keys_do_not_tell_long_ones() {
    let client = Client::new("prefix");
    let wrapper = client.aes(32, &[yes(CKA_WRAP), yes(CKA_UNWRAP)]);
    let kwp = plain(CKM_AES_KEY_WRAP_KWP);
    let base = base(&client, &[yes(CKA_EXTRACTABLE)]);
    let open = with(open_secret(CKK_GENERIC_SECRET), [len(16)]);
    assert_eq!(client.derive(&hkdf(true, true), base, &open), Err(CKR_TEMPLATE_INCONSISTENT));

    let tried = [0u8; 16];
    let data = |len| CK_KEY_DERIVATION_STRING_DATA { pData: tried.as_ptr().cast_mut(), ulLen: len };
    for length in [14, 15] {
        let wanted = with(child(length), [yes(CKA_EXTRACTABLE), yes(CKA_TOKEN)]);
        let key = client.derive(&hkdf(true, true), base, &wanted).unwrap();
        let wrapped = client.wrap(&kwp, wrapper, key).unwrap();
        let back = client.unwrap(&kwp, wrapper, &wrapped, &secret(CKK_GENERIC_SECRET)).unwrap();
        let known = with(open_secret(CKK_GENERIC_SECRET), [bytes(CKA_VALUE, &tried)]);
        let known = client.create(&known).unwrap();
        for key in [key, back, client.copy(key, &[]).unwrap(), client.copy(key, &[no(CKA_TOKEN)]).unwrap()] {
            for how in [
                how(CKM_CONCATENATE_BASE_AND_DATA, data(1)),
                how(CKM_CONCATENATE_DATA_AND_BASE, data(1)),
                how(CKM_XOR_BASE_AND_DATA, data(length)),
            ] {
                assert_eq!(client.derive(&how, key, &secret(CKK_GENERIC_SECRET)), Err(CKR_KEY_SIZE_RANGE));
            }
            for (one, other) in [(key, known), (known, key)] {
                let join = how(CKM_CONCATENATE_BASE_AND_KEY, other);
                assert_eq!(client.derive(&join, one, &secret(CKK_GENERIC_SECRET)), Err(CKR_KEY_SIZE_RANGE));
            }
            let turn = how(CKM_EXTRACT_KEY_FROM_KEY, 8 as CK_ULONG);
            assert_eq!(client.derive(&turn, key, &child(length)), Err(CKR_KEY_SIZE_RANGE));
            // By a KDF again more comes of it, and it works.
            client.derive(&hkdf(true, true), key, &child(32)).unwrap();
            hmac(&client, key).unwrap();
        }
    }
}
