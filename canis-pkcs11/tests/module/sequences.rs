//! Random sequences of calls, right and wrong: nothing crashes, no defect is reported, and an operation is active exactly
//! when the standard says so. `PROPTEST_CASES` sets how many are tried.

use crate::every_mechanism::listed;
use crate::harness::user_session;
use crate::keys;
use crate::raw::{attribute, call};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::Session;
use pkcs11_sys::*;
use proptest::prelude::*;
use std::ptr::null_mut;

/// What operations there are.
const KINDS: [&str; 5] = ["encrypt", "decrypt", "digest", "sign", "verify"];

/// What fits together, by operation: a mechanism, the place of a key among those of the test, the kind of parameter. These
/// are tried more often than chance would, so that many sequences get somewhere.
const FITTING: [&[(CK_MECHANISM_TYPE, usize, u8)]; KINDS.len()] = [
    &[(CKM_AES_ECB, 6, 0), (CKM_AES_CBC_PAD, 6, 1), (CKM_AES_GCM, 6, 3), (CKM_RSA_PKCS, 0, 0)],
    &[(CKM_AES_CBC, 6, 1), (CKM_AES_CBC_PAD, 6, 1), (CKM_AES_GCM, 6, 3), (CKM_RSA_PKCS, 1, 0)],
    &[(CKM_SHA256, 0, 0), (CKM_SHA3_512, 0, 0)],
    &[(CKM_RSA_PKCS, 1, 0), (CKM_ECDSA_SHA256, 3, 0), (CKM_EDDSA, 5, 0), (CKM_SHA256_HMAC, 7, 0)],
    &[(CKM_RSA_PKCS_PSS, 0, 2), (CKM_ECDSA_SHA256, 2, 0), (CKM_EDDSA, 4, 0), (CKM_AES_CMAC, 6, 0)],
];

/// A call: which operation, which function of it, and choices that each function reads in its own way.
#[derive(Clone, Debug)]
struct Step {
    kind: usize,
    function: usize,
    choices: [u8; 4],
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..KINDS.len(), 0..8usize, any::<[u8; 4]>());
    prop::collection::vec(step.prop_map(|(kind, function, choices)| Step { kind, function, choices }), 1..120)
}

/// The model: which operations are active in the session.
struct Run<'a> {
    session: &'a Session,
    keys: Vec<CK_OBJECT_HANDLE>,
    mechanisms: Vec<CK_MECHANISM_TYPE>,
    active: [bool; KINDS.len()],
    /// How many operations were done to their end.
    done: usize,
}

/// Memory that every call may read or write.
struct Memory {
    input: [u8; 300],
    output: [u8; 700],
    len: CK_ULONG,
}

impl Memory {
    /// Input and output as `choices` wants them, wrong ones among them.
    fn new(choices: [u8; 4]) -> Self {
        let len = [0, 1, 16, 64, 256, 700][usize::from(choices[1]) % 6];
        Memory { input: [choices[3]; 300], output: [0; 700], len }
    }

    fn input(&mut self, choices: [u8; 4]) -> (*mut CK_BYTE, CK_ULONG) {
        let at = self.input.as_mut_ptr();
        match choices[0] % 9 {
            0 => (null_mut(), 0),
            1 => (at, 0),
            2 => (null_mut(), 5),
            3 => (at, CK_ULONG::MAX),
            4 => (at, 16),
            5 => (at, 17),
            6 => (at, 32),
            7 => (at, 256),
            _ => (at, 300),
        }
    }

    fn output(&mut self, choices: [u8; 4]) -> (*mut CK_BYTE, *mut CK_ULONG) {
        match choices[2] % 6 {
            0 => (null_mut(), &mut self.len),
            1 => (self.output.as_mut_ptr(), null_mut()),
            _ => (self.output.as_mut_ptr(), &mut self.len),
        }
    }
}

impl Run<'_> {
    fn step(&mut self, step: &Step) {
        let (kind, choices) = (step.kind, step.choices);
        match step.function {
            0 | 1 => self.init(kind, choices),
            2 => self.part(kind, choices),
            3 | 4 => self.end(kind, choices, true),
            5 => self.end(kind, choices, false),
            6 => self.cancel(kind, choices),
            _ => self.around(choices),
        }
    }

    /// C_…Init with a mechanism and key of any kind, and a parameter that fits or not.
    fn init(&mut self, kind: usize, choices: [u8; 4]) {
        let handle = self.session.handle();
        let fitting = FITTING[kind][usize::from(choices[0]) % FITTING[kind].len()];
        let (mechanism, key, parameter) = match choices[3] % 4 {
            0 => {
                let mechanism = self.mechanisms[usize::from(choices[0]) % self.mechanisms.len()];
                (mechanism, usize::from(choices[1]), choices[2] % 5)
            }
            _ => fitting,
        };
        let key = self.keys[key % self.keys.len()];
        let (mut block, mut pss) = (
            [7u8; 64],
            CK_RSA_PKCS_PSS_PARAMS { hashAlg: CKM_SHA256, mgf: CKG_MGF1_SHA256, sLen: choices[3].into() },
        );
        let mut gcm = CK_GCM_PARAMS {
            pIv: block.as_mut_ptr(),
            ulIvLen: (choices[3] % 32).into(),
            ulIvBits: 0,
            pAAD: null_mut(),
            ulAADLen: 0,
            ulTagBits: 128,
        };
        let (at, len): (CK_VOID_PTR, usize) = match parameter {
            0 => (null_mut(), 0),
            1 => (block.as_mut_ptr().cast(), 16),
            2 => ((&raw mut pss).cast(), size_of_val(&pss)),
            3 => ((&raw mut gcm).cast(), size_of_val(&gcm)),
            _ => (block.as_mut_ptr().cast(), 8),
        };
        let mut how = CK_MECHANISM { mechanism, pParameter: at, ulParameterLen: len as CK_ULONG };
        let rv = match KINDS[kind] {
            "encrypt" => call!(C_EncryptInit(handle, &mut how, key)),
            "decrypt" => call!(C_DecryptInit(handle, &mut how, key)),
            "digest" => call!(C_DigestInit(handle, &mut how)),
            "sign" => call!(C_SignInit(handle, &mut how, key)),
            _ => call!(C_VerifyInit(handle, &mut how, key)),
        };
        check(rv);
        if self.active[kind] {
            assert_ne!(rv, CKR_OK, "a second {} was begun", KINDS[kind]);
        }
        self.active[kind] |= rv == CKR_OK;
    }

    fn part(&mut self, kind: usize, choices: [u8; 4]) {
        let handle = self.session.handle();
        let mut memory = Memory::new(choices);
        let (at, size) = memory.input(choices);
        let (out, len) = memory.output(choices);
        let rv = match KINDS[kind] {
            "encrypt" => call!(C_EncryptUpdate(handle, at, size, out, len)),
            "decrypt" => call!(C_DecryptUpdate(handle, at, size, out, len)),
            "digest" => call!(C_DigestUpdate(handle, at, size)),
            "sign" => call!(C_SignUpdate(handle, at, size)),
            _ => call!(C_VerifyUpdate(handle, at, size)),
        };
        self.settle(kind, rv, rv == CKR_OK);
    }

    /// The one-piece call, or the end of many parts.
    fn end(&mut self, kind: usize, choices: [u8; 4], whole: bool) {
        let handle = self.session.handle();
        let mut memory = Memory::new(choices);
        let (at, size) = memory.input(choices);
        let (out, len) = memory.output(choices);
        let (signature, signature_len) = (out, memory.len);
        let rv = match (KINDS[kind], whole) {
            ("encrypt", true) => call!(C_Encrypt(handle, at, size, out, len)),
            ("encrypt", false) => call!(C_EncryptFinal(handle, out, len)),
            ("decrypt", true) => call!(C_Decrypt(handle, at, size, out, len)),
            ("decrypt", false) => call!(C_DecryptFinal(handle, out, len)),
            ("digest", true) => call!(C_Digest(handle, at, size, out, len)),
            ("digest", false) => call!(C_DigestFinal(handle, out, len)),
            ("sign", true) => call!(C_Sign(handle, at, size, out, len)),
            ("sign", false) => call!(C_SignFinal(handle, out, len)),
            (_, true) => call!(C_Verify(handle, at, size, signature, signature_len)),
            (_, false) => call!(C_VerifyFinal(handle, signature, signature_len)),
        };
        self.done += usize::from(self.active[kind] && rv == CKR_OK && !out.is_null());
        let asked = out.is_null() && KINDS[kind] != "verify";
        self.settle(kind, rv, rv == CKR_OK && asked);
    }

    /// C_…Init without a mechanism, or C_SessionCancel.
    fn cancel(&mut self, kind: usize, choices: [u8; 4]) {
        let handle = self.session.handle();
        if choices[0].is_multiple_of(2) {
            let flag = [CKF_ENCRYPT, CKF_DECRYPT, CKF_DIGEST, CKF_SIGN, CKF_VERIFY][kind];
            assert_eq!(call!(C_SessionCancel(handle, flag)), CKR_OK);
        } else {
            let rv = match KINDS[kind] {
                "encrypt" => call!(C_EncryptInit(handle, null_mut(), 0)),
                "decrypt" => call!(C_DecryptInit(handle, null_mut(), 0)),
                "digest" => call!(C_DigestInit(handle, null_mut())),
                "sign" => call!(C_SignInit(handle, null_mut(), 0)),
                _ => call!(C_VerifyInit(handle, null_mut(), 0)),
            };
            assert_eq!(rv, if self.active[kind] { CKR_OK } else { CKR_ARGUMENTS_BAD });
        }
        self.active[kind] = false;
    }

    /// Calls that no operation may be disturbed by.
    fn around(&mut self, choices: [u8; 4]) {
        let handle = self.session.handle();
        let key = self.keys[usize::from(choices[1]) % self.keys.len()];
        let mut memory = Memory::new(choices);
        let (mut flag, mut out) = (choices[3] % 3, 0);
        let kind = [CKA_ENCRYPT, CKA_SIGN, CKA_LABEL, CKA_VALUE, CKA_MODULUS][usize::from(choices[3]) % 5];
        let mut template = attribute(kind, &mut flag);
        check(match choices[0] % 6 {
            0 => call!(C_GetAttributeValue(handle, key, &mut template, 1)),
            1 => call!(C_FindObjectsInit(handle, &mut template, (choices[2] % 2).into())),
            2 => call!(C_FindObjects(handle, &mut out, 1, &mut memory.len)),
            3 => call!(C_FindObjectsFinal(handle)),
            4 => call!(C_GetObjectSize(handle, key, &mut memory.len)),
            _ => call!(C_GenerateRandom(handle, memory.output.as_mut_ptr(), 64)),
        });
    }

    /// Compares the answer with the model: whoever is not active is told so, everybody else goes on only after a
    /// length query or a buffer that was too small.
    fn settle(&mut self, kind: usize, rv: CK_RV, goes_on: bool) {
        check(rv);
        if !self.active[kind] {
            assert_eq!(rv, CKR_OPERATION_NOT_INITIALIZED, "{}", KINDS[kind]);
        }
        self.active[kind] &= goes_on || rv == CKR_BUFFER_TOO_SMALL;
    }
}

/// No sequence of calls may find a defect or break the token.
fn check(rv: CK_RV) {
    for never in
        [CKR_GENERAL_ERROR, CKR_FUNCTION_FAILED, CKR_DEVICE_ERROR, CKR_DEVICE_MEMORY, CKR_HOST_MEMORY]
    {
        assert_ne!(rv, never);
    }
}

#[test]
fn any_sequence_of_calls_keeps_to_the_standard() {
    let session = user_session("sequences");
    let pair = |pair: keys::Pair| [pair.public.handle(), pair.private.handle()];
    let secret = session.generate_key(&Mechanism::GenericSecretKeyGen, &[Attribute::ValueLen(40.into())]);
    let own = [keys::aes(&session, 16).handle(), secret.unwrap().handle(), 0, CK_ULONG::MAX];
    let pairs = [pair(keys::rsa(&session, 2048)), pair(keys::p256(&session)), pair(keys::ed25519(&session))];
    let keys: Vec<_> = pairs.concat().into_iter().chain(own).collect();
    // Others read a parameter as a structure with pointers, which the ones tried here are not.
    let tried = CKF_ENCRYPT | CKF_DIGEST | CKF_SIGN;
    let listed = listed(&session).into_iter().filter(|(_, flags)| flags & tried != 0);
    let mut mechanisms: Vec<_> = listed.map(|(kind, _)| kind).collect();
    mechanisms.push(CKM_VENDOR_DEFINED);

    let done = std::cell::Cell::new(0);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in steps())| {
        let mut run = Run { session: &session, keys: keys.clone(), mechanisms: mechanisms.clone(), active: [false; 5], done: 0 };
        for step in &steps {
            run.step(step);
        }
        for kind in 0..KINDS.len() {
            run.cancel(kind, [0; 4]);
        }
        done.set(done.get() + run.done);
        let _ = call!(C_FindObjectsFinal(session.handle()));
    });
    assert!(done.get() > 50, "hardly anything was done: {}", done.get());
}
