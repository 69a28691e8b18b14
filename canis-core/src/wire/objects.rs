//! Objects and tokens: what is said of them.

use super::form::{Form, Mapped, Place, choice, record, words};
use crate::crypto::private_parts::{PartLengths, PrivateParts, RsaParts};
use crate::object::{
    Class, Content, FoundPage, KeyFacts, NamedKey, Object, OpenedKey, Recovered, Used, Wanted, Wrapped,
};
use crate::secret::SecretBytes;
use crate::token::{LoginState, Pin, PinState, Role, TokenInfo};
use canis_proto::fields::Fields;
use canis_proto::message::WireAnswer;
use canis_proto::schema::{Field, FieldKind, Shape, Words};
use canis_proto::value::{Map, Value};
use canis_proto::{Error, ErrorCode, KeyType, Result, Usage};

words! {
    Class {
        "data" => Class::Data,
        "certificate" => Class::Certificate,
        "public-key" => Class::PublicKey,
        "private-key" => Class::PrivateKey,
        "secret-key" => Class::SecretKey,
        "profile" => Class::Profile,
    }
    Role {
        "user" => Role::User,
        "so" => Role::So,
    }
}

record! {
    Content { class, private, modifiable, copyable, destroyable, label, id, key, attributes }
    KeyFacts {
        kind, usage, trusted, sensitive, always_sensitive, extractable, never_extractable, local,
        always_authenticate, wrap_with_trusted, by_api, from_kdf, mechanism, spki
    }
    Wanted<'a> { class, label, id, unique, family }
    NamedKey { object, usage, mechanism, opening }
    PinState { set, tries_left, max_tries }
    TokenInfo { id, slot, revision, label, user_pin, so_pin }
    LoginState { role, wiped }
    OpenedKey { facts, wants_pin }
    Used { bytes }
    Recovered { signed }
    Wrapped { len, bytes, iv }
    RsaParts {
        modulus, public_exponent, private_exponent, prime_1, prime_2, exponent_1, exponent_2, coefficient
    }
    PartLengths {
        value, seed, private_exponent, prime_1, prime_2, exponent_1, exponent_2, coefficient
    }
}

choice! {
    PrivateParts {
        "rsa" => Rsa(parts);
        "ec" => Ec { curve, scalar };
        "seed" => Seed { kind, seed };
        "post-quantum" => PostQuantum { kind, seed, expanded };
        "secret" => Secret { kind, value };
        "measured" => Measured(lengths);
    }
}

const OBJECT: Shape = Shape {
    name: "P11Object",
    fields: &[
        Field { name: "object", kind: FieldKind::Bytes, required: true },
        Field { name: "revision", kind: FieldKind::Integer, required: true },
        Field { name: "session", kind: FieldKind::Integer, required: false },
        Field { name: "shows", kind: FieldKind::Bytes, required: false },
        Field { name: "version", kind: FieldKind::Integer, required: false },
    ],
    rest: shape(&<Content as Mapped<'_>>::KIND),
};

/// The shape of what is a map of one kind.
const fn shape(kind: &FieldKind) -> Option<&'static Shape> {
    match kind {
        FieldKind::Map(shape) => Some(shape),
        _ => None,
    }
}

/// An object that was read: the key that it shows is the server's affair, but for there being one.
impl<'a> Mapped<'a> for Object {
    const KIND: FieldKind = FieldKind::Map(&OBJECT);

    fn to_map(&self) -> Map<'_> {
        let map = self.content.to_map().with("object", &self.id.0[..]).with("revision", self.revision);
        let map = super::form::put(map, "session", &self.session);
        match &self.key {
            Some((key, version)) => map.with("shows", &key.0[..]).with("version", *version),
            None => map,
        }
    }

    fn from_fields(fields: &mut Fields<'a>, strict: bool) -> Result<Self> {
        let shows = fields.optional("shows")?;
        Ok(Object {
            id: fields.required("object")?,
            revision: fields.required("revision")?,
            session: fields.optional("session")?,
            key: match shows {
                Some(key) => Some((key, fields.required("version")?)),
                None => None,
            },
            content: Content::from_fields(fields, strict)?,
        })
    }
}

/// An object within a page is the bytes of its map: a page holds more values than one payload may.
impl<'a> Form<'a> for Object {
    const KIND: FieldKind = FieldKind::Encoded(&OBJECT);

    fn write(&self) -> Value<'_> {
        Value::from(Mapped::to_map(self).encode())
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        let Value::Bytes(bytes) = &value else { return Err(place.must_be("the bytes of an object")) };
        let mut fields = Fields::new(place.field, Map::decode(bytes)?);
        let object = <Object as Mapped<'_>>::from_fields(&mut fields, place.strict)?;
        place.finish(fields)?;
        Ok(object)
    }
}

record! {
    FoundPage { objects, refused, more }
}

/// Only the code and the text of why a row was left out.
impl<'a> Form<'a> for Error {
    const KIND: FieldKind = FieldKind::Map(&Shape {
        name: "P11Refused",
        fields: &[
            Field { name: "code", kind: FieldKind::Integer, required: true },
            Field { name: "message", kind: FieldKind::Text, required: true },
        ],
        rest: None,
    });

    fn write(&self) -> Value<'_> {
        Value::Map(Map::new().with("code", self.code.number()).with("message", self.message.as_str()))
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        let mut fields = place.fields(value)?;
        let (code, message): (u16, String) = (fields.required("code")?, fields.required("message")?);
        place.finish(fields)?;
        Ok(Error::new(ErrorCode::from_number(code).unwrap_or(ErrorCode::Internal), message))
    }
}

impl<'a> Form<'a> for KeyType {
    const KIND: FieldKind = FieldKind::Word(&Words {
        name: "KeyType",
        all: || KeyType::ALL.iter().map(|one| one.name()).collect(),
    });

    fn write(&self) -> Value<'_> {
        Value::from(self.name())
    }

    fn read(_: Place, value: Value<'a>) -> Result<Self> {
        match &value {
            Value::Text(name) => name.parse(),
            _ => Err(Error::new(ErrorCode::InvalidKeyType, "the type of a key is a text")),
        }
    }
}

/// A set of usages, as its bits.
impl<'a> Form<'a> for Usage {
    const KIND: FieldKind = FieldKind::Integer;

    fn write(&self) -> Value<'_> {
        Value::from(u16::from(self.bits()))
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        let bits = u16::read(place, value)?;
        let known = u8::try_from(bits).ok().and_then(Usage::from_bits);
        known.ok_or_else(|| place.must_be("usage bits"))
    }
}

impl<'a> Form<'a> for Pin<'a> {
    const KIND: FieldKind = FieldKind::Bytes;

    fn write(&self) -> Value<'_> {
        Value::from(self.expose())
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        SecretBytes::read(place, value).map(Pin::Held)
    }
}

/// The attributes that are kept as they came: `[type, value]` each, by ascending type, none twice. They are searched by
/// halving, so that one out of order could be there for one reader and not for another.
impl<'a> Form<'a> for Vec<(u64, Vec<u8>)> {
    const KIND: FieldKind = FieldKind::Array(&FieldKind::Numbered);
    const SPARED: bool = true;

    fn write(&self) -> Value<'_> {
        fn one((kind, value): &(u64, Vec<u8>)) -> Value<'_> {
            Value::Array(vec![Value::from(*kind), Value::from(value.as_slice())])
        }
        Value::Array(self.iter().map(one).collect())
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        let wrong = || place.must_be("an array of [type, value], by ascending type");
        let Value::Array(items) = value else { return Err(wrong()) };
        let mut attributes: Vec<(u64, Vec<u8>)> = Vec::with_capacity(items.len());
        for item in items {
            let Value::Array(pair) = item else { return Err(wrong()) };
            let Ok([kind, value]) = <[Value<'_>; 2]>::try_from(pair) else { return Err(wrong()) };
            let (kind, value) = (u64::read(place, kind)?, Vec::<u8>::read(place, value)?);
            if attributes.last().is_some_and(|(last, _)| *last >= kind) {
                return Err(wrong());
            }
            attributes.push((kind, value));
        }
        Ok(attributes)
    }

    fn absent(_: Place) -> Result<Self> {
        Ok(Vec::new())
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

macro_rules! answers {
    ($($type:ident,)+) => {$(
        impl WireAnswer for $type {
            const SHAPE: FieldKind = <$type as Mapped<'_>>::KIND;

            fn to_map(&self) -> Map<'_> {
                Mapped::to_map(self)
            }

            fn from_fields(fields: &mut Fields<'_>) -> Result<Self> {
                Mapped::from_fields(fields, false)
            }
        }
    )+};
}
answers! { Object, FoundPage, TokenInfo, LoginState, OpenedKey, Recovered, Used, Wrapped, PrivateParts, }
