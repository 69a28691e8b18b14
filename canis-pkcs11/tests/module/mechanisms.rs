//! Whatever C_GetMechanismList lists works: in one piece, in parts, with an empty message, and refuses what was changed.

use crate::every_mechanism::{
    LEGACY, P521, SECP256K1, X25519, answer, every_kind, fitting, lengths, listed, raw, with_parameter,
};
use crate::harness::user_session;
use crate::keys;
use crate::raw::call;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki_sys::{CKM_HASH_ML_DSA, CKM_HASH_SLH_DSA};
use pkcs11_sys::*;
use std::collections::HashSet;

/// Whether they are all among those that were seen, or none.
fn seen_by_policy(seen: &HashSet<CK_MECHANISM_TYPE>, some: &[CK_MECHANISM_TYPE]) -> bool {
    some.iter().all(|kind| LEGACY.contains(kind) && seen.contains(kind) == crate::legacy::is_on())
}

/// R93: every listed mechanism that signs does so alike in one piece and in parts, and notices changes.
#[test]
fn every_listed_mechanism_signs_whole_and_in_parts() {
    let session = user_session("signs");
    let keys = every_kind(&session);
    let session_handle = session.handle();
    let mut seen = HashSet::new();
    for (kind, flags) in listed(&session) {
        assert_eq!(flags & CKF_SIGN != 0, flags & CKF_VERIFY != 0, "{kind:x}");
        if flags & CKF_SIGN == 0 {
            continue;
        }
        seen.insert(kind);
        for &len in lengths(kind) {
            let message: Vec<u8> = (1..=len as u8).collect();
            let init = |key| with_parameter(kind, len, |how| call!(C_SignInit(session_handle, how, key)));
            let &(public, private) = fitting(&keys, |key| init(key.1), kind);
            let (at, size) = raw(&message);
            let whole = answer(|out, len| call!(C_Sign(session_handle, at, size, out, len)));

            // A digest of the host's is signed in one piece only.
            let in_parts = ![CKM_HASH_ML_DSA, CKM_HASH_SLH_DSA].contains(&kind);
            let parts = if in_parts {
                assert_eq!(init(private), CKR_OK);
                for part in message.chunks(7) {
                    let (at, size) = raw(part);
                    assert_eq!(call!(C_SignUpdate(session_handle, at, size)), CKR_OK);
                }
                answer(|out, len| call!(C_SignFinal(session_handle, out, len)))
            } else {
                whole.clone()
            };
            assert_eq!(whole.len(), parts.len(), "{kind:x}");

            let verify_init =
                || with_parameter(kind, len, |how| call!(C_VerifyInit(session_handle, how, public)));
            let verify = |message: &[u8], signature: &[u8]| {
                assert_eq!(verify_init(), CKR_OK);
                let ((at, size), (signature, signature_len)) = (raw(message), raw(signature));
                call!(C_Verify(session_handle, at, size, signature, signature_len))
            };
            assert_eq!(verify(&message, &whole), CKR_OK, "{kind:x}");
            assert_eq!(verify(&message, &parts), CKR_OK, "{kind:x}");
            let mut bent = whole.clone();
            bent[whole.len() / 2] ^= 1;
            assert_eq!(verify(&message, &bent), CKR_SIGNATURE_INVALID, "{kind:x}");
            assert_eq!(verify(&message, &whole[1..]), CKR_SIGNATURE_LEN_RANGE, "{kind:x}");
            if !in_parts {
                continue;
            }
            assert_eq!(verify_init(), CKR_OK);
            for part in message.chunks(5) {
                let (at, size) = raw(part);
                assert_eq!(call!(C_VerifyUpdate(session_handle, at, size)), CKR_OK);
            }
            let (at, size) = raw(&whole);
            assert_eq!(call!(C_VerifyFinal(session_handle, at, size)), CKR_OK, "{kind:x}");
        }
    }
    assert!(seen_by_policy(&seen, &[CKM_DES3_CMAC, CKM_DES3_CMAC_GENERAL, CKM_MD5_HMAC, CKM_MD5_RSA_PKCS]));
    for kind in [CKM_RSA_X_509, CKM_SHA1_RSA_PKCS, CKM_ECDSA_SHA3_512, CKM_AES_CMAC, CKM_SHA3_384_HMAC] {
        assert!(seen.contains(&kind), "{kind:x}");
    }
}

/// R93: every listed mechanism that encrypts does so in one piece and in parts, and decrypts what it made either way.
#[test]
fn every_listed_mechanism_encrypts_whole_and_in_parts() {
    let session = user_session("ciphers");
    let keys = every_kind(&session);
    let handle = session.handle();
    let mut seen = HashSet::new();
    for (kind, flags) in listed(&session) {
        assert_eq!(flags & CKF_ENCRYPT != 0, flags & CKF_DECRYPT != 0, "{kind:x}");
        if flags & CKF_ENCRYPT == 0 {
            continue;
        }
        seen.insert(kind);
        for &len in lengths(kind) {
            let message: Vec<u8> = (1..=len as u8).collect();
            let encrypt_init = |key| with_parameter(kind, len, |how| call!(C_EncryptInit(handle, how, key)));
            let &(public, private) = fitting(&keys, |key| encrypt_init(key.0), kind);
            let (at, size) = raw(&message);
            let whole = answer(|out, len| call!(C_Encrypt(handle, at, size, out, len)));
            assert_eq!(encrypt_init(public), CKR_OK);
            let mut parts = Vec::new();
            for part in message.chunks(7) {
                let (at, size) = raw(part);
                parts.extend(answer(|out, len| call!(C_EncryptUpdate(handle, at, size, out, len))));
            }
            parts.extend(answer(|out, len| call!(C_EncryptFinal(handle, out, len))));
            assert_eq!(whole.len(), parts.len(), "{kind:x}");

            let decrypt_init = || with_parameter(kind, len, |how| call!(C_DecryptInit(handle, how, private)));
            for sealed in [&whole, &parts] {
                assert_eq!(decrypt_init(), CKR_OK);
                let (at, size) = raw(sealed);
                let opened = answer(|out, len| call!(C_Decrypt(handle, at, size, out, len)));
                // RSA without padding gives the number in full.
                assert!(
                    opened.ends_with(&message) && (kind == CKM_RSA_X_509 || opened == message),
                    "{kind:x}"
                );
                assert_eq!(decrypt_init(), CKR_OK);
                let mut opened = Vec::new();
                for part in sealed.chunks(11) {
                    let (at, size) = raw(part);
                    opened.extend(answer(|out, len| call!(C_DecryptUpdate(handle, at, size, out, len))));
                }
                opened.extend(answer(|out, len| call!(C_DecryptFinal(handle, out, len))));
                assert!(opened.ends_with(&message), "{kind:x} in parts");
            }
        }
    }
    assert!(seen_by_policy(
        &seen,
        &[CKM_DES_ECB, CKM_DES_CBC, CKM_DES_CBC_PAD, CKM_DES3_ECB, CKM_DES3_CBC_PAD]
    ));
    for kind in [CKM_RSA_PKCS, CKM_AES_ECB, CKM_AES_CBC_PAD, CKM_AES_CTR, CKM_AES_CCM] {
        assert!(seen.contains(&kind), "{kind:x}");
    }
}

/// Every listed digest, whole and in parts.
#[test]
fn every_listed_digest() {
    let session = user_session("every digest");
    let handle = session.handle();
    let mut seen = HashSet::new();
    for (kind, flags) in listed(&session) {
        if flags & CKF_DIGEST == 0 {
            continue;
        }
        seen.insert(kind);
        let init = || with_parameter(kind, 0, |how| call!(C_DigestInit(handle, how)));
        for message in [&b""[..], b"abc", &[9; 300]] {
            assert_eq!(init(), CKR_OK);
            let (at, size) = raw(message);
            let whole = answer(|out, len| call!(C_Digest(handle, at, size, out, len)));
            assert_eq!(init(), CKR_OK);
            for part in message.chunks(64) {
                let (at, size) = raw(part);
                assert_eq!(call!(C_DigestUpdate(handle, at, size)), CKR_OK);
            }
            assert_eq!(answer(|out, len| call!(C_DigestFinal(handle, out, len))), whole, "{kind:x}");
        }
    }
    assert!(seen_by_policy(&seen, &[CKM_MD5]));
    assert_eq!(seen.len(), 9 + usize::from(crate::legacy::is_on()));
}

/// Every listed mechanism that generates keys does, on every curve there is.
#[test]
fn every_curve_generates_and_signs() {
    let session = user_session("curves");
    for (curve, coordinate) in [(P521, 66), (SECP256K1, 32)] {
        let pair = keys::pair(&session, &Mechanism::EccKeyPairGen, &[curve], &[]);
        let signature = session.sign(&Mechanism::EcdsaSha512, pair.private, b"message").unwrap();
        assert_eq!(signature.len(), 2 * coordinate);
        session.verify(&Mechanism::EcdsaSha512, pair.public, b"message", &signature).unwrap();
        let read = session.get_attributes(pair.public, &[cryptoki::object::AttributeType::EcPoint]).unwrap();
        let Attribute::EcPoint(point) = &read[0] else { panic!("no point") };
        let header = if coordinate > 62 { 3 } else { 2 };
        assert_eq!(point.len(), header + 1 + 2 * coordinate);
    }
    let pair = keys::pair(&session, &Mechanism::EccMontgomeryKeyPairGen, &[X25519], &[]);
    let kind = session.get_attributes(pair.private, &[cryptoki::object::AttributeType::KeyType]).unwrap();
    assert_eq!(kind, [Attribute::KeyType(cryptoki::object::KeyType::EC_MONTGOMERY)]);
    let pair = keys::rsa(&session, 6144);
    let signature = session.sign(&Mechanism::Sha512RsaPkcs, pair.private, b"message").unwrap();
    assert_eq!(signature.len(), 768);
}

/// The last piece of a padded message that does not fit stays for the next call.
#[test]
fn a_small_buffer_loses_nothing() {
    let session = user_session("small buffer");
    let (handle, key) = (session.handle(), keys::aes(&session, 16).handle());
    let sealed = {
        let init = with_parameter(CKM_AES_CBC_PAD, 0, |how| call!(C_EncryptInit(handle, how, key)));
        assert_eq!(init, CKR_OK);
        let (at, size) = raw(b"twenty bytes of text");
        answer(|out, len| call!(C_Encrypt(handle, at, size, out, len)))
    };
    let init = with_parameter(CKM_AES_CBC_PAD, 0, |how| call!(C_DecryptInit(handle, how, key)));
    assert_eq!(init, CKR_OK);
    let (at, size) = raw(&sealed);
    let mut out = [0; 32];
    let mut len = 3;
    assert_eq!(call!(C_DecryptUpdate(handle, at, size, out.as_mut_ptr(), &mut len)), CKR_BUFFER_TOO_SMALL);
    assert_eq!(len, 16);
    assert_eq!(call!(C_DecryptUpdate(handle, at, size, out.as_mut_ptr(), &mut len)), CKR_OK);
    let mut rest = [0; 16];
    len = 3;
    assert_eq!(call!(C_DecryptFinal(handle, rest.as_mut_ptr(), &mut len)), CKR_BUFFER_TOO_SMALL);
    assert_eq!(len, 4);
    assert_eq!(call!(C_DecryptFinal(handle, rest.as_mut_ptr(), &mut len)), CKR_OK);
    assert_eq!((&out[..16], &rest[..4]), (&b"twenty bytes of "[..], &b"text"[..]));
    assert_eq!(call!(C_DecryptFinal(handle, rest.as_mut_ptr(), &mut len)), CKR_OPERATION_NOT_INITIALIZED);
}

/// Wrong padding, a wrong length and a wrong key all look the same in CBC_PAD; wrong PKCS#1 padding is no error at all.
#[test]
fn padding_tells_nothing() {
    let session = user_session("padding");
    let (handle, key) = (session.handle(), keys::aes(&session, 16).handle());
    let open = |sealed: &[u8]| {
        let init = with_parameter(CKM_AES_CBC_PAD, 0, |how| call!(C_DecryptInit(handle, how, key)));
        assert_eq!(init, CKR_OK);
        let (at, size) = raw(sealed);
        let (mut out, mut len) = ([0; 64], 64);
        call!(C_Decrypt(handle, at, size, out.as_mut_ptr(), &mut len))
    };
    let refusals: HashSet<_> = (0..64u8).map(|n| open(&[n; 32])).collect();
    assert!(refusals.contains(&CKR_ENCRYPTED_DATA_INVALID));
    assert!(refusals.iter().all(|rv| [CKR_OK, CKR_ENCRYPTED_DATA_INVALID].contains(rv)), "{refusals:x?}");

    let pair = keys::rsa(&session, 2048);
    let sealed = session.encrypt(&Mechanism::RsaPkcs, pair.public, b"secret").unwrap();
    let mut bent = sealed.clone();
    bent[200] ^= 1;
    let first = session.decrypt(&Mechanism::RsaPkcs, pair.private, &bent).unwrap();
    assert_eq!(session.decrypt(&Mechanism::RsaPkcs, pair.private, &bent).unwrap(), first);
    assert_ne!(first, b"secret");
    assert_eq!(session.decrypt(&Mechanism::RsaPkcs, pair.private, &sealed).unwrap(), b"secret");
}

/// A key that may only sign does not decrypt by signing without padding.
#[test]
fn unpadded_rsa_needs_both_usages() {
    let session = user_session("unpadded");
    let bits = [Attribute::ModulusBits(2048.into())];
    for (sign, decrypt, allowed) in [(true, false, false), (false, true, false), (true, true, true)] {
        let private = [Attribute::Sign(sign), Attribute::Decrypt(decrypt)];
        let pair = keys::pair(&session, &Mechanism::RsaPkcsKeyPairGen, &bits, &private);
        let sealed = session.encrypt(&Mechanism::RsaX509, pair.public, &[7; 256][..128]).unwrap();
        let signed = session.sign(&Mechanism::RsaX509, pair.private, &sealed);
        let opened = session.decrypt(&Mechanism::RsaX509, pair.private, &sealed);
        assert_eq!((signed.is_ok(), opened.is_ok()), (allowed, allowed), "{sign} {decrypt}");
    }
}
