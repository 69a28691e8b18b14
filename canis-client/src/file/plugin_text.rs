//! Keys of CANIS as age's programs name them: recipients `age1canis1…` and identities `AGE-PLUGIN-CANIS-1…`, in Bech32. What
//! stands in them is a map in the CBOR of CANISP; nothing of it is secret.

use super::public::PublicRecipient;
use canis_proto::fields::Fields;
use canis_proto::value::Map;
use canis_proto::{Error, KeyName, Result, bech32};

const RECIPIENT: &str = "age1canis";
const IDENTITY: &str = "age-plugin-canis-";

/// Who a file is for.
pub enum KeyText {
    /// A key that its server must be asked for.
    Named(KeyName),
    /// A version of a pair; nobody is asked.
    Public(PublicRecipient),
}

impl KeyText {
    /// Whether a text is meant to be one.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("age1canis1")
    }

    /// Reads `age1canis1…`.
    ///
    /// # Errors
    /// `invalid_argument`, `invalid_name`.
    pub fn parse(text: &str) -> Result<KeyText> {
        let data = data(text, RECIPIENT, "recipient of CANIS, `age1canis1…`")?;
        let mut fields = Fields::new("a recipient of CANIS", Map::decode(&data)?);
        let name: String = fields.required("name")?;
        let (version, public): (Option<u32>, Option<Vec<u8>>) =
            (fields.optional("version")?, fields.optional("public")?);
        fields.finish()?;
        match (version, public) {
            (Some(version), Some(public)) => {
                PublicRecipient::new(&name, version, &public).map(KeyText::Public)
            }
            (None, None) => KeyName::parse(&name).map(KeyText::Named),
            _ => Err(Error::invalid("this recipient of CANIS is not whole")),
        }
    }
}

/// Writes `age1canis1…` for a key that its server must be asked for.
#[must_use]
pub fn named_recipient(name: &KeyName) -> String {
    bech32::encode(RECIPIENT, &Map::new().with("name", name.as_str()).encode()).to_string()
}

/// Writes `age1canis1…` for a version of a pair.
#[must_use]
pub fn public_recipient(key: &PublicRecipient) -> String {
    let map = Map::new().with("name", key.name()).with("version", key.version()).with("public", key.spki());
    bech32::encode(RECIPIENT, &map.encode()).to_string()
}

/// Writes `AGE-PLUGIN-CANIS-1…`: an identity that opens by this key, or by any.
#[must_use]
pub fn identity_text(name: Option<&KeyName>) -> String {
    let map = Map::new().with_some("name", name.map(KeyName::as_str));
    bech32::encode(IDENTITY, &map.encode()).to_ascii_uppercase()
}

/// Reads `AGE-PLUGIN-CANIS-1…`: the key that it opens by, or any.
///
/// # Errors
/// `invalid_argument`, `invalid_name`.
pub fn parse_identity(text: &str) -> Result<Option<KeyName>> {
    let data = data(text, IDENTITY, "identity of CANIS, `AGE-PLUGIN-CANIS-1…`")?;
    let mut fields = Fields::new("an identity of CANIS", Map::decode(&data)?);
    let name: Option<String> = fields.optional("name")?;
    fields.finish()?;
    name.map(|name| KeyName::parse(&name)).transpose()
}

fn data(text: &str, prefix: &str, what: &str) -> Result<Vec<u8>> {
    let read = bech32::decode(text.trim()).filter(|(is, _)| is == prefix);
    read.map(|(_, data)| data.to_vec())
        .ok_or_else(|| Error::invalid(format!("this is no {what}, or it is damaged")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn there_and_back() {
        let name = KeyName::parse("payroll/2026").unwrap();
        let text = named_recipient(&name);
        assert!(text.starts_with("age1canis1") && KeyText::is_meant(&text));
        assert!(matches!(KeyText::parse(&text), Ok(KeyText::Named(read)) if read == name));
        for name in [None, Some(&name)] {
            let text = identity_text(name);
            assert!(text.starts_with("AGE-PLUGIN-CANIS-1"));
            assert_eq!(parse_identity(&text).unwrap().as_ref(), name);
            assert!(KeyText::parse(&text).is_err() && parse_identity(&text[..text.len() - 1]).is_err());
        }
    }

    proptest! {
        #[test]
        fn total(bytes: Vec<u8>) {
            let _ = KeyText::parse(&bech32::encode(RECIPIENT, &bytes));
            let _ = parse_identity(&bech32::encode(IDENTITY, &bytes));
        }
    }
}
