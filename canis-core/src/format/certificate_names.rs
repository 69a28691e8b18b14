//! The names of a certificate as text: distinguished names as RFC 4514 writes them, and the alternative names of RFC 5280,
//! section 4.2.1.6, that are URIs and hosts.
//!
//! A name that is compared with what people wrote must have one reading: strings in other alphabets than ASCII's or UTF-8,
//! control characters, a repeated extension and bytes that are no text are refused, and never passed over.

use super::certificate::Certificate;
use canis_proto::{Error, Result};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Header, Reader, SliceReader, Tag, TagNumber, Tagged};
use std::net::IpAddr;

/// The attribute types of RFC 4514, section 3, and those that certificates have besides; others stand as numbers.
const TYPES: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.5", "serialNumber"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];
const ALTERNATIVE_NAMES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
/// A GeneralName's `dNSName` and `uniformResourceIdentifier`.
const DNS: Tag = Tag::ContextSpecific { constructed: false, number: TagNumber(2) };
const URI: Tag = Tag::ContextSpecific { constructed: false, number: TagNumber(6) };
/// Its `iPAddress`.
const ADDRESS: Tag = Tag::ContextSpecific { constructed: false, number: TagNumber(7) };

/// The alternative names that mean something here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Names {
    uris: Vec<String>,
    hosts: Vec<String>,
    addresses: Vec<IpAddr>,
}

/// A Name, DER, as RFC 4514 writes it: its last part first, commas between.
///
/// # Errors
/// `invalid_argument` for a name without one reading.
pub(crate) fn distinguished_name(name: &[u8]) -> Result<String> {
    name_text(name).map_err(|_| refused("its subject or issuer"))
}

/// The URIs and the hosts among the alternative names, the latter in small letters.
///
/// # Errors
/// `invalid_argument` for names without one reading.
pub(crate) fn alternative_names(certificate: &Certificate) -> Result<(Vec<String>, Vec<String>)> {
    let Some(extensions) = &certificate.extensions else { return Ok(Default::default()) };
    let names = names_in(extensions).map_err(|_| refused("its alternative names"))?;
    Ok((names.uris, names.hosts))
}

/// The hosts among them, in small letters, and the addresses.
pub(super) fn server_names(certificate: &Certificate) -> der::Result<Vec<String>> {
    let Some(extensions) = &certificate.extensions else { return Ok(Vec::new()) };
    let Names { hosts, addresses, .. } = names_in(extensions)?;
    Ok(hosts.into_iter().chain(addresses.iter().map(ToString::to_string)).collect())
}

fn refused(what: &str) -> Error {
    Error::invalid(format!("no role is about this certificate: {what} cannot be read in one way"))
}

fn name_text(name: &[u8]) -> der::Result<String> {
    let mut parts = Vec::new();
    each(name, Tag::Sequence, |set| {
        let mut values = Vec::new();
        each(set, Tag::Set, |pair| {
            values.push(attribute(pair)?);
            Ok(())
        })?;
        parts.push(values.join("+"));
        Ok(())
    })?;
    parts.reverse();
    Ok(parts.join(","))
}

/// `type=value` of an AttributeTypeAndValue.
fn attribute(pair: &[u8]) -> der::Result<String> {
    let mut inside = opened(pair, Tag::Sequence)?;
    let kind: ObjectIdentifier = ObjectIdentifier::decode(&mut inside)?;
    let value = AnyRef::decode(&mut inside)?;
    inside.finish()?;
    if !matches!(value.tag(), Tag::Utf8String | Tag::PrintableString | Tag::Ia5String) {
        return Err(value.tag().value_error().into());
    }
    let dotted = kind.to_string();
    let name = TYPES.iter().find(|(oid, _)| *oid == dotted).map_or(&*dotted, |(_, name)| name);
    let text = plain(value.value()).ok_or_else(|| value.tag().value_error())?;
    Ok(format!("{name}={}", escaped(text)))
}

/// RFC 4514, section 2.4. What parts a name into its attributes is written by its hex digits, so that a comma or a plus sign
/// in a pattern is always one between attributes, and a `*` before it ends at the attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (at, character) in text.chars().enumerate() {
        match character {
            ',' => {
                out.push_str("\\2C");
                continue;
            }
            '+' => {
                out.push_str("\\2B");
                continue;
            }
            _ => {}
        }
        let edge = (character == ' ' && (at == 0 || at == last)) || (character == '#' && at == 0);
        if edge || matches!(character, '"' | ';' | '<' | '>' | '\\' | '=') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// Text without control characters.
fn plain(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

fn names_in(extensions: &[u8]) -> der::Result<Names> {
    let mut found: Option<Vec<u8>> = None;
    each(extensions, Tag::Sequence, |extension| {
        let mut inside = opened(extension, Tag::Sequence)?;
        if ObjectIdentifier::decode(&mut inside)? != ALTERNATIVE_NAMES {
            return Ok(());
        }
        if Tag::peek(&inside)? == Tag::Boolean {
            bool::decode(&mut inside)?;
        }
        let value = <&OctetStringRef>::decode(&mut inside)?;
        inside.finish()?;
        match found.replace(value.as_bytes().to_vec()) {
            None => Ok(()),
            Some(_) => Err(Tag::Sequence.value_error().into()),
        }
    })?;
    let mut names = Names::default();
    each(&found.unwrap_or_else(|| vec![0x30, 0]), Tag::Sequence, |name| {
        let name = AnyRef::from_der(name)?;
        let kept = match name.tag() {
            URI => &mut names.uris,
            DNS => &mut names.hosts,
            ADDRESS => {
                names.addresses.push(address(name.value()).ok_or_else(|| ADDRESS.value_error())?);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let text = plain(name.value()).filter(|text| text.is_ascii() && !text.contains(' '));
        kept.push(text.ok_or_else(|| name.tag().value_error())?.to_owned());
        Ok(())
    })?;
    names.hosts.iter_mut().for_each(|host| host.make_ascii_lowercase());
    Ok(names)
}

/// An address of version 4 or 6.
fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = || <[u8; 4]>::try_from(octets).ok().map(IpAddr::from);
    four().or_else(|| <[u8; 16]>::try_from(octets).ok().map(IpAddr::from))
}

/// Hands every element, header and all, within one of this tag to `take`.
fn each(whole: &[u8], tag: Tag, mut take: impl FnMut(&[u8]) -> der::Result<()>) -> der::Result<()> {
    let mut inside = opened(whole, tag)?;
    while !inside.is_finished() {
        take(inside.tlv_bytes()?)?;
    }
    Ok(())
}

/// What stands in one element of this tag, behind which nothing stands.
fn opened(whole: &[u8], tag: Tag) -> der::Result<SliceReader<'_>> {
    let mut outside = SliceReader::new(whole)?;
    let header = Header::decode(&mut outside)?;
    header.tag().assert_eq(tag)?;
    let inside = outside.read_slice(header.length())?;
    outside.finish()?;
    SliceReader::new(inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn element(tag: u8, inside: &[&[u8]]) -> Vec<u8> {
        let inside = inside.concat();
        [&[tag, u8::try_from(inside.len()).unwrap()][..], &inside].concat()
    }

    /// `type=value` of the type 2.5.4.`kind`, a string of this tag.
    fn pair(kind: u8, tag: u8, text: &[u8]) -> Vec<u8> {
        element(0x30, &[&[6, 3, 0x55, 4, kind], &element(tag, &[text])])
    }

    fn name(sets: &[&[&[u8]]]) -> Vec<u8> {
        let sets: Vec<_> = sets.iter().map(|pairs| element(0x31, pairs)).collect();
        element(0x30, &sets.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    /// RFC 4514: last part first, what separates is escaped in values, so that no value looks like two.
    #[test]
    fn distinguished_names() {
        let (country, organization) = (pair(6, 0x13, b"DE"), pair(10, 0x0c, b"A, B+C=D"));
        let (common, unit) = (pair(3, 0x0c, "\u{e9} #".as_bytes()), pair(11, 0x0c, b" x "));
        let read = name_text(&name(&[&[&country], &[&organization], &[&common, &unit]]));
        assert_eq!(read.as_deref(), Ok(r"CN=é #+OU=\ x\ ,O=A\2C B\2BC\=D,C=DE"));
        assert_eq!(name_text(&name(&[&[&pair(3, 0x0c, b"#1")]])).as_deref(), Ok(r"CN=\#1"));
        // `CN=*,O=Shop` in a role is not about this one.
        let feigned = name_text(&name(&[&[&pair(3, 0x0c, b"x,O=Shop")]]));
        assert_eq!(feigned.as_deref(), Ok(r"CN=x\2CO\=Shop"));
        assert_eq!(name_text(&name(&[&[&pair(99, 0x0c, b"v")]])).as_deref(), Ok("2.5.4.99=v"));
        assert_eq!(name_text(&name(&[])).as_deref(), Ok(""));
        // Without one reading: control characters, no UTF-8, other alphabets (T61String, BMPString).
        for (tag, text) in
            [(0x0c, &b"a\0b"[..]), (0x0c, b"a\nb"), (0x0c, b"\xff"), (0x14, b"a"), (0x1e, b"\0a")]
        {
            assert!(name_text(&name(&[&[&pair(3, tag, text)]])).is_err(), "{tag} {text:?}");
        }
    }

    fn extension(names: &[&[u8]]) -> Vec<u8> {
        element(0x30, &[&[6, 3, 0x55, 0x1d, 17], &element(4, &[&element(0x30, names)])])
    }

    #[test]
    fn alternative_names_are_text_and_stand_once() {
        let (uri, dns) = (element(0x86, &[b"urn:Till"]), element(0x82, &[b"A.Example"]));
        let other = element(0x30, &[&[6, 3, 0x55, 0x1d, 15], &[1, 1, 0xff], &element(4, &[&[3, 1, 0]])]);
        let (email, four) = (element(0x81, &[b"a@b"]), element(0x87, &[&[127, 0, 0, 1]]));
        let six = element(0x87, &[&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]);
        let one = extension(&[&uri, &email, &dns, &four, &six]);
        let found = names_in(&element(0x30, &[&other, &one])).unwrap();
        let addresses = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        assert_eq!(
            found,
            Names { uris: vec!["urn:Till".into()], hosts: vec!["a.example".into()], addresses }
        );
        let five = extension(&[&element(0x87, &[&[127, 0, 0, 0, 1]])]);
        assert!(names_in(&element(0x30, &[&five])).is_err(), "an address of five octets");
        assert_eq!(names_in(&element(0x30, &[&other])).unwrap(), Default::default());
        assert!(names_in(&element(0x30, &[&one, &one])).is_err(), "which of the two counts?");
        for text in [&b"a.example\0.evil"[..], b"a b", b"\xe9", b"a\n"] {
            for tag in [0x82, 0x86] {
                let name = element(tag, &[text]);
                assert!(names_in(&element(0x30, &[&extension(&[&name])])).is_err(), "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (name_text(&bytes), names_in(&bytes));
            let _ = (name_text(&element(0x30, &[&bytes[..bytes.len().min(120)]])), names_in(&element(0x30, &[&bytes[..bytes.len().min(120)]])));
        }
    }
}
