//! Which token and which key of it: by label, by serial number, or as a PKCS#11 URI (RFC 7512). Never by a slot's number,
//! which is another one after the next restart of many HSMs.

use canis_proto::{Error, Result, quote};
use std::fmt;
use std::path::PathBuf;

/// The label of the key that wraps the root key, unless another one is named.
const DEFAULT_KEY: &str = "canis-root";

/// What must be true of a token, and of the key in it. What is missing is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenName {
    /// The token's label (`token`).
    pub label: Option<String>,
    /// Its serial number (`serial`).
    pub serial: Option<String>,
    /// Who made it (`manufacturer`).
    pub manufacturer: Option<String>,
    /// Its model (`model`).
    pub model: Option<String>,
    /// The key's label (`object`).
    pub object: Option<String>,
    /// The key's CKA_ID (`id`).
    pub id: Option<Vec<u8>>,
    /// The library (`module-path`); meant for this host, and never stored.
    pub module: Option<PathBuf>,
    /// The file that holds the PIN (`pin-source`); the same.
    pub pin_file: Option<PathBuf>,
}

impl TokenName {
    /// A token and a key by their labels.
    #[must_use]
    pub fn labelled(token: impl Into<String>, key: impl Into<String>) -> Self {
        TokenName { label: Some(token.into()), object: Some(key.into()), ..TokenName::default() }
    }

    /// A URI if `text` begins like one, else a label.
    ///
    /// # Errors
    /// `invalid_argument` for a URI that RFC 7512 does not allow, or that names something else than a token and a key.
    pub fn read(text: &str) -> Result<Self> {
        match text.strip_prefix("pkcs11:") {
            Some(rest) => TokenName::of_uri(rest),
            None => Ok(TokenName { label: Some(text.to_owned()), ..TokenName::default() }),
        }
    }

    fn of_uri(rest: &str) -> Result<Self> {
        let mut name = TokenName::default();
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        for attribute in path.split(';').filter(|attribute| !attribute.is_empty()) {
            let (key, value) = pair(attribute)?;
            match key {
                "token" => set(key, &mut name.label, text(key, value)?)?,
                "serial" => set(key, &mut name.serial, text(key, value)?)?,
                "manufacturer" => set(key, &mut name.manufacturer, text(key, value)?)?,
                "model" => set(key, &mut name.model, text(key, value)?)?,
                "object" => set(key, &mut name.object, text(key, value)?)?,
                "id" => set(key, &mut name.id, value)?,
                // The key's class follows from the mechanism; whatever is written here is of no use to it.
                "type" => {}
                "slot-id" | "slot-description" | "slot-manufacturer" => {
                    return Err(wrong(format!(
                        "`{key}` names a slot, whose number changes; name the token by `token` or `serial`"
                    )));
                }
                _ => {
                    return Err(wrong(format!(
                        "it has an attribute `{}`, which says nothing here",
                        quote(key)
                    )));
                }
            }
        }
        for attribute in query.split('&').filter(|attribute| !attribute.is_empty()) {
            let (key, value) = pair(attribute)?;
            match key {
                "module-path" => set(key, &mut name.module, PathBuf::from(text(key, value)?))?,
                "pin-source" => set(key, &mut name.pin_file, pin_file(&text(key, value)?)?)?,
                "pin-value" => {
                    return Err(wrong(
                        "a PIN does not belong where others can read it; name its file by `pin-source=file:/…`".into(),
                    ));
                }
                _ => {
                    return Err(wrong(format!(
                        "it has an attribute `{}`, which says nothing here",
                        quote(key)
                    )));
                }
            }
        }
        if name.label.is_none() && name.serial.is_none() {
            return Err(wrong("it names no token; add `token=` or `serial=`".into()));
        }
        Ok(name)
    }

    /// The same, with the usual key if none is named.
    #[must_use]
    pub(in crate::root) fn with_key(mut self) -> Self {
        if self.object.is_none() && self.id.is_none() {
            self.object = Some(DEFAULT_KEY.to_owned());
        }
        self
    }

    /// The URI of token and key alone, as it is stored: what is of one host only is left out.
    #[must_use]
    pub fn to_uri(&self) -> String {
        let texts = [
            ("token", &self.label),
            ("serial", &self.serial),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
            ("object", &self.object),
        ];
        let mut parts: Vec<String> = texts
            .into_iter()
            .filter_map(|(key, value)| Some(format!("{key}={}", escaped(value.as_ref()?.as_bytes()))))
            .collect();
        parts.extend(self.id.as_ref().map(|id| format!("id={}", escaped(id))));
        format!("pkcs11:{}", parts.join(";"))
    }

    /// Whether a token is one that is meant.
    pub(super) fn fits(&self, label: &str, serial: &str, manufacturer: &str, model: &str) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        same(&self.label, label)
            && same(&self.serial, serial)
            && same(&self.manufacturer, manufacturer)
            && same(&self.model, model)
    }

    /// The key, as people read it.
    pub(super) fn key(&self) -> String {
        match (&self.object, &self.id) {
            (Some(label), _) => format!("`{}`", quote(label)),
            (None, Some(id)) => format!("of id {}", base16ct::lower::encode_string(id)),
            (None, None) => "without a name".to_owned(),
        }
    }
}

/// The token, as people read it.
impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.label, &self.serial) {
            (Some(label), None) => write!(f, "token `{}`", quote(label)),
            (None, Some(serial)) => write!(f, "token of serial number {}", quote(serial)),
            (Some(label), Some(serial)) => {
                write!(f, "token `{}` of serial number {}", quote(label), quote(serial))
            }
            (None, None) => f.write_str("token"),
        }
    }
}

fn pair(attribute: &str) -> Result<(&str, Vec<u8>)> {
    let (key, value) =
        attribute.split_once('=').ok_or_else(|| wrong(format!("`{}` has no value", quote(attribute))))?;
    Ok((key, unescaped(value)?))
}

fn set<T>(key: &str, field: &mut Option<T>, value: T) -> Result<()> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(wrong(format!("it says `{key}` twice"))),
    }
}

fn text(key: &str, value: Vec<u8>) -> Result<String> {
    String::from_utf8(value).map_err(|_| wrong(format!("the value of `{key}` is not UTF-8")))
}

/// RFC 7512, section 2.4: `file:` before a path, absolute or with an empty host.
fn pin_file(source: &str) -> Result<PathBuf> {
    let path = source.strip_prefix("file:").unwrap_or(source);
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.starts_with('/') {
        return Ok(PathBuf::from(path));
    }
    Err(wrong("`pin-source` must be a file by its whole path, `file:/etc/canis/hsm.pin`".into()))
}

/// What RFC 7512, section 2.3, lets stand unescaped everywhere in the path, and no more.
fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(*byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn unescaped(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                match (digit(bytes.next()), digit(bytes.next())) {
                    (Some(high), Some(low)) => u8::try_from(high * 16 + low).unwrap_or(0),
                    _ => return Err(wrong("a `%` must be followed by two hexadecimal digits".into())),
                }
            }
            0..=b' ' | 0x7f.. => {
                return Err(wrong(
                    "characters other than visible ASCII are written as `%` and two digits".into(),
                ));
            }
            byte => byte,
        });
    }
    Ok(out)
}

fn wrong(why: String) -> Error {
    Error::invalid(format!("the PKCS#11 URI is not understood: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_read_and_written() {
        let uri = "pkcs11:token=The%20Software%20Token;serial=00%2f1;object=k;id=%01%ff?module-path=/lib/p11.so&pin-source=file:/etc/pin";
        let name = TokenName::read(uri).unwrap();
        assert_eq!(name.label.as_deref(), Some("The Software Token"));
        assert_eq!((name.serial.as_deref(), name.id.as_deref()), (Some("00/1"), Some(&[1, 255][..])));
        assert_eq!(name.module.as_deref(), Some(std::path::Path::new("/lib/p11.so")));
        assert_eq!(name.pin_file.as_deref(), Some(std::path::Path::new("/etc/pin")));
        let stored = name.to_uri();
        assert_eq!(stored, "pkcs11:token=The%20Software%20Token;serial=00%2F1;object=k;id=%01%FF");
        let again = TokenName::read(&stored).unwrap();
        assert_eq!(again, TokenName { module: None, pin_file: None, ..name });
        assert_eq!(TokenName::read("a label").unwrap().label.as_deref(), Some("a label"));
    }

    #[test]
    fn what_is_no_token_is_refused_with_the_remedy() {
        for (uri, remedy) in [
            ("pkcs11:", "add `token=`"),
            ("pkcs11:object=k", "add `token=`"),
            ("pkcs11:token=a;token=b", "twice"),
            ("pkcs11:slot-id=0;token=a", "`serial`"),
            ("pkcs11:token=a?pin-value=1234", "pin-source"),
            ("pkcs11:token=a?pin-source=|prog", "file:"),
            ("pkcs11:token=a;x-own=1", "x-own"),
            ("pkcs11:token=%4", "hexadecimal"),
            ("pkcs11:token=%g0", "hexadecimal"),
            ("pkcs11:token=%ff", "UTF-8"),
            ("pkcs11:token=a b", "ASCII"),
            ("pkcs11:token", "no value"),
        ] {
            let refused = TokenName::read(uri).unwrap_err();
            assert!(
                refused.message.contains(remedy) && !refused.message.contains("1234"),
                "{uri}: {refused}"
            );
        }
    }
}
