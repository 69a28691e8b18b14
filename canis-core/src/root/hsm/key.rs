//! The key in the token that wraps: found, judged, made.

use super::library::{Failure, failed, unavailable};
use super::mechanism::WrapMechanism;
use super::token::TokenName;
use canis_proto::{Error, Result};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

/// The size of RSA keys that are made (SP 800-57: 128 bits of strength), and the least that is taken.
const RSA_BITS: (u64, u64) = (3072, 2048);

/// The two halves of a key; the same object twice for AES.
#[derive(Clone, Copy)]
pub(super) struct Halves {
    /// What wraps.
    pub(super) wraps: ObjectHandle,
    /// What unwraps.
    pub(super) unwraps: ObjectHandle,
}

/// Makes the key unless it is there.
pub(super) fn ensure(session: &Session, name: &TokenName, mechanism: WrapMechanism) -> Result<(), Failure> {
    match unwrapping(session, name, mechanism)? {
        Some(key) => check(session, name, mechanism, key),
        None => generate(session, name, mechanism, true).map(drop),
    }
}

/// The halves of the key that is there.
pub(super) fn both(session: &Session, name: &TokenName, mechanism: WrapMechanism) -> Result<Halves, Failure> {
    let unwraps = existing(session, name, mechanism)?;
    if mechanism.hash().is_none() {
        return Ok(Halves { wraps: unwraps, unwraps });
    }
    let public = find(session, name, ObjectClass::PUBLIC_KEY, KeyType::RSA)?
        .ok_or_else(|| unavailable(format!("{name} holds no public half of the RSA key {}", name.key())))?;
    Ok(Halves { wraps: public, unwraps })
}

/// The half that unwraps; an error if it is not there.
pub(super) fn existing(
    session: &Session,
    name: &TokenName,
    mechanism: WrapMechanism,
) -> Result<ObjectHandle, Failure> {
    let kind = if mechanism.hash().is_some() { "RSA" } else { "AES" };
    unwrapping(session, name, mechanism)?.ok_or_else(|| {
        unavailable(format!("{name} holds no {kind} key {}; was it re-initialised?", name.key())).into()
    })
}

fn unwrapping(
    session: &Session,
    name: &TokenName,
    mechanism: WrapMechanism,
) -> Result<Option<ObjectHandle>, Failure> {
    match mechanism.hash() {
        Some(_) => find(session, name, ObjectClass::PRIVATE_KEY, KeyType::RSA),
        None => find(session, name, ObjectClass::SECRET_KEY, KeyType::AES),
    }
}

/// Attributes that name the key.
fn named(name: &TokenName) -> impl Iterator<Item = Attribute> {
    let label = name.object.as_ref().map(|label| Attribute::Label(label.as_bytes().to_vec()));
    label.into_iter().chain(name.id.clone().map(Attribute::Id))
}

fn find(
    session: &Session,
    name: &TokenName,
    class: ObjectClass,
    kind: KeyType,
) -> Result<Option<ObjectHandle>, Failure> {
    let mut template = vec![Attribute::Class(class), Attribute::KeyType(kind), Attribute::Token(true)];
    template.extend(named(name));
    let found = session
        .find_objects(&template)
        .map_err(|error| failed(format_args!("{name} cannot be searched"), &error))?;
    match found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(unavailable(format!(
            "{name} holds several keys {}; rename all but one, or name one by its id in a PKCS#11 URI",
            name.key()
        ))
        .into()),
    }
}

/// A key that was there already must be as good as one made here.
fn check(
    session: &Session,
    name: &TokenName,
    mechanism: WrapMechanism,
    key: ObjectHandle,
) -> Result<(), Failure> {
    let size = if mechanism.hash().is_some() { AttributeType::Modulus } else { AttributeType::ValueLen };
    let asked = [AttributeType::Sensitive, AttributeType::Extractable, size];
    let found = session
        .get_attributes(key, &asked)
        .map_err(|error| failed(format_args!("{name} does not describe key {}", name.key()), &error))?;
    let long_enough = |attribute: &Attribute| match attribute {
        Attribute::ValueLen(bytes) => **bytes == 32,
        Attribute::Modulus(modulus) => modulus.len() as u64 * 8 >= RSA_BITS.1,
        _ => false,
    };
    let kept_in = [Attribute::Sensitive(true), Attribute::Extractable(false)];
    if kept_in.iter().all(|attribute| found.contains(attribute)) && found.iter().any(long_enough) {
        return Ok(());
    }
    let wanted =
        if mechanism.hash().is_some() { "an RSA key of 2048 bits or more" } else { "an AES-256 key" };
    Err(Error::invalid(format!(
        "key {} on {name} is not {wanted} that is sensitive and not extractable; choose another --key-label",
        name.key()
    ))
    .into())
}

/// Makes a key: of the token, by its name; or of this session, without one, to try a mechanism by.
pub(super) fn generate(
    session: &Session,
    name: &TokenName,
    mechanism: WrapMechanism,
    token: bool,
) -> Result<Halves, Failure> {
    let names: Vec<Attribute> = if token { named(name).collect() } else { Vec::new() };
    let kept_in = [
        Attribute::Token(token),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
    ];
    let failed =
        |error| failed(format_args!("{name} cannot generate a key for {}", mechanism.name()), &error);
    if mechanism.hash().is_some() {
        let bits = if token { RSA_BITS.0 } else { RSA_BITS.1 };
        let mut public = vec![
            Attribute::Token(token),
            Attribute::Encrypt(true),
            Attribute::ModulusBits(bits.into()),
            Attribute::PublicExponent(vec![1, 0, 1]),
        ];
        public.extend_from_slice(&names);
        let private = [&kept_in[..], &[Attribute::Decrypt(true)], &names].concat();
        let made = session.generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &private);
        return made.map(|(wraps, unwraps)| Halves { wraps, unwraps }).map_err(failed);
    }
    let objects = mechanism.wraps_objects();
    let uses = [
        Attribute::Encrypt(!objects),
        Attribute::Decrypt(!objects),
        Attribute::Wrap(objects),
        Attribute::Unwrap(objects),
        Attribute::ValueLen(32u64.into()),
    ];
    let template = [&kept_in[..], &uses, &names].concat();
    let made = session.generate_key(&Mechanism::AesKeyGen, &template).map_err(failed)?;
    Ok(Halves { wraps: made, unwraps: made })
}
