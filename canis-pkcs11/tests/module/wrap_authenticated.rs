//! C_WrapKeyAuthenticated and C_UnwrapKeyAuthenticated: keys wrapped with associated data, IV and tag apart.

use crate::client::{Answer, Client, Given, as_newest, bytes, gcm, no, open_secret, secret, with, yes};
use crate::raw::call_3_2;
use crate::separation::target;
use crate::wrap::wrapper;
use pkcs11_sys::*;
use std::ptr::null_mut;

const AAD: &[u8] = b"whose key it is";
/// The lengths of a tag that both modes take.
const TAGS: [usize; 3] = [12, 14, 16];
const BOTH: [CK_MECHANISM_TYPE; 2] = [CKM_AES_GCM, CKM_AES_CCM];

/// IV and tag as the host gives them, and as they come back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Places {
    iv: Vec<u8>,
    tag: Vec<u8>,
    fixed: CK_ULONG,
    generator: CK_GENERATOR_FUNCTION,
}

fn drawn(tag: usize) -> Places {
    Places { iv: vec![0; 12], tag: vec![0; tag], fixed: 0, generator: CKG_GENERATE }
}

fn chosen(iv: &[u8]) -> Places {
    Places { iv: iv.to_vec(), tag: vec![0; 16], fixed: 0, generator: CKG_NO_GENERATE }
}

impl Places {
    /// Calls `work` with a mechanism whose parameter leads here.
    fn with<T>(
        &mut self,
        kind: CK_MECHANISM_TYPE,
        work: impl FnOnce(&mut cryptoki_sys::CK_MECHANISM) -> T,
    ) -> T {
        let (iv, iv_len) = (self.iv.as_mut_ptr(), self.iv.len() as CK_ULONG);
        let (tag, tag_len) = (self.tag.as_mut_ptr(), self.tag.len() as CK_ULONG);
        let mut gcm = CK_GCM_MESSAGE_PARAMS {
            pIv: iv,
            ulIvLen: iv_len,
            ulIvFixedBits: self.fixed,
            ivGenerator: self.generator,
            pTag: tag,
            ulTagBits: 8 * tag_len,
        };
        let mut ccm = CK_CCM_MESSAGE_PARAMS {
            ulDataLen: 0,
            pNonce: iv,
            ulNonceLen: iv_len,
            ulNonceFixedBits: self.fixed,
            nonceGenerator: self.generator,
            pMAC: tag,
            ulMACLen: tag_len,
        };
        let (at, len) = match kind {
            CKM_AES_CCM => ((&raw mut ccm).cast(), size_of_val(&ccm)),
            _ => ((&raw mut gcm).cast(), size_of_val(&gcm)),
        };
        work(&mut cryptoki_sys::CK_MECHANISM {
            mechanism: kind,
            pParameter: at,
            ulParameterLen: len as CK_ULONG,
        })
    }
}

impl Client {
    fn wrap_apart(
        &self,
        (kind, places): (CK_MECHANISM_TYPE, &mut Places),
        wrapper: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
        aad: &[u8],
    ) -> Answer<Vec<u8>> {
        let (handle, at, aad_len) = (self.session.handle(), aad.as_ptr().cast_mut(), aad.len() as CK_ULONG);
        let before = places.clone();
        let (mut out, mut len) = (Vec::new(), 0);
        let ask = |places: &mut Places, out: *mut u8, len: &mut CK_ULONG| {
            places.with(kind, |how| {
                call_3_2!(C_WrapKeyAuthenticated(handle, how, wrapper, key, at, aad_len, out, len))
            })
        };
        let query = ask(places, null_mut(), &mut len);
        assert_eq!(*places, before, "a query makes no IV");
        if query == CKR_OK && len > 0 {
            let mut short = len - 1;
            out = vec![0; len as usize];
            assert_eq!(ask(places, out.as_mut_ptr(), &mut short), CKR_BUFFER_TOO_SMALL);
            assert_eq!((short, &*places), (len, &before));
        }
        match ask(places, out.as_mut_ptr(), &mut len) {
            CKR_OK => Ok(out),
            rv => Err(rv),
        }
    }

    fn unwrap_apart(
        &self,
        (kind, places): (CK_MECHANISM_TYPE, &mut Places),
        unwrapper: CK_OBJECT_HANDLE,
        wrapped: &[u8],
        aad: &[u8],
        template: &[Given],
    ) -> Answer<CK_OBJECT_HANDLE> {
        let (mut raw, mut key) = (as_newest(template), 0);
        let rv = places.with(kind, |how| {
            call_3_2!(C_UnwrapKeyAuthenticated(
                self.session.handle(),
                how,
                unwrapper,
                wrapped.as_ptr().cast_mut(),
                wrapped.len() as CK_ULONG,
                raw.as_mut_ptr(),
                raw.len() as CK_ULONG,
                aad.as_ptr().cast_mut(),
                aad.len() as CK_ULONG,
                &mut key,
            ))
        });
        if rv == CKR_OK { Ok(key) } else { Err(rv) }
    }
}

fn open_key(client: &Client, value: &[u8]) -> CK_OBJECT_HANDLE {
    client.create(&with(open_secret(CKK_GENERIC_SECRET), [bytes(CKA_VALUE, value)])).unwrap()
}

/// R52, R93: keys of several lengths leave under IVs that are drawn for them, and come back by what the host was given.
#[test]
fn keys_come_back_with_their_associated_data() {
    let client = Client::new("apart");
    for kind in BOTH {
        let by = wrapper(&client, 32);
        let mut ivs = Vec::new();
        for (len, tag) in [(5, 16), (16, 12), (32, 14), (300, 16)] {
            let value: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let mut places = drawn(tag);
            let wrapped = client.wrap_apart((kind, &mut places), by, open_key(&client, &value), AAD).unwrap();
            assert_eq!((wrapped.len(), places.tag.len()), (value.len(), tag));
            assert!(places.iv != [0; 12] && places.tag != vec![0; tag] && !ivs.contains(&places.iv));
            ivs.push(places.iv.clone());
            // How the IV was made is nothing that unwrapping looks at.
            let mut told = Places { fixed: 7, generator: 99, ..places.clone() };
            let open = open_secret(CKK_GENERIC_SECRET);
            let back = client.unwrap_apart((kind, &mut told), by, &wrapped, AAD, &open).unwrap();
            assert_eq!(client.read(back, CKA_VALUE), Ok(value));
            for computed in [CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE] {
                assert!(!client.is(back, computed), "{computed:x}");
            }
        }
    }
}

/// What is wrapped so is AES-GCM as C_WrapKey and C_Encrypt have it, with the tag behind.
#[test]
fn it_is_the_standards_aes_gcm() {
    let client = Client::new("apart the same");
    let (value, key) = (vec![7; 32], vec![9; 16]);
    let same = |more: &[Given]| {
        let template = with(secret(CKK_AES), [bytes(CKA_VALUE, &key)]);
        client.create(&with(template, more.iter().cloned())).unwrap()
    };
    let by = same(&[yes(CKA_WRAP), yes(CKA_UNWRAP)]);
    let mut places = chosen(&[3; 12]);
    let wrapped = client.wrap_apart((CKM_AES_GCM, &mut places), by, open_key(&client, &value), AAD).unwrap();
    assert_eq!(places.iv, [3; 12]);
    let whole = [&wrapped[..], &places.tag].concat();
    assert_eq!(client.wrap(&gcm(&[3; 12], AAD), by, open_key(&client, &value)), Ok(whole.clone()));
    let cipher = same(&[yes(CKA_ENCRYPT), yes(CKA_DECRYPT)]);
    assert_eq!(client.decrypt(&gcm(&[3; 12], AAD), cipher, &whole), Ok(value));
    let back = client.unwrap(&gcm(&[3; 12], AAD), by, &whole, &open_secret(CKK_GENERIC_SECRET));
    assert!(back.is_ok());
}

/// Attacks: other associated data, IV, tag or bytes, parts of them, another key; all give one answer and no key.
#[test]
fn what_was_altered_does_not_come_in() {
    let client = Client::new("apart altered");
    for kind in BOTH {
        let (by, other) = (wrapper(&client, 32), wrapper(&client, 32));
        let mut places = drawn(16);
        let wrapped = client.wrap_apart((kind, &mut places), by, target(&client, 32), AAD).unwrap();
        let before = client.find(&[]).len();
        let come = |by, places: &Places, wrapped: &[u8], aad: &[u8]| {
            client.unwrap_apart((kind, &mut places.clone()), by, wrapped, aad, &secret(CKK_AES))
        };
        let flipped = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes[3] ^= 1;
            bytes
        };
        assert_eq!(come(by, &places, &flipped(&wrapped), AAD), Err(CKR_WRAPPED_KEY_INVALID));
        assert_eq!(come(by, &places, &wrapped[1..], AAD), Err(CKR_WRAPPED_KEY_INVALID));
        assert_eq!(come(by, &places, &wrapped, b"another's"), Err(CKR_WRAPPED_KEY_INVALID));
        assert_eq!(come(by, &places, &wrapped, b""), Err(CKR_WRAPPED_KEY_INVALID));
        assert_eq!(come(other, &places, &wrapped, AAD), Err(CKR_WRAPPED_KEY_INVALID));
        let iv = Places { iv: flipped(&places.iv), ..places.clone() };
        assert_eq!(come(by, &iv, &wrapped, AAD), Err(CKR_WRAPPED_KEY_INVALID));
        let tag = Places { tag: flipped(&places.tag), ..places.clone() };
        assert_eq!(come(by, &tag, &wrapped, AAD), Err(CKR_WRAPPED_KEY_INVALID));
        let cut = Places { tag: places.tag[..4].to_vec(), ..places.clone() };
        assert_eq!(come(by, &cut, &wrapped, AAD), Err(CKR_MECHANISM_PARAM_INVALID), "a tag of 32 bits");
        assert_eq!(come(by, &places, b"", AAD), Err(CKR_WRAPPED_KEY_LEN_RANGE));
        assert_eq!(client.find(&[]).len(), before);
        come(by, &places, &wrapped, AAD).unwrap();
    }
}

/// The rules of C_WrapKey hold: what is for data wraps nothing sensitive, nobody's IV takes a sensitive key, strength, the sensitive
/// stay so, and what only trusted keys may wrap.
#[test]
fn the_rules_of_wrapping_hold() {
    let client = Client::new("apart rules");
    for kind in BOTH {
        let secret_key = target(&client, 32);
        let out = |by, places: &mut Places, key| client.wrap_apart((kind, places), by, key, AAD);
        let data = client.aes(32, &[yes(CKA_WRAP), yes(CKA_DECRYPT), yes(CKA_ENCRYPT)]);
        assert_eq!(out(data, &mut drawn(16), secret_key), Err(CKR_KEY_NOT_WRAPPABLE));
        let by = wrapper(&client, 32);
        assert_eq!(out(by, &mut chosen(&[0; 12]), secret_key), Err(CKR_KEY_NOT_WRAPPABLE));
        assert_eq!(out(by, &mut chosen(&[5; 12]), secret_key), Err(CKR_KEY_NOT_WRAPPABLE));
        assert_eq!(out(wrapper(&client, 16), &mut drawn(16), secret_key), Err(CKR_WRAPPING_KEY_SIZE_RANGE));
        assert_eq!(out(by, &mut drawn(16), client.aes(32, &[])), Err(CKR_KEY_UNEXTRACTABLE));
        let guarded = client.aes(32, &[yes(CKA_EXTRACTABLE), yes(CKA_WRAP_WITH_TRUSTED)]);
        assert_eq!(out(by, &mut drawn(16), guarded), Err(CKR_KEY_NOT_WRAPPABLE));
        let unable = client.aes(32, &[no(CKA_WRAP)]);
        assert_eq!(out(unable, &mut drawn(16), secret_key), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));

        let mut places = drawn(16);
        let wrapped = out(by, &mut places, secret_key).unwrap();
        let open = client.unwrap_apart((kind, &mut places), by, &wrapped, AAD, &open_secret(CKK_AES));
        assert_eq!(open, Err(CKR_TEMPLATE_INCONSISTENT), "it left as a sensitive key");
        // It is for keys now, and decrypts nothing, whatever becomes of its attributes.
        client.set(by, &[yes(CKA_DECRYPT), yes(CKA_ENCRYPT)]).unwrap();
        client.set(by, &[no(CKA_WRAP), no(CKA_UNWRAP)]).unwrap();
        let whole = [&wrapped[..], &places.tag].concat();
        assert_eq!(client.decrypt(&gcm(&places.iv, AAD), by, &whole), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        // Under an IV of the host's it is data that a key encrypts: then it takes no sensitive one any more.
        let by = wrapper(&client, 32);
        out(by, &mut chosen(&[5; 12]), open_key(&client, &[7; 32])).unwrap();
        assert_eq!(out(by, &mut drawn(16), secret_key), Err(CKR_KEY_NOT_WRAPPABLE));
    }
}

/// Parameters that are none of these functions', or that the module cannot fulfil.
#[test]
fn other_parameters_are_refused() {
    let client = Client::new("apart parameters");
    let (by, key) = (wrapper(&client, 32), target(&client, 32));
    for kind in BOTH {
        let refused = |mut places: Places| {
            let outcome = client.wrap_apart((kind, &mut places), by, key, AAD);
            assert_eq!(outcome, Err(CKR_MECHANISM_PARAM_INVALID), "{places:?}");
        };
        for generator in [CKG_GENERATE_COUNTER, CKG_GENERATE_COUNTER_XOR, 99] {
            refused(Places { generator, ..drawn(16) });
        }
        refused(Places { fixed: 32, ..drawn(16) });
        refused(Places { iv: vec![0; 11], ..drawn(16) });
        refused(Places { iv: vec![], ..drawn(16) });
        refused(Places { iv: vec![], ..chosen(&[]) });
        refused(drawn(0));
        refused(drawn(4));
        refused(drawn(17));
        let given = Places { generator: CKG_GENERATE_RANDOM, ..drawn(16) };
        client.wrap_apart((kind, &mut given.clone()), by, key, AAD).unwrap();
    }
    for tag in TAGS {
        client.wrap_apart((CKM_AES_GCM, &mut drawn(tag)), by, key, b"").unwrap();
    }
    let handle = client.session.handle();
    let ask = |how: *mut cryptoki_sys::CK_MECHANISM| {
        let mut len = 0;
        call_3_2!(C_WrapKeyAuthenticated(handle, how, by, key, null_mut(), 0, null_mut(), &mut len))
    };
    for kind in [CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_KWP, CKM_RSA_PKCS_OAEP, CKM_AES_CBC_PAD, CKM_SHA256] {
        assert_eq!(drawn(16).with(kind, |how| ask(how)), CKR_MECHANISM_INVALID, "{kind:x}");
    }
    assert_eq!(ask(null_mut()), CKR_ARGUMENTS_BAD);
    // The other mode's structure, and CK_GCM_PARAMS, which is as long and has the length of the data where the tag's place is.
    let crossed = |from, to| {
        drawn(16).with(from, |how| {
            how.mechanism = to;
            ask(how)
        })
    };
    assert_eq!(crossed(CKM_AES_GCM, CKM_AES_CCM), CKR_MECHANISM_PARAM_INVALID);
    assert_eq!(crossed(CKM_AES_CCM, CKM_AES_GCM), CKR_MECHANISM_PARAM_INVALID);
    let (mut iv, mut aad) = ([1; 12], [2; 20]);
    let mut plain = CK_GCM_PARAMS {
        pIv: iv.as_mut_ptr(),
        ulIvLen: 12,
        ulIvBits: 96,
        pAAD: aad.as_mut_ptr(),
        ulAADLen: 20,
        ulTagBits: 128,
    };
    let len = size_of_val(&plain) as CK_ULONG;
    let at = (&raw mut plain).cast();
    let mut how = cryptoki_sys::CK_MECHANISM { mechanism: CKM_AES_GCM, pParameter: at, ulParameterLen: len };
    assert_eq!(ask(&mut how), CKR_MECHANISM_PARAM_INVALID);
    assert_eq!(
        call_3_2!(C_WrapKeyAuthenticated(0, null_mut(), 0, 0, null_mut(), 0, null_mut(), null_mut())),
        CKR_SESSION_HANDLE_INVALID
    );
}

/// Private keys travel so, too, and C_WrapKey knows AES-CCM: with the nonce of twelve zeros it draws one.
#[test]
fn private_keys_and_plain_wrapping_by_ccm() {
    let client = Client::new("apart private");
    let by = wrapper(&client, 32);
    let pair = crate::ml_kem::pair(&client.session, crate::ml_kem::SET_512, &crate::material::OPEN);
    let inside = [
        (CKA_CLASS, CKO_PRIVATE_KEY.to_ne_bytes().to_vec()),
        (CKA_KEY_TYPE, cryptoki_sys::CKK_ML_KEM.to_ne_bytes().to_vec()),
    ];
    let (ciphertext, secret) = crate::ml_kem::encapsulate(&client.session, pair.public);
    for kind in BOTH {
        let mut places = drawn(16);
        let wrapped = client.wrap_apart((kind, &mut places), by, pair.private.handle(), AAD).unwrap();
        let back = client.unwrap_apart((kind, &mut places), by, &wrapped, AAD, &inside).unwrap();
        let opened = client.decapsulate(back, &ciphertext, &open_secret(CKK_GENERIC_SECRET)).unwrap();
        assert_eq!(client.read(opened, CKA_VALUE), Ok(secret.clone()));
    }
    let mut nonce = [0; 12];
    let ccm = |at: *mut u8| {
        crate::client::how(
            CKM_AES_CCM,
            CK_CCM_PARAMS {
                ulDataLen: 0,
                pNonce: at,
                ulNonceLen: 12,
                pAAD: AAD.as_ptr().cast_mut(),
                ulAADLen: AAD.len() as CK_ULONG,
                ulMACLen: 16,
            },
        )
    };
    let wrapped = client.wrap(&ccm(nonce.as_mut_ptr()), by, target(&client, 32)).unwrap();
    assert_ne!(nonce, [0; 12]);
    client.unwrap(&ccm(nonce.as_mut_ptr()), by, &wrapped, &crate::client::secret(CKK_AES)).unwrap();
    let (body, tag) = wrapped.split_at(32);
    let mut places = Places { tag: tag.to_vec(), ..chosen(&nonce) };
    client.unwrap_apart((CKM_AES_CCM, &mut places), by, body, AAD, &crate::client::secret(CKK_AES)).unwrap();
    nonce = [5; 12];
    let by_host = client.wrap(&ccm(nonce.as_mut_ptr()), by, target(&client, 32));
    assert_eq!(by_host, Err(CKR_KEY_NOT_WRAPPABLE));
}
