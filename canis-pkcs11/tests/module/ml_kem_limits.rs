//! What holds of shared secrets by the keys that they are made with, and by what their values were used for.

use crate::client::{Client, Given, How, how, no, number, open_secret, plain, secret, with, yes};
use crate::ml_kem::{SET_512, pair};
use crate::raw::attribute;
use crate::separation::target;
use cryptoki_sys::{CKA_DECAPSULATE_TEMPLATE, CKA_ENCAPSULATE_TEMPLATE, CKM_ML_KEM_KEY_PAIR_GEN};
use pkcs11_sys::*;

const KWP: How<()> = plain(CKM_AES_KEY_WRAP_KWP);

/// A template as the value of an attribute.
fn array(kind: CK_ATTRIBUTE_TYPE, attributes: &[CK_ATTRIBUTE]) -> Given {
    // SAFETY: attributes are plain numbers and pointers, and what those lead to outlives the test.
    let raw =
        unsafe { std::slice::from_raw_parts(attributes.as_ptr().cast::<u8>(), size_of_val(attributes)) };
    (kind, raw.to_vec())
}

/// CKA_ENCAPSULATE_TEMPLATE and CKA_DECAPSULATE_TEMPLATE: what they say holds where the host says nothing, and against it.
#[test]
fn keys_impose_their_templates_on_secrets() {
    let client = Client::new("ml-kem imposed");
    let mut values = [CK_TRUE, CK_FALSE, CK_FALSE];
    let [sensitive, stays, silent] = &mut values;
    let rules =
        [attribute(CKA_SENSITIVE, sensitive), attribute(CKA_EXTRACTABLE, stays), attribute(CKA_SIGN, silent)];
    let set = number(cryptoki_sys::CKA_PARAMETER_SET, cryptoki_sys::CKP_ML_KEM_768);
    let (public, private) = client.pair(
        CKM_ML_KEM_KEY_PAIR_GEN,
        &[set.clone(), array(CKA_ENCAPSULATE_TEMPLATE, &rules)],
        &[array(CKA_DECAPSULATE_TEMPLATE, &rules)],
    );
    let (ciphertext, made) = client.encapsulate(public, &secret(CKK_GENERIC_SECRET)).unwrap();
    let opened = client.decapsulate(private, &ciphertext, &secret(CKK_GENERIC_SECRET)).unwrap();
    for key in [made, opened] {
        assert!(
            client.is(key, CKA_SENSITIVE) && !client.is(key, CKA_EXTRACTABLE) && !client.is(key, CKA_SIGN)
        );
    }
    for weaker in [
        vec![no(CKA_SENSITIVE)],
        vec![yes(CKA_EXTRACTABLE)],
        vec![no(CKA_SENSITIVE), yes(CKA_EXTRACTABLE)],
        vec![yes(CKA_SIGN)],
    ] {
        let weaker = with(secret(CKK_GENERIC_SECRET), weaker);
        assert_eq!(client.encapsulate(public, &weaker).map(drop), Err(CKR_TEMPLATE_INCONSISTENT));
        assert_eq!(client.decapsulate(private, &ciphertext, &weaker), Err(CKR_TEMPLATE_INCONSISTENT));
    }
    // Neither a copy nor a change gets rid of them, and of other halves they are no attributes.
    let copy = client.copy(private, &[]).unwrap();
    let open = open_secret(CKK_GENERIC_SECRET);
    assert_eq!(client.decapsulate(copy, &ciphertext, &open), Err(CKR_TEMPLATE_INCONSISTENT));
    assert_eq!(client.copy(private, &[array(CKA_DECAPSULATE_TEMPLATE, &[])]), Err(CKR_ATTRIBUTE_READ_ONLY));
    assert_eq!(client.set(private, &[array(CKA_DECAPSULATE_TEMPLATE, &[])]), Err(CKR_ATTRIBUTE_READ_ONLY));
    assert_eq!(client.read(public, CKA_DECAPSULATE_TEMPLATE), Err(CKR_ATTRIBUTE_TYPE_INVALID));
    assert_eq!(client.read(private, CKA_ENCAPSULATE_TEMPLATE), Err(CKR_ATTRIBUTE_TYPE_INVALID));
}

/// Clulow's attack by way of two objects of one secret: what one of them has wrapped the other one does not decrypt, nor the reverse.
#[test]
fn one_secret_is_for_keys_or_for_data() {
    let client = Client::new("ml-kem roles");
    let ours = pair(&client.session, SET_512, &[]);
    for on_token in [yes(CKA_TOKEN), no(CKA_TOKEN)] {
        let wraps = with(secret(CKK_AES), [yes(CKA_WRAP), yes(CKA_UNWRAP), on_token.clone()]);
        let decrypts = with(secret(CKK_AES), [yes(CKA_ENCRYPT), yes(CKA_DECRYPT), on_token.clone()]);
        let iv = [0; 16];
        let ctr = how(CKM_AES_CTR, CK_AES_CTR_PARAMS { ulCounterBits: 128, cb: iv });

        let (ciphertext, wrapper) = client.encapsulate(ours.public, &wraps).unwrap();
        let wrapped = client.wrap(&KWP, wrapper, target(&client, 32)).unwrap();
        let opened = client.decapsulate(ours.private, &ciphertext, &decrypts).unwrap();
        assert_eq!(client.decrypt(&ctr, opened, &wrapped), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        assert_eq!(client.encrypt(&ctr, opened, &wrapped), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        let again = client.decapsulate(ours.private, &ciphertext, &wraps).unwrap();
        client.unwrap(&KWP, again, &wrapped, &with(secret(CKK_AES), [yes(CKA_EXTRACTABLE)])).unwrap();

        let (ciphertext, cipher) = client.encapsulate(ours.public, &decrypts).unwrap();
        client.encrypt(&ctr, cipher, b"data").unwrap();
        let wrapper = client.decapsulate(ours.private, &ciphertext, &wraps).unwrap();
        assert_eq!(client.wrap(&KWP, wrapper, target(&client, 32)), Err(CKR_KEY_NOT_WRAPPABLE));
    }
}

/// A shared secret takes out no key that only trusted ones may, and what is derived of it follows the rules of bases.
#[test]
fn a_shared_secret_is_a_key_like_others() {
    let client = Client::new("ml-kem others");
    let ours = pair(&client.session, SET_512, &[]);
    let wraps = with(secret(CKK_AES), [yes(CKA_WRAP)]);
    let (_, wrapper) = client.encapsulate(ours.public, &wraps).unwrap();
    let guarded = client.aes(32, &[yes(CKA_EXTRACTABLE), yes(CKA_WRAP_WITH_TRUSTED)]);
    assert_eq!(client.wrap(&KWP, wrapper, guarded), Err(CKR_KEY_NOT_WRAPPABLE));
    let (_, base) = client.encapsulate(ours.public, &secret(CKK_GENERIC_SECRET)).unwrap();
    let mask = [7u8; 32];
    let xor = how(
        CKM_XOR_BASE_AND_DATA,
        CK_KEY_DERIVATION_STRING_DATA { pData: mask.as_ptr().cast_mut(), ulLen: 32 },
    );
    let open = open_secret(CKK_GENERIC_SECRET);
    assert_eq!(client.derive(&xor, base, &open), Err(CKR_TEMPLATE_INCONSISTENT));
    let derived = client.derive(&xor, base, &secret(CKK_GENERIC_SECRET)).unwrap();
    assert!(!client.is(derived, CKA_ALWAYS_SENSITIVE) && !client.is(derived, CKA_NEVER_EXTRACTABLE));
}

/// A shorter AES key is the beginning of the secret, and no key is made of its bytes: beside a longer one of the same secret it would
/// tell what stands behind it to those who try.
#[test]
fn the_beginning_of_a_secret_tells_nothing_of_its_end() {
    let client = Client::new("ml-kem cut");
    let ours = pair(&client.session, SET_512, &[]);
    let (ciphertext, whole) = client.encapsulate(ours.public, &open_secret(CKK_AES)).unwrap();
    let whole = client.read(whole, CKA_VALUE).unwrap();
    let mask = [7u8; 32];
    let data = |len| CK_KEY_DERIVATION_STRING_DATA { pData: mask.as_ptr().cast_mut(), ulLen: len };
    for len in [16, 24] {
        let open = with(open_secret(CKK_AES), [number(CKA_VALUE_LEN, len)]);
        let cut = client.decapsulate(ours.private, &ciphertext, &open).unwrap();
        assert_eq!(client.read(cut, CKA_VALUE).as_deref(), Ok(&whole[..len as usize]));
        let stays = with(secret(CKK_AES), [number(CKA_VALUE_LEN, len), yes(CKA_DERIVE)]);
        let stays = client.decapsulate(ours.private, &ciphertext, &stays).unwrap();
        let wanted = secret(CKK_GENERIC_SECRET);
        for (kind, more) in [
            (CKM_CONCATENATE_BASE_AND_DATA, 32 - len),
            (CKM_CONCATENATE_DATA_AND_BASE, 1),
            (CKM_XOR_BASE_AND_DATA, len),
        ] {
            assert_eq!(
                client.derive(&how(kind, data(more)), stays, &wanted),
                Err(CKR_KEY_SIZE_RANGE),
                "{kind:x}"
            );
        }
    }
}
