//! The file of `canis key apply`: which keys there shall be, and how they are configured. YAML 1.2.

use canis_proto::message::{CreateKey, UpdateKey};
use canis_proto::{Error, Interval, KeyType, Result, Usage};
use serde::Deserialize;
use serde_json::Value;

/// A key as the file wants it. What it does not say is left as it is, or has its default in a new key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    #[serde(rename = "type")]
    kind: String,
    usage: Option<Vec<String>>,
    length: Option<u32>,
    deletion_allowed: Option<bool>,
    exportable: Option<bool>,
    allow_plaintext_backup: Option<bool>,
    min_decryption_version: Option<u32>,
    min_encryption_version: Option<u32>,
    approvals: Option<u32>,
    rotation: Option<Rotation>,
}

/// When it rotates by itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    #[serde(default = "yes")]
    enabled: bool,
    interval: Option<String>,
    retain_versions: Option<u32>,
}

fn yes() -> bool {
    true
}

/// Reads every document of a file: each is one key, or holds a list of them under `keys`.
///
/// # Errors
/// `invalid_argument` saying what is not understood; a field that is not known is not ignored.
pub(crate) fn read(name: &str, text: &str) -> Result<Vec<Wanted>> {
    let broken = |why: String| Error::invalid(format!("{name}: {why}"));
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| broken(error.to_string()))?;
    let mut wanted = Vec::new();
    for document in documents {
        for key in listed(document).map_err(broken)? {
            let called = key.get("name").and_then(Value::as_str).unwrap_or("a key without name").to_owned();
            let key: Wanted =
                serde_json::from_value(key).map_err(|error| broken(format!("{called}: {error}")))?;
            if wanted.iter().any(|other: &Wanted| other.name == key.name) {
                return Err(broken(format!("{called} stands there twice")));
            }
            wanted.push(key);
        }
    }
    Ok(wanted)
}

fn listed(document: Value) -> Result<Vec<Value>, String> {
    match document {
        Value::Object(mut map) if map.contains_key("keys") => match (map.remove("keys"), map.keys().next()) {
            (_, Some(other)) => Err(format!("unknown field `{other}` beside `keys`")),
            (Some(Value::Array(keys)), None) => Ok(keys),
            _ => Err("`keys` must be a list".to_owned()),
        },
        key @ Value::Object(_) => Ok(vec![key]),
        _ => Err("a document must be a key, or a list of them under `keys`".to_owned()),
    }
}

impl Wanted {
    /// The key's type.
    pub(crate) fn kind(&self) -> Result<KeyType> {
        self.kind.parse()
    }

    /// What the key is to be used for, if the file says it.
    pub(crate) fn usage(&self) -> Result<Option<Usage>> {
        let Some(names) = &self.usage else { return Ok(None) };
        let one = |usage: Usage, name: &String| {
            let known = Usage::from_name(name);
            known.map(|one| usage.with(one)).ok_or_else(|| Error::invalid(format!("`{name}` is no usage")))
        };
        names.iter().try_fold(Usage::NONE, one).map(Some)
    }

    fn interval(&self) -> Result<Option<Interval>> {
        match &self.rotation {
            Some(Rotation { enabled: false, .. }) => Ok(Some(Interval::NEVER)),
            Some(Rotation { interval: Some(text), .. }) => text.parse().map(Some),
            Some(Rotation { interval: None, .. }) => {
                Err(Error::invalid(format!("{}: `rotation` needs an `interval`, such as 30d", self.name)))
            }
            None => Ok(None),
        }
    }

    /// The request that makes it.
    pub(crate) fn creation(&self) -> Result<CreateKey<'_>> {
        let made = CreateKey::new(self.name.as_str(), self.kind()?);
        Ok(CreateKey {
            usage: self.usage()?,
            length: self.length.unwrap_or_default(),
            deletion_allowed: self.deletion_allowed.unwrap_or(made.deletion_allowed),
            exportable: self.exportable.unwrap_or_default(),
            allow_plaintext_backup: self.allow_plaintext_backup.unwrap_or_default(),
            interval: self.interval()?.unwrap_or_default(),
            retain_versions: self.retained().unwrap_or_default(),
            ..made
        })
    }

    /// The request that configures it, whole: fields that are so already among them.
    pub(crate) fn configuration(&self) -> Result<UpdateKey<'_>> {
        Ok(UpdateKey {
            min_decryption_version: self.min_decryption_version,
            min_encryption_version: self.min_encryption_version,
            deletion_allowed: self.deletion_allowed,
            exportable: self.exportable,
            allow_plaintext_backup: self.allow_plaintext_backup,
            interval: self.interval()?,
            retain_versions: self.retained(),
            approvals: self.approvals,
            ..UpdateKey::new(self.name.as_str())
        })
    }

    fn retained(&self) -> Option<u32> {
        self.rotation.as_ref().and_then(|rotation| rotation.retain_versions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R30: the design's own text, and a list.
    #[test]
    fn one_key_or_many() {
        let one = "# Key configuration\nname: \"my-encryption-key\"\ntype: \"aes256-gcm\"\nrotation:\n  enabled: true\n  \
                   interval: \"30d\"  # Rotate every 30 days\n  retain_versions: 10\n";
        let wanted = &read("f", one).unwrap()[0];
        let made = wanted.creation().unwrap();
        assert_eq!(
            (&*made.name, made.interval.to_string(), made.retain_versions),
            ("my-encryption-key", "30d".into(), 10)
        );
        let many = "keys:\n  - {name: a, type: ed25519}\n  - {name: b, type: generic, usage: [derive]}\n---\nname: c\ntype: rsa-2048\n";
        let names: Vec<_> = read("f", many).unwrap().into_iter().map(|key| key.name).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, named) in [
            ("name: a\ntype: ed25519\nexportible: true", "exportible"),
            ("keys: []\nname: a", "name"),
            ("keys: 3", "list"),
            ("- a", "document"),
            ("name: a\ntype: ed25519\n---\nname: a\ntype: ed25519", "twice"),
            ("name: a", "type"),
            ("name: [", "f: "),
        ] {
            let error = read("f", text).err().unwrap();
            assert!(error.message.contains(named), "{text}: {error}");
        }
        let nothing = &read("f", "name: a\ntype: ed25519\nrotation: {}").unwrap()[0];
        assert!(nothing.configuration().err().unwrap().message.contains("interval"));
    }
}
