//! What an operation is about to do, said so that others can approve exactly that.

use crate::policy::Demand;
use canis_proto::message::WireRequest;
use canis_proto::value::{Map, Value};
use canis_proto::{Capability, Id};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What an operation is about to do.
pub struct Intent {
    /// The capability that lets callers do it: demands are about that.
    pub(crate) capability: Capability,
    /// The id of what it is about, so that an approval is not good for something else of the same name.
    bound: Option<Id>,
    /// All that it was given, so that an approval is good for nothing else. May hold secrets.
    arguments: Zeroizing<Vec<u8>>,
    /// What of it people are told; no secret.
    pub(crate) told: Vec<(String, String)>,
    /// What it demands besides what policies say about its path.
    pub(crate) demands: Vec<Demand>,
    /// The tenant that it changes, if that is not the caller's.
    pub(crate) tenant: Option<Id>,
    /// The path that rules know it by, if that is not the operation's.
    pub(crate) path: Option<Vec<u8>>,
    /// The version or revision that it gives.
    pub(crate) fixed: Option<u64>,
}

impl Intent {
    /// What this request asks for; `told` names those of its arguments that are no secret.
    pub(crate) fn of<'a, R: WireRequest<'a>>(capability: Capability, request: &R, told: &[&str]) -> Self {
        Intent::of_map(capability, &request.to_map(), told)
    }

    /// The same of its arguments.
    pub(crate) fn of_map(capability: Capability, map: &Map<'_>, told: &[&str]) -> Self {
        let known = map.iter().filter(|(name, _)| told.contains(name));
        let told = known.filter_map(|(name, value)| Some((name.to_owned(), shown(value)?))).collect();
        Intent { told, ..Intent::of_bytes(capability, map.encode()) }
    }

    /// What is asked for by these bytes.
    pub(crate) fn of_bytes(capability: Capability, arguments: Vec<u8>) -> Self {
        let arguments = Zeroizing::new(arguments);
        Intent {
            capability,
            bound: None,
            arguments,
            told: Vec::new(),
            demands: Vec::new(),
            tenant: None,
            path: None,
            fixed: None,
        }
    }

    /// The same about what has this id, and nothing else that is called the same.
    pub(crate) fn bound_to(self, id: Id) -> Self {
        Intent { bound: Some(id), ..self }
    }

    /// The same in this tenant, whose policies decide.
    pub(crate) fn in_tenant(self, tenant: Id) -> Self {
        Intent { tenant: Some(tenant), ..self }
    }

    /// The same, known to rules by this path.
    pub(crate) fn at(self, path: Vec<u8>) -> Self {
        Intent { path: Some(path), ..self }
    }

    /// The same, which so many have to approve whatever policies say.
    pub(crate) fn by_at_least(mut self, approvals: u8) -> Self {
        if approvals > 0 {
            self.demands.push(Demand::of_anybody(approvals.into()));
        }
        self
    }

    /// The same giving this version or revision, whose name is `name`, and no other that is the current one by then.
    pub(crate) fn fixing(self, name: &str, number: u64) -> Self {
        let fixed = Intent { fixed: Some(number), ..self };
        fixed.with(&[&number.to_be_bytes()]).telling(name, number.to_string())
    }

    /// The same with these arguments besides.
    pub(crate) fn with(mut self, arguments: &[&[u8]]) -> Self {
        for part in arguments {
            self.arguments.extend((part.len() as u64).to_be_bytes());
            self.arguments.extend_from_slice(part);
        }
        self
    }

    /// The same, telling people this too.
    pub(crate) fn telling(mut self, name: &str, value: impl Into<String>) -> Self {
        self.told.push((name.to_owned(), value.into()));
        self
    }

    /// The same, telling people the hash of these bytes.
    pub(crate) fn telling_bytes(self, name: &str, bytes: &[u8]) -> Self {
        let value = shown(&Value::from(bytes.to_vec())).unwrap_or_default();
        self.telling(name, value)
    }

    /// SHA-256 of it, of what else says what it is, and of all their lengths.
    pub(super) fn digest(&self, besides: &[&[u8]]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"canis/v1/approval");
        let bound = self.bound.map_or([0; 16], |id| id.0);
        for part in besides.iter().copied().chain([&bound[..], &self.arguments]) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

/// A value as people read it; bytes by their hash. `None` for what was not said.
fn shown(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Text(text) if text.is_empty() => return None,
        Value::Bytes(bytes) if bytes.is_empty() => return None,
        Value::Text(text) => text.clone().into_owned(),
        Value::Bytes(bytes) => {
            format!(
                "{} bytes, SHA-256 {}",
                bytes.len(),
                base16ct::lower::encode_string(&Sha256::digest(bytes))
            )
        }
        Value::Integer(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
        Value::Array(items) if items.is_empty() => return None,
        Value::Array(items) => items.iter().filter_map(shown).collect::<Vec<_>>().join(", "),
        Value::Map(map) => {
            let field = |(name, value): (&str, &Value<'_>)| Some(format!("{name}={}", shown(value)?));
            map.iter().filter_map(field).collect::<Vec<_>>().join(" ")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use canis_proto::message::ExportKey;

    fn export(name: &str, wrapping_key: &str) -> Intent {
        let request = ExportKey {
            name: name.into(),
            version: 0,
            format: canis_proto::KeyFormat::Pkcs8,
            wrapping_key: wrapping_key.into(),
            wrapping_public_key: (&[][..]).into(),
        };
        Intent::of(Capability::Export, &request, &["name", "wrapping_key"])
    }

    /// An approval is good for what was asked and nothing else.
    #[test]
    fn another_request_has_another_digest() {
        let digest = |intent: Intent| intent.digest(&[b"who"]);
        let asked = digest(export("a", "w"));
        assert_eq!(asked, digest(export("a", "w")));
        for other in [export("b", "w"), export("a", ""), export("a", "w").bound_to(Id([1; 16]))] {
            assert_ne!(asked, digest(other));
        }
        assert_ne!(asked, export("a", "w").digest(&[b"who else"]));
        assert_ne!(export("a", "w").digest(&[b"ab", b"c"]), export("a", "w").digest(&[b"a", b"bc"]));
    }
}
