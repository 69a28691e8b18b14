//! DES and MD5, which are there under the policy `legacy` only: that they are right, what their keys may do, and that
//! without the policy there is nothing of them.

use crate::client::{
    Client, bytes, gcm, gcm_drawn, how, no, number, oaep_sha256, open_secret, plain, secret, with, yes,
};
use crate::every_mechanism::{LEGACY, listed};
use crate::harness::{Home, said, user_session};
use crate::legacy::{is_on, run_again};
use crate::raw::{call, mechanism};
use crate::wrap::{hex, rsa_wrapper, wrapper};
use pkcs11_sys::*;
use std::ptr::null_mut;

/// The types of keys, how they are made, and how long they are.
const KEYS: [(CK_KEY_TYPE, CK_MECHANISM_TYPE, usize); 3] =
    [(CKK_DES, CKM_DES_KEY_GEN, 8), (CKK_DES2, CKM_DES2_KEY_GEN, 16), (CKK_DES3, CKM_DES3_KEY_GEN, 24)];

const OLD_TYPES: [CK_KEY_TYPE; 3] = [CKK_DES, CKK_DES2, CKK_DES3];

#[test]
fn old_ciphers_work_under_the_policy() {
    run_again(&["old_ciphers::legacy_"], 6);
}

/// R93: the answers of the standards, through the module.
#[test]
fn legacy_known_answers() {
    if !is_on() {
        return;
    }
    let client = Client::new("answers");
    let key =
        |kind, value: &str| client.create(&with(open_secret(kind), [bytes(CKA_VALUE, &hex(value))])).unwrap();
    // NIST SP 800-17, table A.1; SP 800-67, appendix B.1.
    let one = key(CKK_DES, "0101010101010101");
    let sealed = client.encrypt(&plain(CKM_DES_ECB), one, &hex("8000000000000000")).unwrap();
    assert_eq!(sealed, hex("95f8a5e5dd31d900"));
    let three = key(CKK_DES3, "0123456789abcdef23456789abcdef01456789abcdef0123");
    let clear = b"The qufck brown fox jump";
    let sealed = client.encrypt(&plain(CKM_DES3_ECB), three, clear).unwrap();
    assert_eq!(sealed, hex("a826fd8ce53b855fcce21c8112256fe668d5c05dd9b6b900"));
    // CBC of one block under an IV of zeros is ECB; the check value is the start of a block of zeros encrypted.
    let sealed = client.encrypt(&how(CKM_DES3_CBC, [0u8; 8]), three, &clear[..8]).unwrap();
    assert_eq!(sealed, hex("a826fd8ce53b855f"));
    let zeros = client.encrypt(&plain(CKM_DES3_ECB), three, &[0; 8]).unwrap();
    assert_eq!(client.read(three, CKA_CHECK_VALUE).unwrap(), zeros[..3]);
    // SP 800-38B, appendix D.5: two keys.
    let two = key(CKK_DES2, "4cf15134a2850dd58a3d10ba80570d38");
    let message = hex("6bc1bee22e409f96e93d7e117393172aae2d8a57");
    assert_eq!(client.sign(&plain(CKM_DES3_CMAC), two, &message).unwrap(), hex("62dd1b471902bd4e"));
    let cut = client.sign(&how(CKM_DES3_CMAC_GENERAL, 4 as CK_ULONG), two, &message).unwrap();
    assert_eq!(cut, hex("62dd1b47"));
    // RFC 1321, appendix A.5; RFC 2202, section 2.
    assert_eq!(client.digest(CKM_MD5, b"abc").unwrap(), hex("900150983cd24fb0d6963f7d28e17f72"));
    let jefe = client.create(&with(open_secret(CKK_MD5_HMAC), [bytes(CKA_VALUE, b"Jefe")])).unwrap();
    let tag = client.sign(&plain(CKM_MD5_HMAC), jefe, b"what do ya want for nothing?").unwrap();
    assert_eq!(tag, hex("750c783e6ab0b503eaa86e310a5db738"));
    // RFC 8017, section 9.2, note 1: what CKM_MD5_RSA_PKCS signs is this DigestInfo.
    let (_, private) = client.pair(CKM_RSA_PKCS_KEY_PAIR_GEN, &[number(CKA_MODULUS_BITS, 2048)], &[]);
    let info = hex("3020300c06082a864886f70d020505000410900150983cd24fb0d6963f7d28e17f72");
    let by = |kind, data: &[u8]| client.sign(&plain(kind), private, data).unwrap();
    assert_eq!(by(CKM_MD5_RSA_PKCS, b"abc"), by(CKM_RSA_PKCS, &info));
}

/// Keys that are drawn have odd parity and parts that differ; they are of the type that was asked for, and have the length
/// of that.
#[test]
fn legacy_keys_are_drawn() {
    if !is_on() {
        return;
    }
    let client = Client::new("drawn");
    for (kind, generate, len) in KEYS {
        let open = [no(CKA_SENSITIVE), yes(CKA_EXTRACTABLE), yes(CKA_TOKEN)];
        let key = client.generate(&plain(generate), &open).unwrap();
        let value = client.read(key, CKA_VALUE).unwrap();
        assert_eq!(value.len(), len);
        assert!(value.iter().all(|byte| byte.count_ones() % 2 == 1), "{value:02x?}");
        let parts: Vec<_> = value.chunks(8).collect();
        assert!(parts.iter().enumerate().all(|(at, part)| !parts[..at].contains(part)));
        assert_eq!(client.read(key, CKA_KEY_TYPE).unwrap(), kind.to_ne_bytes());
        assert_eq!(client.read(key, CKA_VALUE_LEN), Err(CKR_ATTRIBUTE_TYPE_INVALID));
        assert_eq!(client.find(&[number(CKA_KEY_TYPE, kind)]), [key]);
        assert!(client.is(key, CKA_LOCAL) && client.is(key, CKA_DECRYPT));
        for never in [CKA_WRAP, CKA_UNWRAP, CKA_DERIVE] {
            let asked = client.generate(&plain(generate), &[yes(never)]).unwrap();
            assert!(!client.is(asked, never) && !client.is(key, never), "{never:x}");
        }
        let template = |more| client.generate(&plain(generate), &[more]);
        // pkcs11-tool says the length, which is no attribute of theirs.
        assert!(template(number(CKA_VALUE_LEN, len as CK_ULONG)).is_ok());
        assert_eq!(template(number(CKA_VALUE_LEN, 32)), Err(CKR_TEMPLATE_INCONSISTENT));
        for other in OLD_TYPES {
            let expected = if other == kind { Ok(()) } else { Err(CKR_TEMPLATE_INCONSISTENT) };
            assert_eq!(template(number(CKA_KEY_TYPE, other)).map(|_| ()), expected);
        }
    }
}

/// Keys are brought with the length of their type, and used as they come: also weak, also without parity.
#[test]
fn legacy_keys_are_brought() {
    if !is_on() {
        return;
    }
    let client = Client::new("brought");
    for (kind, _, len) in KEYS {
        for given in [0, 7, 8, 16, 24, 32] {
            let template = with(open_secret(kind), [bytes(CKA_VALUE, &vec![0; given])]);
            let expected = if given == len { Ok(()) } else { Err(CKR_ATTRIBUTE_VALUE_INVALID) };
            assert_eq!(client.create(&template).map(|_| ()), expected, "{kind:x} {given}");
        }
        let key = client.create(&with(open_secret(kind), [bytes(CKA_VALUE, &vec![2; len])])).unwrap();
        let copy = client.copy(key, &[yes(CKA_TOKEN)]).unwrap();
        assert_eq!(client.read(copy, CKA_VALUE).unwrap(), vec![2; len]);
    }
}

/// Keys of DES are wrapped and come back as what they were, by whatever wraps what has no structure.
#[test]
fn legacy_keys_are_wrapped_and_unwrapped() {
    if !is_on() {
        return;
    }
    let client = Client::new("wrapped");
    let (aes, (public, private)) = (wrapper(&client, 16), rsa_wrapper(&client, 2048));
    let oaep = oaep_sha256();
    for (kind, generate, len) in KEYS {
        let key = client.generate(&plain(generate), &[yes(CKA_EXTRACTABLE), no(CKA_SENSITIVE)]).unwrap();
        let value = client.read(key, CKA_VALUE).unwrap();
        let same = |back: CK_OBJECT_HANDLE| assert_eq!(client.read(back, CKA_VALUE).unwrap(), value);
        let open = open_secret(kind);
        let kwp = plain(CKM_AES_KEY_WRAP_KWP);
        let wrapped = client.wrap(&kwp, aes, key).unwrap();
        same(client.unwrap(&kwp, aes, &wrapped, &open).unwrap());
        for other in OLD_TYPES.into_iter().filter(|other| *other != kind) {
            let other = open_secret(other);
            assert_eq!(client.unwrap(&kwp, aes, &wrapped, &other), Err(CKR_WRAPPED_KEY_INVALID));
        }
        if len > 8 {
            let kw = plain(CKM_AES_KEY_WRAP);
            same(client.unwrap(&kw, aes, &client.wrap(&kw, aes, key).unwrap(), &open).unwrap());
        }
        let rsa = how(CKM_RSA_PKCS_OAEP, oaep);
        same(client.unwrap(&rsa, private, &client.wrap(&rsa, public, key).unwrap(), &open).unwrap());
        // No length is to be told to what rejects implicitly: the type has it.
        let pkcs1 = plain(CKM_RSA_PKCS);
        let wrapped = client.wrap(&pkcs1, public, key).unwrap();
        let back = client.unwrap(&pkcs1, private, &wrapped, &secret(kind)).unwrap();
        assert_eq!(client.read(back, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
        let mut bent = wrapped;
        bent[200] ^= 1;
        client.unwrap(&pkcs1, private, &bent, &secret(kind)).unwrap();
        // Sensitive keys need a stronger one to wrap them, which AES is, and come back as sensitive.
        let by_gcm = wrapper(&client, 16);
        let key = client.generate(&plain(generate), &[yes(CKA_EXTRACTABLE)]).unwrap();
        let mut iv = [0; 12];
        let wrapped = client.wrap(&gcm_drawn(&mut iv), by_gcm, key).unwrap();
        client.unwrap(&gcm(&iv, b""), by_gcm, &wrapped, &secret(kind)).unwrap();
        assert_eq!(client.unwrap(&gcm(&iv, b""), by_gcm, &wrapped, &open), Err(CKR_TEMPLATE_INCONSISTENT));
    }
}

/// R52: no stronger key becomes as weak as DES: none is wrapped by DES, none is cut to be DES or comes back as it, and none
/// is derived to be it.
#[test]
fn legacy_keys_weaken_no_others() {
    if !is_on() {
        return;
    }
    let client = Client::new("weaken");
    let aes = wrapper(&client, 32);
    let target = client.aes(16, &[yes(CKA_EXTRACTABLE)]);
    for (kind, generate, len) in KEYS {
        let des = client.generate(&plain(generate), &[yes(CKA_WRAP), yes(CKA_UNWRAP)]).unwrap();
        assert_eq!(
            client.wrap(&plain(CKM_AES_KEY_WRAP), des, target),
            Err(CKR_WRAPPING_KEY_TYPE_INCONSISTENT)
        );
        for mechanism in [CKM_DES3_ECB, CKM_DES_ECB] {
            assert_eq!(client.wrap(&plain(mechanism), des, target), Err(CKR_MECHANISM_INVALID));
        }
        for mechanism in [CKM_DES3_CBC_PAD, CKM_DES_CBC_PAD] {
            let padded = how(mechanism, [0u8; 8]);
            assert_eq!(client.wrap(&padded, des, target), Err(CKR_MECHANISM_INVALID));
            assert_eq!(client.unwrap(&padded, des, &[0; 24], &secret(CKK_AES)), Err(CKR_MECHANISM_INVALID));
        }
        // Cut by whoever alters the padding, or read as another type.
        let padded = how(CKM_AES_CBC_PAD, [7u8; 16]);
        let key = client.generate(&plain(generate), &[yes(CKA_EXTRACTABLE)]).unwrap();
        let wrapped = client.wrap(&padded, aes, key).unwrap();
        assert_eq!(client.unwrap(&padded, aes, &wrapped, &secret(kind)), Err(CKR_TEMPLATE_INCONSISTENT));
        if [16, 24].contains(&len) {
            let kwp = plain(CKM_AES_KEY_WRAP_KWP);
            let stronger = client.aes(len as CK_ULONG, &[yes(CKA_EXTRACTABLE)]);
            let wrapped = client.wrap(&kwp, aes, stronger).unwrap();
            assert_eq!(client.unwrap(&kwp, aes, &wrapped, &secret(kind)), Err(CKR_TEMPLATE_INCONSISTENT));
            client.unwrap(&kwp, aes, &wrapped, &secret(CKK_AES)).unwrap();
            let weak = client.generate(&plain(generate), &[yes(CKA_EXTRACTABLE)]).unwrap();
            let wrapped = client.wrap(&kwp, aes, weak).unwrap();
            client.unwrap(&kwp, aes, &wrapped, &secret(kind)).unwrap();
        }
        let base = client.generate(&plain(CKM_GENERIC_SECRET_KEY_GEN), &[number(CKA_VALUE_LEN, 24)]).unwrap();
        let extract = how(CKM_EXTRACT_KEY_FROM_KEY, 0 as CK_ULONG);
        assert_eq!(client.derive(&extract, base, &secret(kind)), Err(CKR_TEMPLATE_INCONSISTENT));
        assert_eq!(client.derive(&extract, des, &secret(CKK_AES)), Err(CKR_KEY_TYPE_INCONSISTENT));
    }
}

/// Old hashes are there by themselves, not inside of what is sound: OAEP, PSS, HKDF.
#[test]
fn legacy_hashes_are_no_parameters() {
    if !is_on() {
        return;
    }
    let client = Client::new("parameters");
    let (public, private) = client.pair(CKM_RSA_PKCS_KEY_PAIR_GEN, &[number(CKA_MODULUS_BITS, 2048)], &[]);
    let oaep = CK_RSA_PKCS_OAEP_PARAMS { hashAlg: CKM_MD5, ..oaep_sha256() };
    assert_eq!(client.encrypt(&how(CKM_RSA_PKCS_OAEP, oaep), public, b"x"), Err(CKR_MECHANISM_PARAM_INVALID));
    let pss = CK_RSA_PKCS_PSS_PARAMS { hashAlg: CKM_MD5, mgf: CKG_MGF1_SHA1, sLen: 16 };
    assert_eq!(client.sign(&how(CKM_RSA_PKCS_PSS, pss), private, &[0; 16]), Err(CKR_MECHANISM_PARAM_INVALID));
}

/// R93: without the policy none of them is listed, described or begun, and no key of DES comes to be.
#[test]
fn without_the_policy_there_is_nothing_of_it() {
    if is_on() {
        return;
    }
    let session = user_session("sound");
    let slot = session.get_session_info().unwrap().slot_id().id();
    assert!(listed(&session).iter().all(|(kind, _)| !LEGACY.contains(kind)));
    let client = Client { session };
    let handle = client.session.handle();
    let aes = wrapper(&client, 16);
    for kind in LEGACY {
        let mut info = CK_MECHANISM_INFO { ulMinKeySize: 0, ulMaxKeySize: 0, flags: 0 };
        assert_eq!(call!(C_GetMechanismInfo(slot, kind, &mut info)), CKR_MECHANISM_INVALID, "{kind:x}");
        let (mut how, mut key) = (mechanism(kind), 0);
        let refusals = [
            call!(C_GenerateKey(handle, &mut how, null_mut(), 0, &mut key)),
            call!(C_EncryptInit(handle, &mut how, aes)),
            call!(C_DecryptInit(handle, &mut how, aes)),
            call!(C_SignInit(handle, &mut how, aes)),
            call!(C_VerifyInit(handle, &mut how, aes)),
            call!(C_MessageSignInit(handle, &mut how, aes)),
            call!(C_DigestInit(handle, &mut how)),
        ];
        assert_eq!(refusals, [CKR_MECHANISM_INVALID; 7], "{kind:x}");
    }
    let wrapped = {
        let key =
            client.create(&with(open_secret(CKK_GENERIC_SECRET), [bytes(CKA_VALUE, &[1; 24])])).unwrap();
        client.wrap(&plain(CKM_AES_KEY_WRAP), aes, key).unwrap()
    };
    for (kind, _, len) in KEYS {
        let brought = with(open_secret(kind), [bytes(CKA_VALUE, &vec![1; len])]);
        assert_eq!(client.create(&brought), Err(CKR_ATTRIBUTE_VALUE_INVALID));
        let unwrapped = client.unwrap(&plain(CKM_AES_KEY_WRAP), aes, &wrapped, &open_secret(kind));
        assert_eq!(unwrapped, Err(CKR_TEMPLATE_INCONSISTENT));
    }
}

/// R93: pkcs11-tool makes a key of triple DES and hashes by MD5 under the policy; without it the key is still seen.
#[test]
fn pkcs11_tool_has_what_the_policy_gives() {
    let home = Home::with_token("old");
    std::fs::write(home.path("conf"), "legacy = true\n").unwrap();
    std::fs::write(home.path("clear"), b"abc").unwrap();
    let tool = |legacy: bool, arguments: &[&str]| {
        let mut tool = home.command("pkcs11-tool");
        if legacy {
            tool.env("CANIS_PKCS11_CONF", home.path("conf"));
        }
        tool.arg("--module").arg(crate::harness::library()).args(["--login", "--pin", "1234"]);
        let output = tool.args(arguments).output().unwrap();
        (output.status.success(), said(&output))
    };
    let make = ["--keygen", "--key-type", "DES3:24", "--label", "des", "--id", "01"];
    let hash = ["--hash", "--mechanism", "MD5", "-i", "clear", "-o", "digest"];
    assert!(!tool(false, &make).0 && !tool(false, &hash).0);
    let (made, text) = tool(true, &make);
    assert!(made && text.contains("des"), "{text}");
    let (hashed, text) = tool(true, &hash);
    assert!(hashed, "{text}");
    assert_eq!(std::fs::read(home.path("digest")).unwrap(), hex("900150983cd24fb0d6963f7d28e17f72"));
    assert!(tool(true, &["-M"]).1.contains("DES3-CBC-PAD") && !tool(false, &["-M"]).1.contains("DES3"));
    assert!(tool(false, &["-O"]).1.contains("des"));
}
