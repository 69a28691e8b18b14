//! C_WrapKey and C_UnwrapKey: every mechanism, known answers, other programs, and what is refused.

use crate::client::{
    Client, Given, bytes, gcm, gcm_drawn, how, no, number, oaep_sha256, open_secret, plain, secret, with, yes,
};
use crate::harness::{Home, succeed};
use crate::keys::P256;
use crate::raw::call;
use pkcs11_sys::*;
use std::ptr::null_mut;

/// CKA_EC_PARAMS of Ed25519 and X25519.
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
const X25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x6e];

pub(crate) fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key that wraps and unwraps.
pub(crate) fn wrapper(client: &Client, len: CK_ULONG) -> CK_OBJECT_HANDLE {
    client.aes(len, &[yes(CKA_WRAP), yes(CKA_UNWRAP)])
}

/// An RSA pair that does.
pub(crate) fn rsa_wrapper(client: &Client, bits: CK_ULONG) -> (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE) {
    let public = [number(CKA_MODULUS_BITS, bits), yes(CKA_WRAP), no(CKA_ENCRYPT)];
    client.pair(CKM_RSA_PKCS_KEY_PAIR_GEN, &public, &[yes(CKA_UNWRAP), no(CKA_DECRYPT)])
}

fn rsa_aes(oaep: &mut CK_RSA_PKCS_OAEP_PARAMS) -> crate::client::How<CK_RSA_AES_KEY_WRAP_PARAMS> {
    how(CKM_RSA_AES_KEY_WRAP, CK_RSA_AES_KEY_WRAP_PARAMS { ulAESKeyBits: 256, pOAEPParams: oaep })
}

fn import(client: &Client, kind: CK_KEY_TYPE, value: &[u8], more: &[Given]) -> CK_OBJECT_HANDLE {
    let template = with(open_secret(kind), [bytes(CKA_VALUE, value)]);
    client.create(&with(template, more.iter().cloned())).unwrap()
}

/// RFC 3394, section 4; RFC 5649, section 6; through every name of the mechanisms.
#[test]
fn known_answers_of_aes_key_wrap() {
    let client = Client::new("kw");
    let kwp = "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8";
    for (kinds, kek, key, wrapped) in [
        (
            &[CKM_AES_KEY_WRAP][..],
            "000102030405060708090a0b0c0d0e0f",
            "00112233445566778899aabbccddeeff",
            "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5",
        ),
        (
            &[CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD],
            kwp,
            "c37b7e6492584340bed12207808941155068f738",
            "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
        ),
        (
            &[CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD],
            kwp,
            "466f7250617369",
            "afbeb0f07dfbf5419200f2ccb50bb24f",
        ),
    ] {
        let kek = import(&client, CKK_AES, &hex(kek), &[yes(CKA_WRAP), yes(CKA_UNWRAP)]);
        let target = import(&client, CKK_GENERIC_SECRET, &hex(key), &[]);
        for kind in kinds {
            let how = plain(*kind);
            assert_eq!(to_hex(&client.wrap(&how, kek, target).unwrap()), wrapped);
            let back = client.unwrap(&how, kek, &hex(wrapped), &open_secret(CKK_GENERIC_SECRET)).unwrap();
            assert_eq!(client.read(back, CKA_VALUE).unwrap(), hex(key));
        }
    }
}

/// What comes back is the key, and promises no more than anybody can know of it.
#[test]
fn secret_keys_come_back_by_every_mechanism() {
    let client = Client::new("secrets");
    let aes = wrapper(&client, 32);
    let (public, private) = rsa_wrapper(&client, 3072);
    let mut oaep = oaep_sha256();
    for (kind, len) in [(CKK_AES, 16), (CKK_AES, 32), (CKK_GENERIC_SECRET, 48), (CKK_GENERIC_SECRET, 5)] {
        let value: Vec<u8> = (1..=len).collect();
        let target = import(&client, kind, &value, &[]);
        let by_gcm = wrapper(&client, 16);
        let wrapped = client.wrap(&gcm(&[9; 12], b"aad"), by_gcm, target).unwrap();
        assert_eq!(wrapped.len(), value.len() + 16);
        let back = client.unwrap(&gcm(&[9; 12], b"aad"), by_gcm, &wrapped, &open_secret(kind)).unwrap();
        assert_eq!(client.read(back, CKA_VALUE).unwrap(), value);
        let kwp = CKM_AES_KEY_WRAP_KWP;
        let mut ways = vec![(client.wrap(&plain(kwp), aes, target), kwp)];
        if len % 8 == 0 {
            ways.push((client.wrap(&plain(CKM_AES_KEY_WRAP), aes, target), CKM_AES_KEY_WRAP));
        } else {
            assert_eq!(client.wrap(&plain(CKM_AES_KEY_WRAP), aes, target), Err(CKR_KEY_SIZE_RANGE));
        }
        for (wrapped, way) in ways {
            let back = client.unwrap(&plain(way), aes, &wrapped.unwrap(), &open_secret(kind)).unwrap();
            assert_eq!(client.read(back, CKA_VALUE).unwrap(), value);
            for computed in [CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE, CKA_TRUSTED] {
                assert!(!client.is(back, computed), "{computed:x}");
            }
        }
        let sealed = client.wrap(&how(CKM_RSA_PKCS_OAEP, oaep), public, target).unwrap();
        assert_eq!(sealed.len(), 384);
        let back =
            client.unwrap(&how(CKM_RSA_PKCS_OAEP, oaep), private, &sealed, &open_secret(kind)).unwrap();
        assert_eq!(client.read(back, CKA_VALUE).unwrap(), value);
        let sealed = client.wrap(&rsa_aes(&mut oaep), public, target).unwrap();
        let back = client.unwrap(&rsa_aes(&mut oaep), private, &sealed, &open_secret(kind)).unwrap();
        assert_eq!(client.read(back, CKA_VALUE).unwrap(), value);
    }
}

/// Private keys as PKCS#8, by their signatures and agreements the same as before.
#[test]
fn private_keys_come_back_by_every_mechanism() {
    let client = Client::new("privates");
    let aes = wrapper(&client, 32);
    let (public, private) = rsa_wrapper(&client, 3072);
    let leaves = [yes(CKA_EXTRACTABLE)];
    let mut oaep = oaep_sha256();
    let params = |curve: &[u8]| bytes(CKA_EC_PARAMS, curve);
    for (generate, public_template, kind, signs) in [
        (CKM_RSA_PKCS_KEY_PAIR_GEN, number(CKA_MODULUS_BITS, 2048), CKK_RSA, Some(CKM_SHA256_RSA_PKCS)),
        (CKM_EC_KEY_PAIR_GEN, params(P256.0), CKK_EC, None),
        (CKM_EC_EDWARDS_KEY_PAIR_GEN, params(ED25519), CKK_EC_EDWARDS, Some(CKM_EDDSA)),
        (CKM_EC_MONTGOMERY_KEY_PAIR_GEN, params(X25519), CKK_EC_MONTGOMERY, None),
    ] {
        let (_, key) = client.pair(generate, &[public_template], &leaves);
        let template = [number(CKA_CLASS, CKO_PRIVATE_KEY), number(CKA_KEY_TYPE, kind)];
        let check = |back: CK_OBJECT_HANDLE| {
            let info = |key| client.read(key, CKA_PUBLIC_KEY_INFO).unwrap();
            assert_eq!(info(back), info(key));
            if let Some(signs) = signs {
                let signed = |key| client.sign(&plain(signs), key, b"message").unwrap();
                assert_eq!(signed(back), signed(key));
            }
            assert!(client.is(back, CKA_SENSITIVE) && !client.is(back, CKA_EXTRACTABLE));
        };
        let kwp = plain(CKM_AES_KEY_WRAP_KWP);
        let wrapped = client.wrap(&kwp, aes, key).unwrap();
        check(client.unwrap(&kwp, aes, &wrapped, &template).unwrap());
        let mut iv = [0; 12];
        let wrapped = client.wrap(&gcm_drawn(&mut iv), aes, key).unwrap();
        assert_ne!(iv, [0; 12], "no IV was drawn");
        check(client.unwrap(&gcm(&iv, b""), aes, &wrapped, &template).unwrap());
        assert_eq!(
            client.unwrap(&gcm(&iv, b"other"), aes, &wrapped, &template),
            Err(CKR_WRAPPED_KEY_INVALID)
        );
        let wrapped = client.wrap(&rsa_aes(&mut oaep), public, key).unwrap();
        check(client.unwrap(&rsa_aes(&mut oaep), private, &wrapped, &template).unwrap());
        let oaep = how(CKM_RSA_PKCS_OAEP, oaep);
        assert_eq!(client.wrap(&oaep, public, key), Err(CKR_KEY_NOT_WRAPPABLE));
        let other = if kind == CKK_EC { CKK_RSA } else { CKK_EC };
        let other = [number(CKA_CLASS, CKO_PRIVATE_KEY), number(CKA_KEY_TYPE, other)];
        let wrapped = client.wrap(&kwp, aes, key).unwrap();
        assert_eq!(client.unwrap(&kwp, aes, &wrapped, &other), Err(CKR_WRAPPED_KEY_INVALID));
    }
}

/// R53: what openssl wraps by RSA and AES the module unwraps, and the reverse.
#[test]
fn openssl_wraps_and_unwraps_by_rsa_and_aes() {
    let client = Client::new("openssl");
    let home = Home::new();
    let path = |name: &str| home.path(name);
    let openssl = |arguments: &[&str]| succeed(home.command("openssl").args(arguments));
    const OAEP: [&str; 6] = [
        "-pkeyopt",
        "rsa_padding_mode:oaep",
        "-pkeyopt",
        "rsa_oaep_md:sha256",
        "-pkeyopt",
        "rsa_mgf1_md:sha256",
    ];
    let aes: Vec<u8> = (0..32).collect();
    let mut oaep = oaep_sha256();

    // Out of openssl: a P-256 key in PKCS#8, wrapped for the module.
    openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ec.pem"]);
    openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", "ec.pem", "-outform", "DER", "-out", "ec.p8"]);
    let (public, private) = rsa_wrapper(&client, 2048);
    std::fs::write(path("pub.der"), client.read(public, CKA_PUBLIC_KEY_INFO).unwrap()).unwrap();
    std::fs::write(path("aes"), &aes).unwrap();
    let encrypt = ["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", "pub.der", "-in", "aes"];
    openssl(&[&encrypt[..], &["-out", "aes.enc"], &OAEP].concat());
    let key = to_hex(&aes);
    let wrap = ["enc", "-id-aes256-wrap-pad", "-K", &key, "-iv", "A65959A6"];
    openssl(&[&wrap[..], &["-in", "ec.p8", "-out", "ec.wrapped"]].concat());
    let wrapped =
        [std::fs::read(path("aes.enc")).unwrap(), std::fs::read(path("ec.wrapped")).unwrap()].concat();
    let template = [number(CKA_CLASS, CKO_PRIVATE_KEY), number(CKA_KEY_TYPE, CKK_EC)];
    let key = client.unwrap(&rsa_aes(&mut oaep), private, &wrapped, &template).unwrap();
    openssl(&["ec", "-in", "ec.pem", "-pubout", "-outform", "DER", "-out", "ec.pub"]);
    assert_eq!(client.read(key, CKA_PUBLIC_KEY_INFO).unwrap(), std::fs::read(path("ec.pub")).unwrap());

    // Into openssl: a secret of the module, under openssl's key.
    openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.pem"]);
    openssl(&["rsa", "-in", "rsa.pem", "-pubout", "-outform", "DER", "-out", "rsa.pub"]);
    let modulus = openssl(&["rsa", "-in", "rsa.pem", "-modulus", "-noout"]);
    let modulus = hex(modulus.lines().find_map(|line| line.strip_prefix("Modulus=")).unwrap());
    let theirs = client
        .create(&[
            number(CKA_CLASS, CKO_PUBLIC_KEY),
            number(CKA_KEY_TYPE, CKK_RSA),
            bytes(CKA_MODULUS, &modulus),
            bytes(CKA_PUBLIC_EXPONENT, &[1, 0, 1]),
            yes(CKA_WRAP),
        ])
        .unwrap();
    let target = import(&client, CKK_GENERIC_SECRET, b"twenty bytes, secret", &[]);
    let wrapped = client.wrap(&rsa_aes(&mut oaep), theirs, target).unwrap();
    std::fs::write(path("out.enc"), &wrapped[..256]).unwrap();
    std::fs::write(path("out.wrapped"), &wrapped[256..]).unwrap();
    let decrypt = ["pkeyutl", "-decrypt", "-inkey", "rsa.pem", "-in", "out.enc", "-out", "out.aes"];
    openssl(&[&decrypt[..], &OAEP].concat());
    let key = to_hex(&std::fs::read(path("out.aes")).unwrap());
    let unwrap = ["enc", "-d", "-id-aes256-wrap-pad", "-K", &key, "-iv", "A65959A6"];
    openssl(&[&unwrap[..], &["-in", "out.wrapped", "-out", "out"]].concat());
    assert_eq!(std::fs::read(path("out")).unwrap(), b"twenty bytes, secret");
}

/// Lengths are told before anything happens, and buffers that are too small change nothing.
#[test]
fn lengths_and_small_buffers() {
    let client = Client::new("lengths");
    let (aes, target) = (wrapper(&client, 32), client.aes(32, &[yes(CKA_EXTRACTABLE)]));
    let session = client.session.handle();
    let mut kwp = crate::raw::mechanism(CKM_AES_KEY_WRAP_KWP);
    let mut len = 0;
    assert_eq!(call!(C_WrapKey(session, &mut kwp, aes, target, null_mut(), &mut len)), CKR_OK);
    assert_eq!(len, 40);
    let mut out = [0; 40];
    len = 39;
    let rv = call!(C_WrapKey(session, &mut kwp, aes, target, out.as_mut_ptr(), &mut len));
    assert_eq!((rv, len, out), (CKR_BUFFER_TOO_SMALL, 40, [0; 40]));
    // Nothing has been wrapped, so the key may still become one for data.
    client.set(aes, &[yes(CKA_ENCRYPT)]).unwrap();
    client.encrypt(&plain(CKM_AES_ECB), aes, &[0; 16]).unwrap();
    assert_eq!(
        call!(C_WrapKey(session, &mut kwp, aes, target, out.as_mut_ptr(), &mut len)),
        CKR_KEY_NOT_WRAPPABLE
    );
    assert_eq!(call!(C_WrapKey(session, &mut kwp, aes, target, null_mut(), null_mut())), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(C_WrapKey(session, null_mut(), aes, target, null_mut(), &mut len)), CKR_ARGUMENTS_BAD);
}

/// R52: the standard's code for each wrong key, wrapping and template; a key that is not extractable does not leave.
#[test]
fn refusals_have_the_codes_of_the_standard() {
    let client = Client::new("codes");
    let aes = wrapper(&client, 32);
    let target = client.aes(32, &[yes(CKA_EXTRACTABLE)]);
    let (public, private) = rsa_wrapper(&client, 2048);
    let kwp = plain(CKM_AES_KEY_WRAP_KWP);
    let wrap = |wrapper, key| client.wrap(&kwp, wrapper, key).unwrap_err();
    assert_eq!(wrap(0, target), CKR_WRAPPING_KEY_HANDLE_INVALID);
    assert_eq!(wrap(public, target), CKR_WRAPPING_KEY_TYPE_INCONSISTENT);
    assert_eq!(wrap(private, target), CKR_WRAPPING_KEY_TYPE_INCONSISTENT);
    assert_eq!(wrap(target, target), CKR_KEY_FUNCTION_NOT_PERMITTED);
    assert_eq!(wrap(aes, 0), CKR_KEY_HANDLE_INVALID);
    assert_eq!(wrap(aes, public), CKR_KEY_NOT_WRAPPABLE);
    assert_eq!(wrap(aes, client.aes(32, &[])), CKR_KEY_UNEXTRACTABLE);
    assert_eq!(client.wrap(&plain(CKM_SHA256), aes, target), Err(CKR_MECHANISM_INVALID));
    assert_eq!(client.wrap(&plain(CKM_AES_ECB), aes, target), Err(CKR_MECHANISM_INVALID));
    assert_eq!(client.wrap(&plain(CKM_RSA_PKCS), public, target), Err(CKR_MECHANISM_INVALID));
    assert_eq!(client.wrap(&how(CKM_AES_CBC_PAD, [0u8; 16]), aes, target), Err(CKR_MECHANISM_INVALID));
    assert_eq!(
        client.wrap(&how(CKM_AES_KEY_WRAP_KWP, [0u8; 4]), aes, target),
        Err(CKR_MECHANISM_PARAM_INVALID)
    );
    let only = [CKM_AES_KEY_WRAP.to_ne_bytes()].concat();
    let picky = client.aes(32, &[yes(CKA_WRAP), bytes(CKA_ALLOWED_MECHANISMS, &only)]);
    assert_eq!(wrap(picky, target), CKR_MECHANISM_INVALID);

    let wrapped = client.wrap(&kwp, aes, target).unwrap();
    let unwrap = |key, wrapped: &[u8], template: &[Given]| client.unwrap(&kwp, key, wrapped, template);
    let aes_key = secret(CKK_AES);
    assert_eq!(unwrap(0, &wrapped, &aes_key), Err(CKR_UNWRAPPING_KEY_HANDLE_INVALID));
    assert_eq!(unwrap(private, &wrapped, &aes_key), Err(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT));
    assert_eq!(unwrap(target, &wrapped, &aes_key), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
    assert_eq!(unwrap(aes, &wrapped[..39], &aes_key), Err(CKR_WRAPPED_KEY_LEN_RANGE));
    assert_eq!(unwrap(aes, &[], &aes_key), Err(CKR_WRAPPED_KEY_LEN_RANGE));
    assert_eq!(unwrap(aes, &wrapped[..32], &aes_key), Err(CKR_WRAPPED_KEY_INVALID));
    let bent: Vec<u8> = wrapped.iter().map(|byte| byte ^ 1).collect();
    assert_eq!(unwrap(aes, &bent, &aes_key), Err(CKR_WRAPPED_KEY_INVALID));
    let other_len = with(secret(CKK_AES), [number(CKA_VALUE_LEN, 16)]);
    assert_eq!(unwrap(aes, &wrapped, &other_len), Err(CKR_WRAPPED_KEY_INVALID));
    let public_key = [number(CKA_CLASS, CKO_PUBLIC_KEY), number(CKA_KEY_TYPE, CKK_RSA)];
    assert_eq!(unwrap(aes, &wrapped, &public_key), Err(CKR_TEMPLATE_INCONSISTENT));
    assert_eq!(unwrap(aes, &wrapped, &[number(CKA_CLASS, CKO_PRIVATE_KEY)]), Err(CKR_TEMPLATE_INCOMPLETE));
    let trusted = with(secret(CKK_AES), [yes(CKA_TRUSTED)]);
    assert_eq!(unwrap(aes, &wrapped, &trusted), Err(CKR_ATTRIBUTE_READ_ONLY));
    let local = with(secret(CKK_AES), [yes(CKA_LOCAL)]);
    assert_eq!(unwrap(aes, &wrapped, &local), Err(CKR_ATTRIBUTE_READ_ONLY));
    let torn = with(secret(CKK_AES), [yes(CKA_ENCRYPT), no(CKA_ENCRYPT)]);
    assert_eq!(unwrap(aes, &wrapped, &torn), Err(CKR_TEMPLATE_INCONSISTENT));
    unwrap(aes, &wrapped, &aes_key).unwrap();
    let oaep = how(CKM_RSA_PKCS_OAEP, oaep_sha256());
    assert_eq!(client.unwrap(&oaep, private, &[7; 255], &aes_key), Err(CKR_WRAPPED_KEY_LEN_RANGE));
    assert_eq!(client.unwrap(&oaep, private, &[7; 256], &aes_key), Err(CKR_WRAPPED_KEY_INVALID));
}

/// pkcs11-tool unwraps what openssl wrapped, and wraps it again the same, with what it sends by itself.
#[test]
fn pkcs11_tool_unwraps_and_wraps() {
    let home = Home::with_token("tool");
    let (kek, key): (Vec<u8>, Vec<u8>) = ((0..32).collect(), (100..132).collect());
    std::fs::write(home.path("kek"), &kek).unwrap();
    std::fs::write(home.path("key"), &key).unwrap();
    let wrap = ["enc", "-id-aes256-wrap", "-K", &to_hex(&kek), "-iv", "A6A6A6A6A6A6A6A6"];
    succeed(home.command("openssl").args(wrap).args(["-in", "key", "-out", "wrapped"]));
    let aes = ["--type", "secrkey", "--key-type", "AES:32", "--usage-wrap", "--id", "01"];
    home.tool_as_user(&[&["--write-object", "kek"], &aes[..]].concat());
    let by = ["--mechanism", "AES-KEY-WRAP", "--id", "01", "--application-id", "02"];
    home.tool_as_user(
        &[&["--unwrap", "-i", "wrapped", "--key-type", "AES:", "--extractable"], &by[..]].concat(),
    );
    home.tool_as_user(&[&["--wrap", "-o", "again"], &by[..]].concat());
    let read = |name| std::fs::read(home.path(name)).unwrap();
    assert_eq!(read("again"), read("wrapped"));
}
