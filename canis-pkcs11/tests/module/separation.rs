//! Attacks on the separation of keys that broke other tokens, each through the module and each in vain.

use crate::client::{
    Answer, Client, Given, How, bytes, gcm, gcm_drawn, how, no, number, oaep_sha256, open_secret, plain,
    secret, with, yes,
};
use crate::harness::{PIN, SO_PIN, pin};
use crate::raw::attribute;
use crate::wrap::rsa_wrapper;
use cryptoki::object::Attribute;
use cryptoki::session::UserType;
use pkcs11_sys::*;

/// A sensitive key that may leave, wrapped.
pub(crate) fn target(client: &Client, len: CK_ULONG) -> CK_OBJECT_HANDLE {
    client.aes(len, &[yes(CKA_SENSITIVE), yes(CKA_EXTRACTABLE)])
}

const ALL: [CK_ATTRIBUTE_TYPE; 4] = [CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP];

/// Every way in which an AES key encrypts or decrypts.
fn data_ways(client: &Client, key: CK_OBJECT_HANDLE, input: &[u8]) -> Vec<Answer<Vec<u8>>> {
    let iv = [0u8; 16];
    let ctr = CK_AES_CTR_PARAMS { ulCounterBits: 128, cb: iv };
    let block = |kind| how(kind, iv);
    vec![
        client.decrypt(&plain(CKM_AES_ECB), key, &input[..16]),
        client.decrypt(&block(CKM_AES_CBC), key, &input[..16]),
        client.decrypt(&block(CKM_AES_CBC_PAD), key, &input[..16]),
        client.decrypt(&how(CKM_AES_CTR, ctr), key, input),
        client.decrypt(&gcm(&iv, b""), key, input),
        client.encrypt(&plain(CKM_AES_ECB), key, &input[..16]),
        client.encrypt(&block(CKM_AES_CBC), key, &input[..16]),
        client.encrypt(&block(CKM_AES_CBC_PAD), key, input),
        client.encrypt(&how(CKM_AES_CTR, ctr), key, input),
        client.encrypt(&gcm(&iv, b""), key, input),
    ]
}

/// Wrap, then decrypt (Clulow 2003): for every wrapping and every decryption, in the token and in a session.
#[test]
fn what_was_wrapped_is_not_decrypted() {
    let client = Client::new("clulow");
    for on_token in [yes(CKA_TOKEN), no(CKA_TOKEN)] {
        let target = target(&client, 32);
        for way in [CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD, CKM_AES_GCM] {
            let wrap = |key| match way {
                CKM_AES_GCM => client.wrap(&gcm_drawn(&mut [0; 12]), key, target),
                way => client.wrap(&plain(way), key, target),
            };
            // A key that says it may do all wraps nothing sensitive.
            let all: Vec<Given> = ALL.into_iter().map(yes).chain([on_token.clone()]).collect();
            assert_eq!(wrap(client.aes(32, &all)), Err(CKR_KEY_NOT_WRAPPABLE));
            // One that wraps is later told to decrypt.
            let key = client.aes(32, &[yes(CKA_WRAP), yes(CKA_UNWRAP), on_token.clone()]);
            let wrapped = wrap(key).unwrap();
            client.set(key, &[yes(CKA_DECRYPT), yes(CKA_ENCRYPT)]).unwrap();
            client.set(key, &[no(CKA_WRAP), no(CKA_UNWRAP)]).unwrap();
            for answer in data_ways(&client, key, &wrapped) {
                assert_eq!(answer, Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
            }
            // One that decrypted is later told to wrap.
            let key = client.aes(32, std::slice::from_ref(&on_token));
            client.encrypt(&plain(CKM_AES_ECB), key, &[0; 16]).unwrap();
            client.set(key, &[no(CKA_DECRYPT), no(CKA_ENCRYPT), yes(CKA_WRAP)]).unwrap();
            assert_eq!(wrap(key), Err(CKR_KEY_NOT_WRAPPABLE));
        }
    }
}

/// The same with RSA, whose two halves have one role; also by a public key that was brought along.
#[test]
fn the_halves_of_a_pair_are_one_key() {
    let client = Client::new("halves");
    let target = target(&client, 16);
    let oaep = || how(CKM_RSA_PKCS_OAEP, oaep_sha256());
    let (public, private) = rsa_wrapper(&client, 3072);
    let wrapped = client.wrap(&oaep(), public, target).unwrap();
    client.set(private, &[yes(CKA_DECRYPT), yes(CKA_SIGN)]).unwrap();
    for answer in [
        client.decrypt(&oaep(), private, &wrapped),
        client.decrypt(&plain(CKM_RSA_PKCS), private, &wrapped),
        client.decrypt(&plain(CKM_RSA_X_509), private, &wrapped),
        // Unpadded signing is decryption.
        client.sign(&plain(CKM_RSA_X_509), private, &wrapped),
    ] {
        assert_eq!(answer, Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
    }

    let (public, private) = client.pair(CKM_RSA_PKCS_KEY_PAIR_GEN, &[number(CKA_MODULUS_BITS, 3072)], &[]);
    let again = [
        number(CKA_CLASS, CKO_PUBLIC_KEY),
        number(CKA_KEY_TYPE, CKK_RSA),
        bytes(CKA_MODULUS, &client.read(public, CKA_MODULUS).unwrap()),
        bytes(CKA_PUBLIC_EXPONENT, &[1, 0, 1]),
        yes(CKA_WRAP),
    ];
    let again = client.create(&again).unwrap();
    assert_eq!(client.wrap(&oaep(), again, target), Err(CKR_KEY_NOT_WRAPPABLE));
    let sealed = client.encrypt(&oaep(), public, b"data").unwrap();
    assert_eq!(client.decrypt(&oaep(), private, &sealed).unwrap(), b"data");
}

/// A key that signs but does not decrypt does not decrypt by signing.
#[test]
fn unpadded_signing_is_decryption() {
    let client = Client::new("x509");
    let public = [number(CKA_MODULUS_BITS, 2048), yes(CKA_ENCRYPT)];
    let (public, private) =
        client.pair(CKM_RSA_PKCS_KEY_PAIR_GEN, &public, &[yes(CKA_SIGN), no(CKA_DECRYPT)]);
    let sealed = client.encrypt(&plain(CKM_RSA_PKCS), public, b"secret").unwrap();
    let answer = client.sign(&plain(CKM_RSA_X_509), private, &sealed);
    assert_eq!(answer, Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
    client.sign(&plain(CKM_SHA256_RSA_PKCS), private, b"message").unwrap();
}

/// Encrypt a known value, then unwrap it as a sensitive key.
#[test]
fn what_was_encrypted_is_not_unwrapped() {
    let client = Client::new("planted");
    let all: Vec<Given> = ALL.into_iter().map(yes).collect();
    for on_token in [yes(CKA_TOKEN), no(CKA_TOKEN)] {
        let key = client.aes(32, &with(all.clone(), [on_token]));
        let iv = [5u8; 12];
        let sealed = client.encrypt(&gcm(&iv, b""), key, &[1; 32]).unwrap();
        let answer = client.unwrap(&gcm(&iv, b""), key, &sealed, &secret(CKK_AES));
        assert_eq!(answer, Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        // In the open it may be had; it could be decrypted as well.
        client.unwrap(&gcm(&iv, b""), key, &sealed, &open_secret(CKK_AES)).unwrap();
    }
}

/// Conflicting usage by copy and by importing the same value again.
#[test]
fn copies_and_imports_have_the_role_of_their_value() {
    let client = Client::new("twins");
    let target = target(&client, 32);
    let kwp = plain(CKM_AES_KEY_WRAP_KWP);
    for on_token in [yes(CKA_TOKEN), no(CKA_TOKEN)] {
        let key = client.aes(32, &[yes(CKA_WRAP), yes(CKA_EXTRACTABLE), no(CKA_SENSITIVE), on_token.clone()]);
        let copy = client.copy(key, std::slice::from_ref(&on_token)).unwrap();
        let wrapped = client.wrap(&kwp, key, target).unwrap();
        client.set(copy, &[yes(CKA_DECRYPT), yes(CKA_ENCRYPT)]).unwrap();
        let value = bytes(CKA_VALUE, &client.read(key, CKA_VALUE).unwrap());
        let twin = client.create(&with(open_secret(CKK_AES), [value.clone(), on_token.clone()])).unwrap();
        for key in [copy, twin] {
            for answer in data_ways(&client, key, &wrapped) {
                assert_eq!(answer, Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
            }
        }
    }
    let data = client.aes(32, &[yes(CKA_EXTRACTABLE), no(CKA_SENSITIVE)]);
    let value = bytes(CKA_VALUE, &client.read(data, CKA_VALUE).unwrap());
    let twin = client.create(&with(open_secret(CKK_AES), [value, yes(CKA_WRAP), yes(CKA_TOKEN)])).unwrap();
    assert_eq!(client.wrap(&kwp, twin, target), Err(CKR_KEY_NOT_WRAPPABLE));
}

/// A sensitive key does not come back as one that can be read, by whatever type; nor can the key in between.
#[test]
fn sensitive_keys_come_back_sensitive() {
    let client = Client::new("back");
    let aes = client.aes(32, &[yes(CKA_WRAP), yes(CKA_UNWRAP)]);
    let kwp = plain(CKM_AES_KEY_WRAP_KWP);
    let key = target(&client, 32);
    let wrapped = client.wrap(&kwp, aes, key).unwrap();
    for kind in [CKK_AES, CKK_GENERIC_SECRET] {
        assert_eq!(client.unwrap(&kwp, aes, &wrapped, &open_secret(kind)), Err(CKR_TEMPLATE_INCONSISTENT));
        client.unwrap(&kwp, aes, &wrapped, &secret(kind)).unwrap();
    }
    let leaves = [yes(CKA_EXTRACTABLE)];
    let (_, private) =
        client.pair(CKM_EC_KEY_PAIR_GEN, &[bytes(CKA_EC_PARAMS, crate::keys::P256.0)], &leaves);
    let wrapped = client.wrap(&kwp, aes, private).unwrap();
    let as_secret = client.unwrap(&kwp, aes, &wrapped, &open_secret(CKK_GENERIC_SECRET));
    assert_eq!(as_secret, Err(CKR_TEMPLATE_INCONSISTENT));
    let open = [number(CKA_CLASS, CKO_PRIVATE_KEY), number(CKA_KEY_TYPE, CKK_EC), no(CKA_SENSITIVE)];
    assert_eq!(client.unwrap(&kwp, aes, &wrapped, &open), Err(CKR_TEMPLATE_INCONSISTENT));

    // The AES key inside CKM_RSA_AES_KEY_WRAP, unwrapped by itself, neither shows itself nor decrypts the rest.
    let (public, private) = rsa_wrapper(&client, 3072);
    let mut oaep = oaep_sha256();
    let parameter = CK_RSA_AES_KEY_WRAP_PARAMS { ulAESKeyBits: 128, pOAEPParams: &mut oaep };
    let wrapped = client.wrap(&how(CKM_RSA_AES_KEY_WRAP, parameter), public, target(&client, 16)).unwrap();
    let oaep = how(CKM_RSA_PKCS_OAEP, oaep_sha256());
    let inner = &wrapped[..384];
    assert_eq!(client.unwrap(&oaep, private, inner, &open_secret(CKK_AES)), Err(CKR_TEMPLATE_INCONSISTENT));
    let inner = client.unwrap(&oaep, private, inner, &secret(CKK_AES)).unwrap();
    assert_eq!(
        client.decrypt(&plain(CKM_AES_ECB), inner, &wrapped[384..400]),
        Err(CKR_KEY_FUNCTION_NOT_PERMITTED)
    );
}

/// A strong key under a weak one.
#[test]
fn no_key_leaves_under_a_weaker_one() {
    let client = Client::new("weak");
    let kwp = plain(CKM_AES_KEY_WRAP_KWP);
    let wrapper = |len| client.aes(len, &[yes(CKA_WRAP)]);
    for (wrapper_len, len, fits) in
        [(16, 16, true), (16, 24, false), (16, 32, false), (24, 32, false), (32, 32, true)]
    {
        let answer = client.wrap(&kwp, wrapper(wrapper_len), target(&client, len)).map(|_| ());
        assert_eq!(
            answer,
            if fits { Ok(()) } else { Err(CKR_WRAPPING_KEY_SIZE_RANGE) },
            "{wrapper_len} {len}"
        );
    }
    let leaves = [yes(CKA_EXTRACTABLE)];
    let (_, strong) = client.pair(CKM_RSA_PKCS_KEY_PAIR_GEN, &[number(CKA_MODULUS_BITS, 4096)], &leaves);
    assert_eq!(client.wrap(&kwp, wrapper(16), strong), Err(CKR_WRAPPING_KEY_SIZE_RANGE));
    client.wrap(&kwp, wrapper(24), strong).unwrap();
    let oaep = how(CKM_RSA_PKCS_OAEP, oaep_sha256());
    let (public, _) = rsa_wrapper(&client, 2048);
    assert_eq!(client.wrap(&oaep, public, target(&client, 16)), Err(CKR_WRAPPING_KEY_SIZE_RANGE));
    // RSA of 3072 bits brings every key from place to place; the AES key between is no weaker than what it wraps.
    let (enough, _) = rsa_wrapper(&client, 3072);
    client.wrap(&oaep, enough, target(&client, 32)).unwrap();
    for (bits, fits) in [(128, false), (192, false), (256, true)] {
        let mut oaep = oaep_sha256();
        let parameter = CK_RSA_AES_KEY_WRAP_PARAMS { ulAESKeyBits: bits, pOAEPParams: &mut oaep };
        let answer = client.wrap(&how(CKM_RSA_AES_KEY_WRAP, parameter), enough, target(&client, 32));
        let expected = if fits { Ok(()) } else { Err(CKR_WRAPPING_KEY_SIZE_RANGE) };
        assert_eq!(answer.map(|_| ()), expected, "{bits}");
    }
    // What can be read in the open is no secret to protect.
    let open = client.aes(32, &[no(CKA_SENSITIVE), yes(CKA_EXTRACTABLE)]);
    client.wrap(&oaep, public, open).unwrap();
    client.wrap(&kwp, wrapper(16), open).unwrap();
}

/// CKA_WRAP_WITH_TRUSTED, which users cannot fulfil by themselves, and cannot shed by a detour.
#[test]
fn only_the_officer_makes_trusted_wrapping_keys() {
    let client = Client::new("trusted");
    let kwp = plain(CKM_AES_KEY_WRAP_KWP);
    let guarded = client.aes(32, &[yes(CKA_EXTRACTABLE), yes(CKA_WRAP_WITH_TRUSTED)]);
    let wrapper = client.aes(32, &[yes(CKA_WRAP), yes(CKA_UNWRAP), yes(CKA_TOKEN)]);
    assert_eq!(client.wrap(&kwp, wrapper, guarded), Err(CKR_KEY_NOT_WRAPPABLE));
    assert_eq!(client.set(wrapper, &[yes(CKA_TRUSTED)]), Err(CKR_ATTRIBUTE_READ_ONLY));
    assert_eq!(client.set(guarded, &[no(CKA_WRAP_WITH_TRUSTED)]), Err(CKR_ATTRIBUTE_READ_ONLY));
    let copy = client.copy(guarded, &[no(CKA_WRAP_WITH_TRUSTED)]);
    assert!(copy.is_err(), "{copy:?}");
    let copy = client.copy(guarded, &[]).unwrap();
    assert_eq!(client.wrap(&kwp, wrapper, copy), Err(CKR_KEY_NOT_WRAPPABLE));
    let base = [yes(CKA_EXTRACTABLE), yes(CKA_WRAP_WITH_TRUSTED), number(CKA_VALUE_LEN, 32)];
    let base = client.generate(&plain(CKM_GENERIC_SECRET_KEY_GEN), &base).unwrap();
    let mask = [0u8; 32];
    let xor = CK_KEY_DERIVATION_STRING_DATA { pData: mask.as_ptr().cast_mut(), ulLen: 32 };
    let wanted = with(secret(CKK_GENERIC_SECRET), [yes(CKA_EXTRACTABLE)]);
    let same = client.derive(&how(CKM_XOR_BASE_AND_DATA, xor), base, &wanted).unwrap();
    assert!(client.is(same, CKA_WRAP_WITH_TRUSTED));
    assert_eq!(client.wrap(&kwp, wrapper, same), Err(CKR_KEY_NOT_WRAPPABLE));
}

/// What a key's own templates ask of the keys it wraps, unwraps and derives.
#[test]
fn keys_impose_their_templates() {
    let client = Client::new("imposed");
    let mut values = [CK_FALSE, CK_TRUE, CK_FALSE, CK_FALSE];
    let [open, sensitive, stays, silent] = &mut values;
    let (open, sensitive) = (attribute(CKA_SENSITIVE, open), attribute(CKA_SENSITIVE, sensitive));
    let (stays, silent) = (attribute(CKA_EXTRACTABLE, stays), attribute(CKA_SIGN, silent));
    let array = |kind, attributes: &[CK_ATTRIBUTE]| {
        // SAFETY: attributes are plain numbers and pointers, and what those lead to outlives the test.
        let raw =
            unsafe { std::slice::from_raw_parts(attributes.as_ptr().cast::<u8>(), size_of_val(attributes)) };
        (kind, raw.to_vec())
    };
    let rules = [
        yes(CKA_WRAP),
        yes(CKA_UNWRAP),
        array(CKA_WRAP_TEMPLATE, &[open]),
        array(CKA_UNWRAP_TEMPLATE, &[sensitive, stays]),
    ];
    let kwp = plain(CKM_AES_KEY_WRAP_KWP);
    let key = client.aes(32, &rules);
    assert_eq!(client.wrap(&kwp, key, target(&client, 32)), Err(CKR_KEY_HANDLE_INVALID));
    let wrapped = client.wrap(&kwp, key, client.aes(32, &[no(CKA_SENSITIVE), yes(CKA_EXTRACTABLE)])).unwrap();
    let open = client.unwrap(&kwp, key, &wrapped, &open_secret(CKK_AES));
    assert_eq!(open, Err(CKR_TEMPLATE_INCONSISTENT));
    let back = client.unwrap(&kwp, key, &wrapped, &secret(CKK_AES)).unwrap();
    assert!(client.is(back, CKA_SENSITIVE) && !client.is(back, CKA_EXTRACTABLE));

    let base = [number(CKA_VALUE_LEN, 32), array(CKA_DERIVE_TEMPLATE, &[silent])];
    let base = client.generate(&plain(CKM_GENERIC_SECRET_KEY_GEN), &base).unwrap();
    let mask = [7u8; 32];
    let data = CK_KEY_DERIVATION_STRING_DATA { pData: mask.as_ptr().cast_mut(), ulLen: 32 };
    let xor = how(CKM_XOR_BASE_AND_DATA, data);
    let signs = with(secret(CKK_GENERIC_SECRET), [yes(CKA_SIGN)]);
    assert_eq!(client.derive(&xor, base, &signs), Err(CKR_TEMPLATE_INCONSISTENT));
    let derived = client.derive(&xor, base, &secret(CKK_GENERIC_SECRET)).unwrap();
    assert!(!client.is(derived, CKA_SIGN));
    // The second key of a derivation imposes its own as well.
    let plain_base =
        client.generate(&plain(CKM_GENERIC_SECRET_KEY_GEN), &[number(CKA_VALUE_LEN, 32)]).unwrap();
    let join = how(CKM_CONCATENATE_BASE_AND_KEY, base);
    assert_eq!(client.derive(&join, plain_base, &signs), Err(CKR_TEMPLATE_INCONSISTENT));
    let joined = client.derive(&join, plain_base, &secret(CKK_GENERIC_SECRET)).unwrap();
    assert!(!client.is(joined, CKA_SIGN));
}

/// What the officer trusts wraps what only trusted keys may wrap.
#[test]
fn the_officers_wrapping_key_is_trusted() {
    let client = Client::new("officer");
    let wrapper = client.aes(32, &[yes(CKA_WRAP), yes(CKA_TOKEN), no(CKA_PRIVATE)]);
    let guarded = [yes(CKA_TOKEN), yes(CKA_EXTRACTABLE), yes(CKA_WRAP_WITH_TRUSTED)];
    let guarded = client.aes(32, &guarded);
    let kwp = plain(CKM_AES_KEY_WRAP_KWP);
    assert_eq!(client.wrap(&kwp, wrapper, guarded), Err(CKR_KEY_NOT_WRAPPABLE));
    client.session.logout().unwrap();
    client.session.login(UserType::So, Some(&pin(SO_PIN))).unwrap();
    client.set(wrapper, &[yes(CKA_TRUSTED)]).unwrap();
    client.session.logout().unwrap();
    client.session.login(UserType::User, Some(&pin(PIN))).unwrap();
    let guarded = client.session.find_objects(&[Attribute::WrapWithTrusted(true)]).unwrap()[0].handle();
    client.wrap(&kwp, wrapper, guarded).unwrap();
}

/// The caller's IV would give the key stream of a known key for a sensitive one.
#[test]
fn no_key_leaves_by_gcm_under_a_chosen_iv() {
    let client = Client::new("chosen");
    let open = client.aes(32, &[no(CKA_SENSITIVE), yes(CKA_EXTRACTABLE)]);
    let secret = target(&client, 32);
    let fresh = || client.aes(32, &[yes(CKA_WRAP)]);
    let chosen: How<CK_GCM_PARAMS> = gcm(&[9; 12], b"");
    assert_eq!(client.wrap(&chosen, fresh(), secret), Err(CKR_KEY_NOT_WRAPPABLE));
    let key = fresh();
    client.wrap(&chosen, key, open).unwrap();
    assert_eq!(client.wrap(&gcm_drawn(&mut [0; 12]), key, secret), Err(CKR_KEY_NOT_WRAPPABLE));
    let key = fresh();
    client.wrap(&gcm_drawn(&mut [0; 12]), key, secret).unwrap();
    assert_eq!(client.wrap(&chosen, key, open), Err(CKR_KEY_NOT_WRAPPABLE));
}

/// Bits of a sensitive key by derivation (Clulow 2003).
#[test]
fn no_derivation_gives_a_part_that_could_be_tried() {
    let client = Client::new("bits");
    let base = client.generate(&plain(CKM_GENERIC_SECRET_KEY_GEN), &[number(CKA_VALUE_LEN, 32)]).unwrap();
    let pad = [0u8; 64];
    let data = |len| CK_KEY_DERIVATION_STRING_DATA { pData: pad.as_ptr().cast_mut(), ulLen: len };
    let wanted = |len| with(secret(CKK_GENERIC_SECRET), [number(CKA_VALUE_LEN, len)]);
    assert_eq!(
        client.derive(&how(CKM_XOR_BASE_AND_DATA, data(1)), base, &wanted(1)),
        Err(CKR_KEY_SIZE_RANGE)
    );
    for len in [33, 40, 45] {
        let after = how(CKM_CONCATENATE_DATA_AND_BASE, data(32));
        assert_eq!(client.derive(&after, base, &wanted(len)), Err(CKR_KEY_SIZE_RANGE), "{len}");
    }
    for bit in [0 as CK_ULONG, 8, 255] {
        let cut = how(CKM_EXTRACT_KEY_FROM_KEY, bit);
        assert_eq!(client.derive(&cut, base, &wanted(1)), Err(CKR_KEY_SIZE_RANGE));
        assert_eq!(client.derive(&cut, base, &open_secret(CKK_GENERIC_SECRET)), Err(CKR_KEY_SIZE_RANGE));
    }
    let known = with(open_secret(CKK_GENERIC_SECRET), [bytes(CKA_VALUE, &[1; 16])]);
    let known = client.create(&known).unwrap();
    let join = how(CKM_CONCATENATE_BASE_AND_KEY, base);
    assert_eq!(client.derive(&join, known, &wanted(17)), Err(CKR_KEY_SIZE_RANGE));
}
