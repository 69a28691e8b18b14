//! Which attributes new objects have, what they are by default, and how a user may change them.
//!
//! Every change is tried on an object of its own, since a change may forbid the next.

use crate::names;
use crate::provider::{Provider, call};
use crate::table::{ABSENT, Row};
use cryptoki_sys::{CKA_PARAMETER_SET, CKM_ML_DSA_KEY_PAIR_GEN, CKP_ML_DSA_44};
use pkcs11_sys::*;
use std::ptr::null_mut;

const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// The DER of a name without parts.
const EMPTY_NAME: &[u8] = &[0x30, 0];

/// The public and the private half.
type Pair = (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE);

/// A class of objects, as a part of the page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Data,
    Certificate,
    Public,
    Private,
    Secret,
}

/// Every class, with the name of its part of the page.
pub(crate) const CLASSES: &[(Class, &str)] = &[
    (Class::Data, "data"),
    (Class::Certificate, "certificates"),
    (Class::Public, "public keys"),
    (Class::Private, "private keys"),
    (Class::Secret, "secret keys"),
];

/// Where objects are made.
pub(crate) struct Workshop<'a> {
    pub(crate) provider: &'a Provider,
    pub(crate) session: CK_SESSION_HANDLE,
    /// An X.509 certificate, DER.
    pub(crate) certificate: &'a [u8],
    /// Pairs that stay, RSA and, where there is such a thing, ML-DSA: an RSA key takes long to make.
    others: Vec<Pair>,
}

/// The rows of a class's table.
pub(crate) fn rows(class: Class, ours: &Workshop<'_>, theirs: Option<&Workshop<'_>>) -> Vec<Row> {
    let row = |(kind, name): &(CK_ATTRIBUTE_TYPE, &str)| Row {
        name: (*name).to_owned(),
        ours: ours.look(class, *kind),
        theirs: theirs.map_or(ABSENT.to_owned(), |other| other.look(class, *kind)),
    };
    let known = |row: &Row| row.ours != ABSENT || row.theirs != ABSENT;
    names::ATTRIBUTES.iter().map(row).filter(known).collect()
}

impl<'a> Workshop<'a> {
    pub(crate) fn new(provider: &'a Provider, session: CK_SESSION_HANDLE, certificate: &'a [u8]) -> Self {
        let mut shop = Workshop { provider, session, certificate, others: Vec::new() };
        let (bits, set) = ((2048 as CK_ULONG).to_ne_bytes(), CKP_ML_DSA_44.to_ne_bytes());
        let rsa = shop.pair(CKM_RSA_PKCS_KEY_PAIR_GEN, CKA_MODULUS_BITS, &bits);
        let ml_dsa = shop.try_pair(CKM_ML_DSA_KEY_PAIR_GEN, CKA_PARAMETER_SET, &set);
        shop.others = std::iter::once(rsa).chain(ml_dsa).collect();
        shop
    }

    /// The cell of an attribute. Keys are on P-256, but for what only RSA or ML-DSA keys have.
    fn look(&self, class: Class, kind: CK_ATTRIBUTE_TYPE) -> String {
        let object = self.make(class);
        let cell = match self.read(object, kind) {
            Ok(value) => self.cell(object, kind, value),
            Err(CKR_ATTRIBUTE_SENSITIVE) => "hidden".to_owned(),
            Err(_) => self.look_at_others(class, kind).unwrap_or_else(|| ABSENT.to_owned()),
        };
        call!(self.provider, C_DestroyObject(self.session, object));
        cell
    }

    fn look_at_others(&self, class: Class, kind: CK_ATTRIBUTE_TYPE) -> Option<String> {
        self.others.iter().find_map(|(public, private)| {
            let key = match class {
                Class::Public => *public,
                Class::Private => *private,
                Class::Data | Class::Certificate | Class::Secret => return None,
            };
            match self.read(key, kind) {
                Ok(value) => Some(self.cell(key, kind, value)),
                Err(CKR_ATTRIBUTE_SENSITIVE) => Some("hidden".to_owned()),
                Err(_) => None,
            }
        })
    }

    fn cell(&self, object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE, value: Vec<u8>) -> String {
        let shown = match value.as_slice() {
            [] => "empty",
            [CK_FALSE] => "false",
            [CK_TRUE] => "true",
            _ => "a value",
        };
        let changes = match value.as_slice() {
            [flag @ (CK_FALSE | CK_TRUE)] => {
                let there = self.write(object, kind, &[1 - flag]);
                let back = there && self.write(object, kind, &[*flag]);
                if back {
                    ", changes"
                } else if there {
                    ", changes once"
                } else {
                    ""
                }
            }
            same => {
                if self.write(object, kind, same) {
                    ", changes"
                } else {
                    ""
                }
            }
        };
        format!("{shown}{changes}")
    }

    fn make(&self, class: Class) -> CK_OBJECT_HANDLE {
        match class {
            Class::Data => self.create(&[(CKA_CLASS, &CKO_DATA.to_ne_bytes())]),
            Class::Certificate => self.create(&[
                (CKA_CLASS, &CKO_CERTIFICATE.to_ne_bytes()),
                (CKA_CERTIFICATE_TYPE, &CKC_X_509.to_ne_bytes()),
                (CKA_SUBJECT, EMPTY_NAME),
                (CKA_VALUE, self.certificate),
            ]),
            Class::Public => self.pair(CKM_EC_KEY_PAIR_GEN, CKA_EC_PARAMS, P256).0,
            Class::Private => self.pair(CKM_EC_KEY_PAIR_GEN, CKA_EC_PARAMS, P256).1,
            Class::Secret => self.secret(),
        }
    }

    fn create(&self, given: &[(CK_ATTRIBUTE_TYPE, &[u8])]) -> CK_OBJECT_HANDLE {
        let (mut template, mut object) = (template(given), 0);
        let (at, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
        assert_eq!(call!(self.provider, C_CreateObject(self.session, at, count, &mut object)), CKR_OK);
        object
    }

    fn secret(&self) -> CK_OBJECT_HANDLE {
        let len = (32 as CK_ULONG).to_ne_bytes();
        let (mut mechanism, mut template, mut key) =
            (mechanism(CKM_AES_KEY_GEN), template(&[(CKA_VALUE_LEN, &len)]), 0);
        let at = template.as_mut_ptr();
        let rv = call!(self.provider, C_GenerateKey(self.session, &mut mechanism, at, 1, &mut key));
        assert_eq!(rv, CKR_OK);
        key
    }

    fn pair(&self, kind: CK_MECHANISM_TYPE, named: CK_ATTRIBUTE_TYPE, by: &[u8]) -> Pair {
        self.try_pair(kind, named, by).unwrap()
    }

    fn try_pair(&self, kind: CK_MECHANISM_TYPE, named: CK_ATTRIBUTE_TYPE, by: &[u8]) -> Option<Pair> {
        let (mut mechanism, mut template) = (mechanism(kind), template(&[(named, by)]));
        let (mut public, mut private, at) = (0, 0, template.as_mut_ptr());
        let made = call!(
            self.provider,
            C_GenerateKeyPair(self.session, &mut mechanism, at, 1, null_mut(), 0, &mut public, &mut private)
        );
        (made == CKR_OK).then_some((public, private))
    }

    fn read(&self, object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> Result<Vec<u8>, CK_RV> {
        let mut wanted = CK_ATTRIBUTE { type_: kind, pValue: null_mut(), ulValueLen: 0 };
        match call!(self.provider, C_GetAttributeValue(self.session, object, &mut wanted, 1)) {
            CKR_OK => {}
            rv => return Err(rv),
        }
        let mut value = vec![0_u8; wanted.ulValueLen as usize];
        wanted.pValue = value.as_mut_ptr().cast();
        match call!(self.provider, C_GetAttributeValue(self.session, object, &mut wanted, 1)) {
            CKR_OK => Ok(value),
            rv => Err(rv),
        }
    }

    fn write(&self, object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE, value: &[u8]) -> bool {
        let mut wanted = template(&[(kind, value)]);
        call!(self.provider, C_SetAttributeValue(self.session, object, wanted.as_mut_ptr(), 1)) == CKR_OK
    }
}

/// Attributes that point into what was given.
fn template(given: &[(CK_ATTRIBUTE_TYPE, &[u8])]) -> Vec<CK_ATTRIBUTE> {
    let attribute = |(kind, value): &(CK_ATTRIBUTE_TYPE, &[u8])| CK_ATTRIBUTE {
        type_: *kind,
        pValue: value.as_ptr().cast_mut().cast(),
        ulValueLen: value.len() as CK_ULONG,
    };
    given.iter().map(attribute).collect()
}

fn mechanism(kind: CK_MECHANISM_TYPE) -> CK_MECHANISM {
    CK_MECHANISM { mechanism: kind, pParameter: null_mut(), ulParameterLen: 0 }
}
