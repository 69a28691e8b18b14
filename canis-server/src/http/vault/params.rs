//! What a program of Vault sends along. Vault is not strict about types, and its own command line sends every value as
//! text: so a number or a truth value may be written as text here, too. What nobody asked for is named in the answer's
//! warnings, as Vault does.

use crate::http::json_text;
use base64ct::{Base64, Encoding};
use canis_proto::value::{Map, Value};
use canis_proto::{Error, Result, quote};

/// The parameters of a request, or of one item of its batch.
#[derive(Default)]
pub(super) struct Params(Map<'static>);

impl Params {
    /// Those of a body in JSON; nothing at all, or `null` as the command line writes it, is none.
    pub(super) fn of_body(text: &[u8]) -> Result<Self> {
        if text.trim_ascii() == b"null" {
            return Ok(Params::default());
        }
        json_text::object(text).map(Params)
    }

    /// Those of a query.
    pub(super) fn of_query(query: Option<&str>) -> Result<Self> {
        let mut map = Map::new();
        for (name, text) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if map.take(&name).is_some() {
                return Err(Error::invalid(format!("`{}` stands in the query twice", quote(&name))));
            }
            map = map.with(name.into_owned(), Value::Text(text.into_owned().into()));
        }
        Ok(Params(map))
    }

    /// Text; nothing at all if it is empty.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>> {
        match self.0.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.into_owned()).filter(|text| !text.is_empty())),
            Some(Value::Integer(number)) => Ok(Some(number.to_string())),
            Some(Value::Bool(value)) => Ok(Some(value.to_string())),
            Some(_) => Err(refused(name, "text")),
        }
    }

    /// Text that must be there.
    pub(super) fn required(&mut self, name: &str) -> Result<String> {
        self.text(name)?.ok_or_else(|| Error::invalid(format!("missing `{name}`")))
    }

    /// Bytes in base64 (RFC 4648, section 4).
    pub(super) fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        Base64::decode_vec(&text).map(Some).map_err(|_| refused(name, "base64 with padding"))
    }

    /// Bytes that must be there, but may be none.
    pub(super) fn present_bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        if !self.0.iter().any(|(known, _)| known == name) {
            return Err(Error::invalid(format!("missing `{name}`")));
        }
        Ok(self.bytes(name)?.unwrap_or_default())
    }

    /// True or false.
    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>> {
        match self.text(name)?.as_deref() {
            None => Ok(None),
            Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(Some(true)),
            Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(Some(false)),
            Some(_) => Err(refused(name, "true or false")),
        }
    }

    /// A number from 0.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<u32>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| refused(name, "a number"))
    }

    /// A span of time in seconds: a number of them, or numbers with units, `1h30m`.
    pub(super) fn seconds(&mut self, name: &str) -> Result<Option<u64>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        span(&text).map(Some).ok_or_else(|| refused(name, "a span of time, as 3600 or 1h30m"))
    }

    /// A list of texts, or one text with commas between them.
    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>> {
        match self.0.take(name) {
            Some(Value::Array(items)) => {
                let text = |item| match item {
                    Value::Text(text) => Ok(text.into_owned()),
                    _ => Err(refused(name, "a list of texts")),
                };
                items.into_iter().map(text).collect()
            }
            Some(value) => {
                self.0 = std::mem::take(&mut self.0).with(name.to_owned(), value);
                let text = self.text(name)?.unwrap_or_default();
                Ok(text
                    .split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                    .map(str::to_owned)
                    .collect())
            }
            None => Ok(Vec::new()),
        }
    }

    /// The items of a batch, if it is one.
    pub(super) fn batch(&mut self) -> Result<Option<Vec<Params>>> {
        let items = match self.0.take("batch_input") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(refused("batch_input", "a list of objects")),
        };
        let one = |item| match item {
            Value::Map(map) => Ok(Params(map)),
            _ => Err(refused("batch_input", "a list of objects")),
        };
        items.into_iter().map(one).collect::<Result<_>>().map(Some)
    }

    /// Refuses what is not there, so that nobody takes for done what was not.
    ///
    /// # Errors
    /// `invalid_argument` saying why.
    pub(super) fn lacks(&mut self, names: &[&str], why: &str) -> Result<()> {
        for name in names {
            if self.text(name)?.is_some_and(|text| !matches!(&*text, "false" | "0" | "0s")) {
                return Err(Error::invalid(format!("`{name}` is not supported: {why}")));
            }
        }
        Ok(())
    }

    /// The names of what was not taken.
    pub(super) fn rest(self) -> Vec<String> {
        let names = self.0.into_entries().filter(|(_, value)| *value != Value::Null);
        names.map(|(name, _)| quote(&name).to_string()).collect()
    }
}

fn refused(name: &str, what: &str) -> Error {
    Error::invalid(format!("`{name}` must be {what}"))
}

/// Seconds of a span as Go writes them.
fn span(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let (mut total, mut rest) = (0u64, text);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let unit = match after.bytes().next()? {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = &after[1..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, seconds) in [("0", 0), ("90", 90), ("1h", 3600), ("1h30m0s", 5400), ("30d", 2_592_000)] {
            assert_eq!(span(text), Some(seconds), "{text}");
        }
        for text in ["", "h", "1x", "-1s", "1h1", "99999999999999999999h", "1.5h"] {
            assert_eq!(span(text), None, "{text}");
        }
    }

    /// Vault's command line writes everything as text.
    #[test]
    fn types_are_taken_as_they_come() {
        let mut params =
            Params::of_body(br#"{"a": "true", "b": 3, "c": "4", "d": ["x"], "e": "y, z", "f": null}"#)
                .unwrap();
        assert_eq!(params.flag("a"), Ok(Some(true)));
        assert_eq!((params.number("b"), params.number("c")), (Ok(Some(3)), Ok(Some(4))));
        assert_eq!(params.texts("d"), Ok(vec!["x".to_owned()]));
        assert_eq!(params.texts("e"), Ok(vec!["y".to_owned(), "z".to_owned()]));
        assert_eq!(params.rest(), Vec::<String>::new());
        let refused = Params::of_body(br#"{"derived": true}"#).unwrap().lacks(&["derived"], "…");
        assert!(refused.is_err());
        Params::of_body(br#"{"derived": "false"}"#).unwrap().lacks(&["derived"], "…").unwrap();
    }
}
