//! What a host asks for, and the lines of it.

use crate::client::{Answer, Client, bytes, gcm, how, no, number, open_secret, plain, secret, with, yes};
use crate::harness::{PIN, is_remote, module, pin};
use crate::raw::{call, mechanism};
use canis_tests::AuditLog;
use cryptoki::session::UserType;
use cryptoki_sys::{CKA_PARAMETER_SET, CKM_ML_KEM_KEY_PAIR_GEN, CKP_ML_KEM_768};
use pkcs11_sys::*;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::ptr::null_mut;

/// P-256, DER (RFC 5480).
const P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// The PINs that are set here are long enough to be looked for.
const NEW_PIN: &str = "another-user-pin";

/// Operations of applications that have no function of their own here: `token.role` and `object.end-session` are asked when a
/// server is there that knows sessions, `application.end` when the process ends.
const ELSEWHERE: [&str; 4] = ["token.role", "object.end-session", "application.end", "token.delete"];

struct Host {
    client: Client,
    log: AuditLog,
    seen: BTreeSet<String>,
}

/// What a use must say of sizes.
type Sizes = (Option<u64>, Option<u64>);

impl Host {
    /// Does something, and looks at the lines of `operation` that it left: the last one has these sizes.
    fn leaves<T>(&mut self, operation: &str, sizes: Sizes, work: impl FnOnce(&Client) -> T) -> T {
        self.log.news();
        let done = work(&self.client);
        let news = self.log.news();
        let own: Vec<&Value> = news.iter().filter(|line| line["op"] == operation).collect();
        let Some(line) = own.last() else { panic!("{operation} left no line: {news:?}") };
        for line in &own {
            check(line);
        }
        assert_eq!((line["in"].as_u64(), line["out"].as_u64()), sizes, "{line}");
        let uses = [
            "object.sign",
            "object.verify",
            "object.encrypt",
            "object.decrypt",
            "object.recover",
            "object.wrap",
            "object.encapsulate",
            "object.decapsulate",
        ];
        if uses.contains(&operation) {
            assert!(line["key"].is_string() && line["version"].is_u64(), "{line}");
        }
        self.seen.extend(news.iter().filter_map(|line| line["op"].as_str().map(str::to_owned)));
        done
    }
}

/// Who, when, by which door, on what, how it ended, how long it took.
fn check(line: &Value) {
    let door = if is_remote() { "pkcs11-remote" } else { "pkcs11" };
    assert_eq!((&line["door"], &line["result"]), (&door.into(), &"ok".into()), "{line}");
    assert_eq!(line["from"], "local", "{line}");
    assert!(["user", "pin"].contains(&line["by"].as_str().unwrap()), "{line}");
    assert!(line["tenant"].is_string() && line["on"].is_string() && line["user"].is_u64(), "{line}");
    assert!(line["seq"].as_u64().unwrap() > 0 && line["micros"].is_u64(), "{line}");
    assert!(line["time"].as_str().is_some_and(|time| time.len() == 27), "{line}");
    assert_eq!(line["mac"].as_str().unwrap().len(), 64, "{line}");
}

/// R87: each operation of an application, by the function that asks for it.
#[test]
fn every_function_leaves_its_line() {
    let settings = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(settings.path(), "audit = \"all\"\n").unwrap();
    // SAFETY: this process has no other thread yet that reads the environment.
    unsafe { std::env::set_var("CANIS_PKCS11_CONF", settings.path()) };
    let client = Client::new("audited");
    let data = PathBuf::from(std::env::var_os("CANIS_DATA").unwrap());
    let mut log = AuditLog::of(&data);
    // Making the token and its PINs stands there already.
    let seen = log.news().iter().filter_map(|line| line["op"].as_str().map(str::to_owned)).collect();
    let mut host = Host { client, log, seen };
    host.makes_and_uses_a_pair();
    host.uses_secret_keys();
    host.moves_keys();
    host.keeps_objects();
    host.changes_pins();
    for row in canis_proto::operation::TABLE {
        let own = row.name.starts_with("object.") || row.name.starts_with("token.");
        assert!(
            !own || ELSEWHERE.contains(&row.name) || host.seen.contains(row.name),
            "{} was not asked",
            row.name
        );
    }
    host.log.hides_all();
}

impl Host {
    fn makes_and_uses_a_pair(&mut self) {
        let message = b"a message that nobody may read".to_vec();
        self.log.hide("a message", &message);
        let own = [yes(CKA_TOKEN), yes(CKA_SIGN), yes(CKA_ALWAYS_AUTHENTICATE)];
        let open = [bytes(CKA_EC_PARAMS, &P256), yes(CKA_TOKEN), yes(CKA_VERIFY)];
        let (_, strict) =
            self.leaves("object.generate", (None, None), |c| c.pair(CKM_EC_KEY_PAIR_GEN, &open, &own));
        let digest = [7; 32];
        let confirmed = |c: &Client| {
            let session = c.session.handle();
            assert_eq!(call!(C_SignInit(session, &mut mechanism(CKM_ECDSA), strict)), CKR_OK);
            c.session.login(UserType::ContextSpecific, Some(&pin(PIN))).unwrap();
            let (mut digest, mut signature, mut len) = (digest, [0; 64], 64);
            call!(C_Sign(session, digest.as_mut_ptr(), 32, signature.as_mut_ptr(), &mut len))
        };
        assert_eq!(self.leaves("object.sign", (Some(32), Some(64)), confirmed), CKR_OK);
        let modulus = number(CKA_MODULUS_BITS, 2048);
        let public = [modulus, yes(CKA_TOKEN), yes(CKA_VERIFY), yes(CKA_VERIFY_RECOVER), yes(CKA_PRIVATE)];
        let private = [yes(CKA_TOKEN), yes(CKA_SIGN), yes(CKA_SIGN_RECOVER)];
        let (open, own) = self.client.pair(CKM_RSA_PKCS_KEY_PAIR_GEN, &public, &private);
        let signature = self
            .leaves("object.sign", (Some(30), Some(256)), |c| c.sign(&plain(CKM_RSA_PKCS), own, &message));
        let mut signature = signature.unwrap();
        let recovered = |c: &Client| {
            let session = c.session.handle();
            assert_eq!(call!(C_VerifyRecoverInit(session, &mut mechanism(CKM_RSA_PKCS), open)), CKR_OK);
            let (mut out, mut len) = ([0; 256], 256);
            call!(C_VerifyRecover(session, signature.as_mut_ptr(), 256, out.as_mut_ptr(), &mut len))
        };
        assert_eq!(self.leaves("object.recover", (Some(256), Some(30)), recovered), CKR_OK);
    }

    fn uses_secret_keys(&mut self) {
        let plaintext = b"a plaintext that nobody may read".to_vec();
        let (iv, aad) = ([7; 12], b"associated data that is a context");
        self.log.hide("a plaintext", &plaintext);
        self.log.hide("a context", aad);
        let key = self.client.aes(32, &[yes(CKA_TOKEN), yes(CKA_ENCRYPT), yes(CKA_DECRYPT)]);
        let sealed = self
            .leaves("object.encrypt", (Some(32), Some(48)), |c| c.encrypt(&gcm(&iv, aad), key, &plaintext));
        let sealed = sealed.unwrap();
        let opened =
            self.leaves("object.decrypt", (Some(48), Some(32)), |c| c.decrypt(&gcm(&iv, aad), key, &sealed));
        assert_eq!(opened.unwrap(), plaintext);
        let mac = with(vec![number(CKA_VALUE_LEN, 32)], [yes(CKA_TOKEN), yes(CKA_SIGN), yes(CKA_VERIFY)]);
        let mac = self.client.generate(&plain(CKM_GENERIC_SECRET_KEY_GEN), &mac).unwrap();
        let how = plain(CKM_SHA256_HMAC);
        let mut tag =
            self.leaves("object.sign", (Some(32), Some(32)), |c| c.sign(&how, mac, &plaintext)).unwrap();
        let verified = |c: &Client| {
            let session = c.session.handle();
            assert_eq!(call!(C_VerifyInit(session, &mut mechanism(CKM_SHA256_HMAC), mac)), CKR_OK);
            call!(C_Verify(session, plaintext.as_ptr().cast_mut(), 32, tag.as_mut_ptr(), 32))
        };
        assert_eq!(self.leaves("object.verify", (Some(32), None), verified), CKR_OK);
    }

    fn moves_keys(&mut self) {
        let value = b"the 32 bytes of a key, secret :)".to_vec();
        self.log.hide("a key", &value);
        let brought = with(open_secret(CKK_AES), [yes(CKA_TOKEN), bytes(CKA_VALUE, &value), yes(CKA_DERIVE)]);
        let brought = self.leaves("object.import", (Some(32), None), |c| c.create(&brought)).unwrap();
        let read = self.leaves("object.export", (None, Some(32)), |c| c.read(brought, CKA_VALUE)).unwrap();
        assert_eq!(read, value);
        let wrapper = self
            .client
            .aes(32, &[yes(CKA_TOKEN), yes(CKA_WRAP), yes(CKA_UNWRAP), no(CKA_ENCRYPT), no(CKA_DECRYPT)]);
        let by_aes = plain(CKM_AES_KEY_WRAP);
        let wrapped =
            self.leaves("object.wrap", (None, Some(40)), |c| c.wrap(&by_aes, wrapper, brought)).unwrap();
        let inside = with(secret(CKK_AES), [yes(CKA_TOKEN), yes(CKA_EXTRACTABLE)]);
        let came = |c: &Client| c.unwrap(&by_aes, wrapper, &wrapped, &inside);
        self.leaves("object.unwrap", (Some(40), None), came).unwrap();
        let derived = with(secret(CKK_AES), [yes(CKA_TOKEN), number(CKA_VALUE_LEN, 32)]);
        let base = with(vec![number(CKA_VALUE_LEN, 32)], [yes(CKA_TOKEN), yes(CKA_DERIVE)]);
        let base = self.client.generate(&plain(CKM_HKDF_KEY_GEN), &base).unwrap();
        let parameter = CK_HKDF_PARAMS {
            bExtract: CK_TRUE,
            bExpand: CK_TRUE,
            prfHashMechanism: CKM_SHA256,
            ulSaltType: CKF_HKDF_SALT_NULL,
            pSalt: null_mut(),
            ulSaltLen: 0,
            hSaltKey: 0,
            pInfo: null_mut(),
            ulInfoLen: 0,
        };
        let how = how(CKM_HKDF_DERIVE, parameter);
        self.leaves("object.derive", (None, None), |c| c.derive(&how, base, &derived).unwrap());
        self.leaves("object.copy", (None, None), |c| c.copy(brought, &[bytes(CKA_LABEL, b"copy")])).unwrap();
        self.leaves("object.destroy", (None, None), |c| call!(C_DestroyObject(c.session.handle(), brought)));
        self.shares_secrets();
        self.derives_from_a_password();
    }

    /// The ciphertexts are counted; the secrets are not there.
    fn shares_secrets(&mut self) {
        let public = [number(CKA_PARAMETER_SET, CKP_ML_KEM_768), yes(CKA_TOKEN)];
        let (public, private) = self.client.pair(CKM_ML_KEM_KEY_PAIR_GEN, &public, &[yes(CKA_TOKEN)]);
        let open = with(open_secret(CKK_GENERIC_SECRET), [yes(CKA_TOKEN)]);
        let made = |c: &Client| c.encapsulate(public, &open).unwrap();
        let (ciphertext, made) = self.leaves("object.encapsulate", (None, Some(1088)), made);
        let opened = |c: &Client| c.decapsulate(private, &ciphertext, &open).unwrap();
        let opened = self.leaves("object.decapsulate", (Some(1088), None), opened);
        let secret = self.client.read(opened, CKA_VALUE).unwrap();
        self.log.hide("a shared secret", &secret);
        assert_eq!(self.client.read(made, CKA_VALUE), Ok(secret));
    }

    fn derives_from_a_password(&mut self) {
        let (password, salt) = (b"a password that nobody may read", [7_u8; 16]);
        self.log.hide("a password", password);
        let mut len = password.len() as CK_ULONG;
        let mut parameter = CK_PKCS5_PBKD2_PARAMS {
            saltSource: CKZ_SALT_SPECIFIED,
            pSaltSourceData: salt.as_ptr().cast_mut().cast(),
            ulSaltSourceDataLen: 16,
            iterations: 1000,
            prf: CKP_PKCS5_PBKD2_HMAC_SHA256,
            pPrfData: null_mut(),
            ulPrfDataLen: 0,
            pPassword: password.as_ptr().cast_mut(),
            ulPasswordLen: &mut len,
        };
        let made = |c: &Client| -> Answer<CK_OBJECT_HANDLE> {
            let kind = CKM_PKCS5_PBKD2;
            let mut mechanism = CK_MECHANISM {
                mechanism: kind,
                pParameter: std::ptr::from_mut(&mut parameter).cast(),
                ulParameterLen: size_of::<CK_PKCS5_PBKD2_PARAMS>() as CK_ULONG,
            };
            let (mut yes, mut len, mut kind, mut key) = (CK_TRUE, 32 as CK_ULONG, CKK_AES, 0);
            let attribute = |type_, value: *mut std::ffi::c_void, len| CK_ATTRIBUTE {
                type_,
                pValue: value,
                ulValueLen: len,
            };
            let mut template = [
                attribute(CKA_TOKEN, std::ptr::from_mut(&mut yes).cast(), 1),
                attribute(
                    CKA_VALUE_LEN,
                    std::ptr::from_mut(&mut len).cast(),
                    size_of::<CK_ULONG>() as CK_ULONG,
                ),
                attribute(
                    CKA_KEY_TYPE,
                    std::ptr::from_mut(&mut kind).cast(),
                    size_of::<CK_ULONG>() as CK_ULONG,
                ),
            ];
            let rv =
                call!(C_GenerateKey(c.session.handle(), &mut mechanism, template.as_mut_ptr(), 3, &mut key));
            if rv == CKR_OK { Ok(key) } else { Err(rv) }
        };
        self.leaves("object.derive-password", (None, None), made).unwrap();
    }

    fn keeps_objects(&mut self) {
        let data = b"a data object that is private".to_vec();
        self.log.hide("a data object", &data);
        let template =
            [number(CKA_CLASS, CKO_DATA), yes(CKA_TOKEN), yes(CKA_PRIVATE), bytes(CKA_VALUE, &data)];
        let object =
            self.leaves("object.create", (Some(data.len() as u64), None), |c| c.create(&template)).unwrap();
        self.leaves("object.update", (None, None), |c| c.set(object, &[bytes(CKA_LABEL, b"note")])).unwrap();
        let found = self.leaves("object.find", (None, None), |c| c.find(&[bytes(CKA_LABEL, b"note")]));
        assert_eq!(found.len(), 1);
    }

    fn changes_pins(&mut self) {
        self.log.hide("the new PIN", NEW_PIN.as_bytes());
        self.leaves("token.change-pin", (None, None), |c| c.session.set_pin(&pin(PIN), &pin(NEW_PIN)))
            .unwrap();
        self.leaves("token.logout", (None, None), |c| c.session.logout()).unwrap();
        self.leaves("token.login", (None, None), |c| c.session.login(UserType::User, Some(&pin(NEW_PIN))))
            .unwrap();
        module().get_all_slots().unwrap();
    }
}
