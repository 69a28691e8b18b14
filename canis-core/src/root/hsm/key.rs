//! The key in the token that wraps the root key: found, judged, made.

use super::library::{Failure, failed, unavailable};
use super::token::TokenName;
use canis_proto::{Error, Result};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

/// Makes the key unless it is there.
pub(super) fn ensure(session: &Session, name: &TokenName) -> Result<(), Failure> {
    match find(session, name)? {
        Some(key) => check(session, name, key),
        None => generate(session, name),
    }
}

/// The key; an error if it is not there.
pub(super) fn wrapping(session: &Session, name: &TokenName) -> Result<ObjectHandle, Failure> {
    find(session, name)?.ok_or_else(|| {
        unavailable(format!("{name} holds no AES key {}; was it re-initialised?", name.key())).into()
    })
}

/// Attributes that name the key.
fn named(name: &TokenName) -> impl Iterator<Item = Attribute> {
    let label = name.object.as_ref().map(|label| Attribute::Label(label.as_bytes().to_vec()));
    label.into_iter().chain(name.id.clone().map(Attribute::Id))
}

fn find(session: &Session, name: &TokenName) -> Result<Option<ObjectHandle>, Failure> {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(true),
    ];
    template.extend(named(name));
    let found = session
        .find_objects(&template)
        .map_err(|error| failed(format_args!("{name} cannot be searched"), &error))?;
    match found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(unavailable(format!(
            "{name} holds several AES keys {}; rename all but one, or name one by its id in a PKCS#11 URI",
            name.key()
        ))
        .into()),
    }
}

/// A key that was there already must be as good as one made here.
fn check(session: &Session, name: &TokenName, key: ObjectHandle) -> Result<(), Failure> {
    let asked = [AttributeType::Sensitive, AttributeType::Extractable, AttributeType::ValueLen];
    let found = session
        .get_attributes(key, &asked)
        .map_err(|error| failed(format_args!("{name} does not describe key {}", name.key()), &error))?;
    let good = [Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::ValueLen(32u64.into())];
    if good.iter().all(|attribute| found.contains(attribute)) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "key {} on {name} is not an AES-256 key that is sensitive and not extractable; choose another --key-label",
        name.key()
    ))
    .into())
}

fn generate(session: &Session, name: &TokenName) -> Result<(), Failure> {
    let mut template = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::ValueLen(32u64.into()),
    ];
    template.extend(named(name));
    session
        .generate_key(&Mechanism::AesKeyGen, &template)
        .map(drop)
        .map_err(|error| failed(format_args!("{name} cannot generate an AES-256 key"), &error))
}
