//! Anchors as the helper sees them: private data objects of the token under one label. What is written in them is the
//! program's business.

use super::library::{Failure, failed};
use super::token::TokenName;
use crate::secret::SecretBytes;
use canis_proto::fields::Fields;
use canis_proto::value::{Map, Value};
use canis_proto::{Error, Result};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

/// How many objects are looked at. There is one, or two for a moment; whoever can fill the token could also delete them.
const MOST: usize = 64;
/// The longest value that is handed on; more is no anchor.
const LONGEST: usize = 512;

/// A data object to be written, and those that it stands for from then on.
pub(in crate::root) struct NewAnchor {
    /// CKA_LABEL.
    pub(in crate::root) label: String,
    /// CKA_VALUE.
    pub(in crate::root) value: Vec<u8>,
    /// The values of objects under this label that go.
    pub(in crate::root) outworn: Vec<Vec<u8>>,
}

impl NewAnchor {
    /// The bytes that go from the program to its helper.
    pub(super) fn encode(&self) -> Vec<u8> {
        Map::new()
            .with("label", self.label.as_str())
            .with("outworn", values(&self.outworn))
            .with("value", self.value.as_slice())
            .encode()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut fields = Fields::new("an anchor", Map::decode(bytes)?);
        let anchor = NewAnchor {
            label: fields.required("label")?,
            value: fields.required("value")?,
            outworn: read_values(fields.required("outworn")?)?,
        };
        fields.finish()?;
        Ok(anchor)
    }

    /// Writes it, then lets go of the outworn, so that there is never none. May be asked twice.
    pub(super) fn write(&self, session: &Session, name: &TokenName) -> Result<(), Failure> {
        let there = objects(session, name, &self.label)?;
        if !there.iter().any(|(_, value)| *value == self.value) {
            let template = [
                Attribute::Class(ObjectClass::DATA),
                Attribute::Token(true),
                Attribute::Private(true),
                Attribute::Application(b"CANIS".to_vec()),
                Attribute::Label(self.label.as_bytes().to_vec()),
                Attribute::Value(self.value.clone()),
            ];
            session.create_object(&template).map_err(|error| {
                failed(format_args!("{name} takes no data object {}", self.label), &error)
            })?;
        }
        for (object, value) in there {
            if value != self.value && self.outworn.contains(&value) {
                gone(session.destroy_object(object)).map_err(|error| {
                    failed(format_args!("{name} does not let go of a data object {}", self.label), &error)
                })?;
            }
        }
        Ok(())
    }
}

/// Another server that shares the token may have been first.
fn gone(destroyed: Result<(), Pkcs11Error>) -> Result<(), Pkcs11Error> {
    match destroyed {
        Err(Pkcs11Error::Pkcs11(RvError::ObjectHandleInvalid, _)) => Ok(()),
        other => other,
    }
}

/// The values of the token's data objects under `label`, as they go to the program.
pub(super) fn read(session: &Session, name: &TokenName, label: &str) -> Result<SecretBytes, Failure> {
    let found: Vec<Vec<u8>> = objects(session, name, label)?.into_iter().map(|(_, value)| value).collect();
    Ok(SecretBytes::taken_from(Map::new().with("values", values(&found)).encode()))
}

/// What [`read`] has written.
pub(super) fn decode_values(bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut fields = Fields::new("the helper's answer", Map::decode(bytes)?);
    read_values(fields.required("values")?)
}

fn values(values: &[Vec<u8>]) -> Value<'_> {
    Value::Array(values.iter().map(|value| Value::from(value.as_slice())).collect())
}

fn read_values(values: Vec<Value<'_>>) -> Result<Vec<Vec<u8>>> {
    let bytes = |value: Value<'_>| match value {
        Value::Bytes(bytes) => Ok(bytes.into_owned()),
        _ => Err(Error::internal("what goes between program and helper about anchors is not understood")),
    };
    values.into_iter().map(bytes).collect()
}

/// The objects and their values; empty for one whose value is not to be had, or is too long.
fn objects(
    session: &Session,
    name: &TokenName,
    label: &str,
) -> Result<Vec<(ObjectHandle, Vec<u8>)>, Failure> {
    let template = [
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    let unreadable = |error| failed(format_args!("{name} does not show its data objects {label}"), &error);
    let found = session.find_objects(&template).map_err(unreadable)?;
    let mut objects = Vec::new();
    for object in found.into_iter().take(MOST) {
        let mut attributes = match session.get_attributes(object, &[AttributeType::Value]) {
            Ok(attributes) => attributes,
            // Another server has let go of it meanwhile.
            Err(Pkcs11Error::Pkcs11(RvError::ObjectHandleInvalid, _)) => continue,
            Err(error) => return Err(unreadable(error)),
        };
        let value = match attributes.pop() {
            Some(Attribute::Value(value)) if value.len() <= LONGEST => value,
            _ => Vec::new(),
        };
        objects.push((object, value));
    }
    Ok(objects)
}
