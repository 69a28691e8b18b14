//! The key in the token that signs the files of the audit log: found or made, and used. P-256, because tokens have it, and
//! because what it signs is small.

use super::library::{Failure, failed, unavailable};
use super::token::TokenName;
use crate::secret::SecretBytes;
use canis_proto::fields::Fields;
use canis_proto::value::{Map, Value};
use canis_proto::{Error, Result};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

/// The OBJECT IDENTIFIER of P-256, DER (RFC 5480, section 2.1.1.1).
const P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// How many public halves are shown. There is one, or two if two servers made their first one at once.
const MOST: usize = 8;

/// What is to be signed, and by which key.
pub(in crate::root) struct ToSign {
    /// CKA_LABEL of both halves.
    pub(in crate::root) label: String,
    /// CKA_ID of both.
    pub(in crate::root) id: Vec<u8>,
    /// A SHA-256.
    pub(in crate::root) digest: Vec<u8>,
}

/// A signature, and the public halves that stand under the key's name.
pub(in crate::root) struct SignedInside {
    /// r and s, 32 bytes each.
    pub(in crate::root) signature: Vec<u8>,
    /// Points, uncompressed (SEC 1, section 2.3.3).
    pub(in crate::root) points: Vec<Vec<u8>>,
}

impl ToSign {
    /// The bytes that go from the program to its helper.
    pub(super) fn encode(&self) -> Vec<u8> {
        let map = Map::new().with("digest", self.digest.as_slice()).with("id", self.id.as_slice());
        map.with("label", self.label.as_str()).encode()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut fields = Fields::new("what an HSM is to sign", Map::decode(bytes)?);
        let (digest, id) = (fields.required("digest")?, fields.required("id")?);
        let asked = ToSign { label: fields.required("label")?, id, digest };
        fields.finish()?;
        Ok(asked)
    }

    /// Signs with the key, which is made if it is not there.
    pub(super) fn sign(&self, session: &Session, name: &TokenName) -> Result<SecretBytes, Failure> {
        let key = match self.find(session, name, ObjectClass::PRIVATE_KEY)?.first() {
            Some(key) => self.check(session, name, *key)?,
            None => self.generate(session, name)?,
        };
        let signed = session.sign(&Mechanism::Ecdsa, key, &self.digest);
        let signature = signed
            .map_err(|error| failed(format_args!("{name} does not sign with {}", self.label), &error))?;
        let points = self.points(session, name)?;
        let points = points.iter().map(|point| Value::from(point.as_slice())).collect();
        let answer = Map::new().with("points", Value::Array(points)).with("signature", &*signature);
        Ok(SecretBytes::taken_from(answer.encode()))
    }

    fn named(&self, attributes: &[Attribute]) -> Vec<Attribute> {
        let names = [Attribute::Label(self.label.as_bytes().to_vec()), Attribute::Id(self.id.clone())];
        [&[Attribute::Token(true)], &names[..], attributes].concat()
    }

    fn find(
        &self,
        session: &Session,
        name: &TokenName,
        class: ObjectClass,
    ) -> Result<Vec<ObjectHandle>, Failure> {
        let template = self.named(&[Attribute::Class(class), Attribute::KeyType(KeyType::EC)]);
        let found = session.find_objects(&template);
        found.map_err(|error| failed(format_args!("{name} cannot be searched for {}", self.label), &error))
    }

    /// A key that was there already must never be able to leave the token.
    fn check(&self, session: &Session, name: &TokenName, key: ObjectHandle) -> Result<ObjectHandle, Failure> {
        let asked = [AttributeType::Sensitive, AttributeType::Extractable];
        let found = session.get_attributes(key, &asked);
        let found =
            found.map_err(|error| failed(format_args!("{name} does not describe {}", self.label), &error))?;
        if [Attribute::Sensitive(true), Attribute::Extractable(false)].iter().all(|one| found.contains(one)) {
            return Ok(key);
        }
        let why = format!(
            "key {} on {name} can leave the token; remove it, so that another one is made",
            self.label
        );
        Err(unavailable(why).into())
    }

    fn generate(&self, session: &Session, name: &TokenName) -> Result<ObjectHandle, Failure> {
        let public = self.named(&[Attribute::Verify(true), Attribute::EcParams(P256.to_vec())]);
        let private = self.named(&[
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ]);
        let made = session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private);
        let made =
            made.map_err(|error| failed(format_args!("{name} makes no P-256 key {}", self.label), &error))?;
        Ok(made.1)
    }

    fn points(&self, session: &Session, name: &TokenName) -> Result<Vec<Vec<u8>>, Failure> {
        let mut points = Vec::new();
        for object in self.find(session, name, ObjectClass::PUBLIC_KEY)?.into_iter().take(MOST) {
            let found = session.get_attributes(object, &[AttributeType::EcPoint]);
            let found =
                found.map_err(|error| failed(format_args!("{name} does not show {}", self.label), &error))?;
            points.extend(found.into_iter().filter_map(|attribute| match attribute {
                Attribute::EcPoint(point) => Some(bare(point)),
                _ => None,
            }));
        }
        Ok(points)
    }
}

/// The point without the OCTET STRING around it, which not every token writes (PKCS#11 3.0, section 2.3.3).
fn bare(point: Vec<u8>) -> Vec<u8> {
    match point.strip_prefix(&[4, 65]) {
        Some(inside) if inside.len() == 65 => inside.to_vec(),
        _ => point,
    }
}

impl SignedInside {
    /// What the helper has answered.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut fields = Fields::new("the helper's answer", Map::decode(bytes)?);
        let points: Vec<Value<'_>> = fields.required("points")?;
        let points = points.into_iter().map(|point| match point {
            Value::Bytes(point) => Ok(point.into_owned()),
            _ => Err(Error::internal("what the helper says of a public key is not understood")),
        });
        Ok(SignedInside { points: points.collect::<Result<_>>()?, signature: fields.required("signature")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_back() {
        let asked = ToSign { label: "a".into(), id: vec![1; 16], digest: vec![2; 32] };
        let read = ToSign::decode(&asked.encode()).unwrap();
        assert_eq!((read.label, read.id, read.digest), (asked.label, asked.id, asked.digest));
    }

    #[test]
    fn points_are_bare() {
        let point = [&[4][..], &[7; 64]].concat();
        assert_eq!(bare([&[4, 65][..], &point].concat()), point);
        assert_eq!(bare(point.clone()), point);
    }
}
