//! A client that says exactly what it is told to: mechanisms and templates as the structures of the standard, answers as
//! CK_RV. For what the client crate has no words for.

use crate::harness::user_session;
use crate::raw::{call, call_3_2};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use pkcs11_sys::*;
use std::ptr::null_mut;

pub(crate) type Answer<T> = Result<T, CK_RV>;

/// A R/W session with a token of its own, logged in as user.
pub(crate) struct Client {
    pub(crate) session: Session,
}

/// An attribute of a template.
pub(crate) type Given = (CK_ATTRIBUTE_TYPE, Vec<u8>);

pub(crate) fn yes(kind: CK_ATTRIBUTE_TYPE) -> Given {
    (kind, vec![CK_TRUE])
}

pub(crate) fn no(kind: CK_ATTRIBUTE_TYPE) -> Given {
    (kind, vec![CK_FALSE])
}

pub(crate) fn number(kind: CK_ATTRIBUTE_TYPE, value: CK_ULONG) -> Given {
    (kind, value.to_ne_bytes().to_vec())
}

pub(crate) fn bytes(kind: CK_ATTRIBUTE_TYPE, value: &[u8]) -> Given {
    (kind, value.to_vec())
}

/// A secret key of a type.
pub(crate) fn secret(kind: CK_KEY_TYPE) -> Vec<Given> {
    vec![number(CKA_CLASS, CKO_SECRET_KEY), number(CKA_KEY_TYPE, kind)]
}

/// The same, to be read.
pub(crate) fn open_secret(kind: CK_KEY_TYPE) -> Vec<Given> {
    with(secret(kind), [no(CKA_SENSITIVE), yes(CKA_EXTRACTABLE)])
}

pub(crate) fn with(mut template: Vec<Given>, more: impl IntoIterator<Item = Given>) -> Vec<Given> {
    template.extend(more);
    template
}

/// A mechanism with its parameter.
pub(crate) struct How<T> {
    kind: CK_MECHANISM_TYPE,
    pub(crate) parameter: Option<T>,
}

pub(crate) const fn plain(kind: CK_MECHANISM_TYPE) -> How<()> {
    How { kind, parameter: None }
}

pub(crate) fn how<T>(kind: CK_MECHANISM_TYPE, parameter: T) -> How<T> {
    How { kind, parameter: Some(parameter) }
}

impl<T> How<T> {
    fn raw(&self) -> CK_MECHANISM {
        let at = self.parameter.as_ref().map_or(null_mut(), |p| std::ptr::from_ref(p).cast_mut().cast());
        let len = self.parameter.as_ref().map_or(0, size_of_val);
        CK_MECHANISM { mechanism: self.kind, pParameter: at, ulParameterLen: len as CK_ULONG }
    }
}

pub(crate) fn gcm(iv: &[u8], aad: &[u8]) -> How<CK_GCM_PARAMS> {
    how(
        CKM_AES_GCM,
        CK_GCM_PARAMS {
            pIv: iv.as_ptr().cast_mut(),
            ulIvLen: iv.len() as CK_ULONG,
            ulIvBits: 8 * iv.len() as CK_ULONG,
            pAAD: aad.as_ptr().cast_mut(),
            ulAADLen: aad.len() as CK_ULONG,
            ulTagBits: 128,
        },
    )
}

/// AES-GCM whose IV the module draws and writes into `iv`.
pub(crate) fn gcm_drawn(iv: &mut [u8; 12]) -> How<CK_GCM_PARAMS> {
    iv.fill(0);
    let mut how = gcm(&[], b"");
    if let Some(parameter) = &mut how.parameter {
        (parameter.pIv, parameter.ulIvLen, parameter.ulIvBits) = (iv.as_mut_ptr(), 12, 96);
    }
    how
}

pub(crate) fn oaep_sha256() -> CK_RSA_PKCS_OAEP_PARAMS {
    CK_RSA_PKCS_OAEP_PARAMS {
        hashAlg: CKM_SHA256,
        mgf: CKG_MGF1_SHA256,
        source: CKZ_DATA_SPECIFIED,
        pSourceData: null_mut(),
        ulSourceDataLen: 0,
    }
}

fn attributes(template: &[Given]) -> Vec<CK_ATTRIBUTE> {
    let raw = |(kind, value): &Given| CK_ATTRIBUTE {
        type_: *kind,
        pValue: value.as_ptr().cast_mut().cast(),
        ulValueLen: value.len() as CK_ULONG,
    };
    template.iter().map(raw).collect()
}

/// A handle, of the client crate or bare.
pub(crate) struct Named(CK_OBJECT_HANDLE);

impl From<CK_OBJECT_HANDLE> for Named {
    fn from(handle: CK_OBJECT_HANDLE) -> Self {
        Named(handle)
    }
}

impl From<ObjectHandle> for Named {
    fn from(object: ObjectHandle) -> Self {
        Named(object.handle())
    }
}

/// A template as the other header has it.
pub(crate) fn as_newest(template: &[Given]) -> Vec<cryptoki_sys::CK_ATTRIBUTE> {
    let newest = |a: CK_ATTRIBUTE| cryptoki_sys::CK_ATTRIBUTE {
        type_: a.type_,
        pValue: a.pValue,
        ulValueLen: a.ulValueLen,
    };
    attributes(template).into_iter().map(newest).collect()
}

fn ml_kem() -> cryptoki_sys::CK_MECHANISM {
    let mechanism = cryptoki_sys::CKM_ML_KEM;
    cryptoki_sys::CK_MECHANISM { mechanism, pParameter: null_mut(), ulParameterLen: 0 }
}

fn answer<T>(rv: CK_RV, value: T) -> Answer<T> {
    if rv == CKR_OK { Ok(value) } else { Err(rv) }
}

/// Calls twice: for the length, then for the bytes.
fn sized(mut call: impl FnMut(*mut CK_BYTE, *mut CK_ULONG) -> CK_RV) -> Answer<Vec<u8>> {
    let mut len = 0;
    answer(call(null_mut(), &mut len), ())?;
    let mut out = vec![0; len as usize];
    let rv = call(out.as_mut_ptr(), &mut len);
    out.truncate(len as usize);
    answer(rv, out)
}

impl Client {
    pub(crate) fn new(label: &str) -> Self {
        Client { session: user_session(label) }
    }

    fn handle(&self) -> CK_SESSION_HANDLE {
        self.session.handle()
    }

    pub(crate) fn create(&self, template: &[Given]) -> Answer<CK_OBJECT_HANDLE> {
        let (mut raw, mut key) = (attributes(template), 0);
        let rv = call!(C_CreateObject(self.handle(), raw.as_mut_ptr(), raw.len() as CK_ULONG, &mut key));
        answer(rv, key)
    }

    pub(crate) fn copy(&self, object: CK_OBJECT_HANDLE, template: &[Given]) -> Answer<CK_OBJECT_HANDLE> {
        let (mut raw, mut key) = (attributes(template), 0);
        let rv =
            call!(C_CopyObject(self.handle(), object, raw.as_mut_ptr(), raw.len() as CK_ULONG, &mut key));
        answer(rv, key)
    }

    pub(crate) fn generate<T>(&self, how: &How<T>, template: &[Given]) -> Answer<CK_OBJECT_HANDLE> {
        let (mut mechanism, mut raw, mut key) = (how.raw(), attributes(template), 0);
        let count = raw.len() as CK_ULONG;
        let rv = call!(C_GenerateKey(self.handle(), &mut mechanism, raw.as_mut_ptr(), count, &mut key));
        answer(rv, key)
    }

    /// An AES key.
    pub(crate) fn aes(&self, len: CK_ULONG, more: &[Given]) -> CK_OBJECT_HANDLE {
        let template = with(vec![number(CKA_VALUE_LEN, len)], more.iter().cloned());
        self.generate(&plain(CKM_AES_KEY_GEN), &template).unwrap()
    }

    /// A pair: the public and the private key.
    pub(crate) fn pair(
        &self,
        kind: CK_MECHANISM_TYPE,
        public: &[Given],
        private: &[Given],
    ) -> (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE) {
        let (mut mechanism, mut public, mut private) =
            (plain(kind).raw(), attributes(public), attributes(private));
        let (mut open, mut own) = (0, 0);
        let rv = call!(C_GenerateKeyPair(
            self.handle(),
            &mut mechanism,
            public.as_mut_ptr(),
            public.len() as CK_ULONG,
            private.as_mut_ptr(),
            private.len() as CK_ULONG,
            &mut open,
            &mut own,
        ));
        assert_eq!(rv, CKR_OK);
        (open, own)
    }

    pub(crate) fn wrap<T>(
        &self,
        how: &How<T>,
        wrapper: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
    ) -> Answer<Vec<u8>> {
        let mut mechanism = how.raw();
        sized(|at, len| call!(C_WrapKey(self.handle(), &mut mechanism, wrapper, key, at, len)))
    }

    pub(crate) fn unwrap<T>(
        &self,
        how: &How<T>,
        unwrapper: CK_OBJECT_HANDLE,
        wrapped: &[u8],
        template: &[Given],
    ) -> Answer<CK_OBJECT_HANDLE> {
        let (mut mechanism, mut raw, mut key) = (how.raw(), attributes(template), 0);
        let rv = call!(C_UnwrapKey(
            self.handle(),
            &mut mechanism,
            unwrapper,
            wrapped.as_ptr().cast_mut(),
            wrapped.len() as CK_ULONG,
            raw.as_mut_ptr(),
            raw.len() as CK_ULONG,
            &mut key,
        ));
        answer(rv, key)
    }

    pub(crate) fn derive<T>(
        &self,
        how: &How<T>,
        base: CK_OBJECT_HANDLE,
        template: &[Given],
    ) -> Answer<CK_OBJECT_HANDLE> {
        let (mut mechanism, mut raw, mut key) = (how.raw(), attributes(template), 0);
        let count = raw.len() as CK_ULONG;
        let rv = call!(C_DeriveKey(self.handle(), &mut mechanism, base, raw.as_mut_ptr(), count, &mut key));
        answer(rv, key)
    }

    /// By ML-KEM: the ciphertext and the secret key.
    pub(crate) fn encapsulate(
        &self,
        public: impl Into<Named>,
        template: &[Given],
    ) -> Answer<(Vec<u8>, CK_OBJECT_HANDLE)> {
        let (mut mechanism, mut raw, mut key) = (ml_kem(), as_newest(template), 0);
        let (public, at, count) = (public.into().0, raw.as_mut_ptr(), raw.len() as CK_ULONG);
        let made = sized(|out, len| {
            call_3_2!(C_EncapsulateKey(self.handle(), &mut mechanism, public, at, count, out, len, &mut key))
        });
        made.map(|ciphertext| (ciphertext, key))
    }

    pub(crate) fn decapsulate(
        &self,
        private: impl Into<Named>,
        ciphertext: &[u8],
        template: &[Given],
    ) -> Answer<CK_OBJECT_HANDLE> {
        let (mut mechanism, mut raw, mut key) = (ml_kem(), as_newest(template), 0);
        let (input, len) = (ciphertext.as_ptr().cast_mut(), ciphertext.len() as CK_ULONG);
        let rv = call_3_2!(C_DecapsulateKey(
            self.handle(),
            &mut mechanism,
            private.into().0,
            raw.as_mut_ptr(),
            raw.len() as CK_ULONG,
            input,
            len,
            &mut key,
        ));
        answer(rv, key)
    }

    pub(crate) fn encrypt<T>(&self, how: &How<T>, key: CK_OBJECT_HANDLE, data: &[u8]) -> Answer<Vec<u8>> {
        let mut mechanism = how.raw();
        answer(call!(C_EncryptInit(self.handle(), &mut mechanism, key)), ())?;
        let (input, count) = (data.as_ptr().cast_mut(), data.len() as CK_ULONG);
        sized(|at, len| call!(C_Encrypt(self.handle(), input, count, at, len)))
    }

    pub(crate) fn decrypt<T>(&self, how: &How<T>, key: CK_OBJECT_HANDLE, data: &[u8]) -> Answer<Vec<u8>> {
        let mut mechanism = how.raw();
        answer(call!(C_DecryptInit(self.handle(), &mut mechanism, key)), ())?;
        let (input, count) = (data.as_ptr().cast_mut(), data.len() as CK_ULONG);
        sized(|at, len| call!(C_Decrypt(self.handle(), input, count, at, len)))
    }

    pub(crate) fn sign<T>(&self, how: &How<T>, key: CK_OBJECT_HANDLE, data: &[u8]) -> Answer<Vec<u8>> {
        let mut mechanism = how.raw();
        answer(call!(C_SignInit(self.handle(), &mut mechanism, key)), ())?;
        let (input, count) = (data.as_ptr().cast_mut(), data.len() as CK_ULONG);
        sized(|at, len| call!(C_Sign(self.handle(), input, count, at, len)))
    }

    pub(crate) fn digest(&self, kind: CK_MECHANISM_TYPE, data: &[u8]) -> Answer<Vec<u8>> {
        answer(call!(C_DigestInit(self.handle(), &mut plain(kind).raw())), ())?;
        let (input, count) = (data.as_ptr().cast_mut(), data.len() as CK_ULONG);
        sized(|at, len| call!(C_Digest(self.handle(), input, count, at, len)))
    }

    /// The objects that fit a template.
    pub(crate) fn find(&self, template: &[Given]) -> Vec<CK_OBJECT_HANDLE> {
        let (mut raw, mut found, mut count) = (attributes(template), [0; 16], 0);
        let len = raw.len() as CK_ULONG;
        assert_eq!(call!(C_FindObjectsInit(self.handle(), raw.as_mut_ptr(), len)), CKR_OK);
        assert_eq!(call!(C_FindObjects(self.handle(), found.as_mut_ptr(), 16, &mut count)), CKR_OK);
        assert_eq!(call!(C_FindObjectsFinal(self.handle())), CKR_OK);
        found[..count as usize].to_vec()
    }

    /// One attribute.
    pub(crate) fn read(&self, object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> Answer<Vec<u8>> {
        let mut out = vec![0; 8192];
        let len = out.len() as CK_ULONG;
        let mut raw = CK_ATTRIBUTE { type_: kind, pValue: out.as_mut_ptr().cast(), ulValueLen: len };
        let rv = call!(C_GetAttributeValue(self.handle(), object, &mut raw, 1));
        answer(rv, ())?;
        out.truncate(raw.ulValueLen as usize);
        Ok(out)
    }

    /// One attribute that is a boolean.
    pub(crate) fn is(&self, object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> bool {
        self.read(object, kind).unwrap() == [CK_TRUE]
    }

    pub(crate) fn set(&self, object: CK_OBJECT_HANDLE, template: &[Given]) -> Answer<()> {
        let mut raw = attributes(template);
        let rv = call!(C_SetAttributeValue(self.handle(), object, raw.as_mut_ptr(), raw.len() as CK_ULONG));
        answer(rv, ())
    }
}
