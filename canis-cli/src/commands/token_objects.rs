//! The objects of another PKCS#11 token, read as far as it lets them go, in the words of the core.

use canis_core::crypto::KeyWrap;
use canis_core::crypto::private_parts::PrivateParts;
use canis_core::crypto::public_parts::PublicParts;
use canis_core::default_provider;
use canis_core::format::{self, Checked, Given};
use canis_core::object::{Class, Content, KeyFacts};
use canis_core::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, Family, KeyFormat, KeyType, Result, Usage};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{
    Attribute, AttributeType, CertificateType, KeyType as TokenKeyType, ObjectClass, ObjectHandle,
};
use cryptoki::session::Session;

/// The length of the AES key that keys leave under, in bytes.
const WRAPPER: usize = 32;
/// CK_UNAVAILABLE_INFORMATION.
const NO_MECHANISM: u64 = u64::MAX;

/// Attributes that are kept as they are, with their numbers (PKCS#11 3.1, section 4).
const KEPT: [(AttributeType, u64); 8] = [
    (AttributeType::Application, 0x10),
    (AttributeType::Value, 0x11),
    (AttributeType::ObjectId, 0x12),
    (AttributeType::Issuer, 0x81),
    (AttributeType::SerialNumber, 0x82),
    (AttributeType::Subject, 0x101),
    (AttributeType::StartDate, 0x110),
    (AttributeType::EndDate, 0x111),
];
const CKA_CERTIFICATE_TYPE: u64 = 0x80;

/// Usage bits and the attributes that say them.
const USAGE: [(AttributeType, Usage); 7] = [
    (AttributeType::Encrypt, Usage::ENCRYPT),
    (AttributeType::Decrypt, Usage::DECRYPT),
    (AttributeType::Sign, Usage::SIGN),
    (AttributeType::Verify, Usage::VERIFY),
    (AttributeType::Wrap, Usage::WRAP),
    (AttributeType::Unwrap, Usage::UNWRAP),
    (AttributeType::Derive, Usage::DERIVE),
];

/// CKA_EC_PARAMS of the curves there are: named, or for RFC 8032 and RFC 7748 also as a printable name.
const CURVES: [(&[u8], KeyType); 6] = [
    (&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], KeyType::EcdsaP256),
    (&[6, 5, 0x2b, 0x81, 4, 0, 0x22], KeyType::EcdsaP384),
    (&[6, 5, 0x2b, 0x81, 4, 0, 0x23], KeyType::EcdsaP521),
    (&[6, 5, 0x2b, 0x81, 4, 0, 0x0a], KeyType::EcdsaSecp256k1),
    (&[6, 3, 0x2b, 0x65, 0x70], KeyType::Ed25519),
    (b"\x13\x0cedwards25519", KeyType::Ed25519),
];

/// What came out of the token.
pub(super) enum Taken {
    /// A secret or private key.
    Key(PrivateParts, Content),
    /// A public key, a certificate or a data object.
    Public(Content),
}

impl Taken {
    pub(super) fn content(&self) -> &Content {
        match self {
            Taken::Key(_, content) | Taken::Public(content) => content,
        }
    }
}

/// Every token object that the session sees: a name for people, and the object or why it stays.
pub(super) fn take(session: &Session) -> Result<Vec<(String, Result<Taken>)>> {
    let wrapper = Wrapper::new(session)?;
    let mut taken = Vec::new();
    for (class, theirs, noun) in [
        (Class::PrivateKey, ObjectClass::PRIVATE_KEY, "private key"),
        (Class::SecretKey, ObjectClass::SECRET_KEY, "secret key"),
        (Class::PublicKey, ObjectClass::PUBLIC_KEY, "public key"),
        (Class::Certificate, ObjectClass::CERTIFICATE, "certificate"),
        (Class::Data, ObjectClass::DATA, "data object"),
    ] {
        let wanted = [Attribute::Token(true), Attribute::Class(theirs)];
        for handle in session.find_objects(&wanted).map_err(|e| stays(&e))? {
            let object = Described { session, handle };
            let label = String::from_utf8_lossy(&object.bytes(AttributeType::Label)).into_owned();
            let id = base16ct::lower::encode_string(&object.bytes(AttributeType::Id));
            taken.push((format!("{noun} `{label}` (id {id})"), object.taken(class, &wrapper)));
        }
    }
    Ok(taken)
}

fn stays(error: &cryptoki::error::Error) -> Error {
    Error::new(ErrorCode::OperationNotAllowed, format!("its token does not let it go: {error}"))
}

/// An AES key that both sides know, for this session only.
struct Wrapper {
    key: SecretBytes,
    handle: ObjectHandle,
}

impl Wrapper {
    fn new(session: &Session) -> Result<Self> {
        let key = SecretBytes::filled(WRAPPER, |out| default_provider().random.fill(out))?;
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(TokenKeyType::AES),
            Attribute::Token(false),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Wrap(true),
            Attribute::Value(key.expose().to_vec()),
        ];
        let handle = session.create_object(&template).map_err(|e| stays(&e))?;
        Ok(Wrapper { key, handle })
    }

    /// The bytes of a key, or its PKCS#8.
    fn take(&self, session: &Session, key: ObjectHandle) -> Result<SecretBytes> {
        let wrapped = session.wrap_key(&Mechanism::AesKeyWrapPad, self.handle, key).map_err(|e| stays(&e))?;
        default_provider().cipher.aes(self.key.expose())?.unwrap_key(KeyWrap::Kwp, &wrapped)
    }
}

/// An object of the other token, and what it says of itself.
struct Described<'a> {
    session: &'a Session,
    handle: ObjectHandle,
}

impl Described<'_> {
    fn attribute(&self, kind: AttributeType) -> Option<Attribute> {
        self.session.get_attributes(self.handle, &[kind]).ok().and_then(|mut found| found.pop())
    }

    fn flag(&self, kind: AttributeType) -> bool {
        use Attribute as A;
        matches!(
            self.attribute(kind),
            Some(
                A::Private(true)
                    | A::Modifiable(true)
                    | A::Copyable(true)
                    | A::Destroyable(true)
                    | A::Sensitive(true)
                    | A::Extractable(true)
                    | A::Encrypt(true)
                    | A::Decrypt(true)
                    | A::Sign(true)
                    | A::Verify(true)
                    | A::Wrap(true)
                    | A::Unwrap(true)
                    | A::Derive(true)
            )
        )
    }

    fn bytes(&self, kind: AttributeType) -> Vec<u8> {
        use Attribute as A;
        match self.attribute(kind) {
            Some(
                A::Label(b)
                | A::Id(b)
                | A::Value(b)
                | A::Issuer(b)
                | A::SerialNumber(b)
                | A::Subject(b)
                | A::Application(b)
                | A::ObjectId(b)
                | A::EcParams(b)
                | A::EcPoint(b)
                | A::Modulus(b)
                | A::PublicExponent(b),
            ) => b,
            _ => Vec::new(),
        }
    }

    fn taken(&self, class: Class, wrapper: &Wrapper) -> Result<Taken> {
        match class {
            Class::PrivateKey | Class::SecretKey => {
                let (kind, parts) = self.material(class, wrapper)?;
                Ok(Taken::Key(parts, self.content(class, Some((kind, Vec::new())))))
            }
            Class::PublicKey => {
                let public = self.public()?;
                let (kind, spki) = (public.kind()?, public.to_spki()?);
                Ok(Taken::Public(self.content(class, Some((kind, spki)))))
            }
            _ => Ok(Taken::Public(self.content(class, None))),
        }
    }

    fn material(&self, class: Class, wrapper: &Wrapper) -> Result<(KeyType, PrivateParts)> {
        if !self.flag(AttributeType::Extractable) {
            return Err(Error::new(ErrorCode::KeyNotExportable, "its CKA_EXTRACTABLE is false"));
        }
        let bytes = wrapper.take(self.session, self.handle)?;
        let bytes = match class {
            Class::PrivateKey => unfilled(&bytes, der_len(bytes.expose())),
            _ => unfilled(&bytes, self.value_len()),
        };
        let given = match (class, self.attribute(AttributeType::KeyType)) {
            (Class::PrivateKey, _) => format::decode(KeyFormat::Pkcs8, KeyType::EcdsaP256, bytes.expose())?,
            (_, Some(Attribute::KeyType(TokenKeyType::AES))) => secret(
                match bytes.len() {
                    16 => KeyType::Aes128,
                    24 => KeyType::Aes192,
                    _ => KeyType::Aes256,
                },
                &bytes,
            )?,
            (_, Some(Attribute::KeyType(TokenKeyType::GENERIC_SECRET))) => secret(KeyType::Generic, &bytes)?,
            _ => return Err(Error::new(ErrorCode::InvalidKeyType, "CANIS has no type for its CKA_KEY_TYPE")),
        };
        match given.check(default_provider())? {
            Checked::Whole { kind, material, .. } => {
                Ok((kind, PrivateParts::of_material(kind, material.expose())?))
            }
            Checked::Public { .. } => Err(Error::internal("a private key came out as a public one")),
        }
    }

    fn value_len(&self) -> Option<usize> {
        match self.attribute(AttributeType::ValueLen) {
            Some(Attribute::ValueLen(len)) => usize::try_from(u64::from(len)).ok(),
            _ => None,
        }
    }

    fn public(&self) -> Result<PublicParts> {
        let modulus = self.bytes(AttributeType::Modulus);
        if !modulus.is_empty() {
            let exponent = self.bytes(AttributeType::PublicExponent);
            return Ok(PublicParts::Rsa { modulus, exponent });
        }
        let (params, point) = (self.bytes(AttributeType::EcParams), self.bytes(AttributeType::EcPoint));
        let curve = CURVES.iter().find(|(known, _)| *known == params).map(|(_, curve)| *curve);
        let curve =
            curve.ok_or_else(|| Error::new(ErrorCode::InvalidKeyType, "CANIS has no type for its curve"))?;
        // CKA_EC_POINT is an OCTET STRING around the point; some tokens leave it out.
        let point = match &point[..] {
            [4, 0x81, len, inner @ ..] if usize::from(*len) == inner.len() => inner.to_vec(),
            [4, len, inner @ ..] if usize::from(*len) == inner.len() => inner.to_vec(),
            _ => point,
        };
        match <[u8; 32]>::try_from(point.as_slice()) {
            Ok(point) if curve.family() == Family::Edwards => Ok(PublicParts::Edwards { point }),
            _ => Ok(PublicParts::Ec { curve, point }),
        }
    }

    fn content(&self, class: Class, key: Option<(KeyType, Vec<u8>)>) -> Content {
        let secret = class.is_secret();
        let usage = USAGE.iter().filter(|(kind, _)| self.flag(*kind));
        let usage = usage.fold(Usage::NONE, |all, (_, usage)| all.with(*usage));
        let key = key.map(|(kind, spki)| KeyFacts {
            kind,
            usage: usage.intersect(class.possible_usage(kind)),
            trusted: false,
            sensitive: secret && self.flag(AttributeType::Sensitive),
            always_sensitive: false,
            extractable: !secret || self.flag(AttributeType::Extractable),
            never_extractable: false,
            local: false,
            always_authenticate: false,
            wrap_with_trusted: false,
            by_api: false,
            from_kdf: false,
            mechanism: NO_MECHANISM,
            spki,
        });
        Content {
            class,
            private: self.flag(AttributeType::Private),
            modifiable: self.flag(AttributeType::Modifiable),
            copyable: true,
            destroyable: true,
            label: self.bytes(AttributeType::Label),
            id: self.bytes(AttributeType::Id),
            attributes: self.kept(class),
            key,
        }
    }

    fn kept(&self, class: Class) -> Vec<(u64, Vec<u8>)> {
        // CKA_VALUE of a key is its material.
        let wanted = KEPT.iter().filter(|(kind, _)| *kind != AttributeType::Value || !is_key(class));
        let mut kept: Vec<_> = wanted
            .map(|(kind, number)| (*number, self.bytes(*kind)))
            .filter(|(_, v)| !v.is_empty())
            .collect();
        if let Some(Attribute::CertificateType(CertificateType::X_509)) =
            self.attribute(AttributeType::CertificateType)
        {
            kept.push((CKA_CERTIFICATE_TYPE, 0u64.to_ne_bytes().to_vec()));
        }
        kept.sort();
        kept
    }
}

/// SoftHSM2 fills keys up to whole eights with zeros before it wraps them, though the wrapping pads by itself.
fn unfilled(bytes: &SecretBytes, len: Option<usize>) -> SecretBytes {
    let bytes = bytes.expose();
    let filled = len.is_some_and(|len| {
        len.next_multiple_of(8) == bytes.len() && bytes[len..].iter().all(|filler| *filler == 0)
    });
    SecretBytes::copied_from(if filled { &bytes[..len.unwrap_or(bytes.len())] } else { bytes })
}

/// How long the DER that begins here says it is.
fn der_len(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [0x30, len @ 0..=0x7f, ..] => Some(2 + usize::from(*len)),
        [0x30, 0x81, len, ..] => Some(3 + usize::from(*len)),
        [0x30, 0x82, high, low, ..] => Some(4 + usize::from(u16::from_be_bytes([*high, *low]))),
        _ => None,
    }
}

fn is_key(class: Class) -> bool {
    class.is_secret() || class == Class::PublicKey
}

fn secret(kind: KeyType, bytes: &SecretBytes) -> Result<Given> {
    format::decode(KeyFormat::Raw, kind, bytes.expose())
}
