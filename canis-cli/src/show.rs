//! How answers look: lines for people, JSON for programs.

use crate::files;
use canis_proto::answer::{KeyInfo, VersionInfo};
use canis_proto::{Error, Result};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Prints a JSON value on a line of its own.
pub(crate) fn json(value: &Value) -> Result<()> {
    files::print(format!("{value}\n").as_bytes())
}

/// Prints names and values, one pair a line.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> Result<()> {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
    let lines: String = pairs.iter().map(|(name, value)| format!("{name:width$}{value}\n")).collect();
    files::print(lines.as_bytes())
}

/// Prints an error on stderr.
pub(crate) fn failure(error: &Error, as_json: bool) {
    if as_json {
        let mut told = json!({"code": error.code.name(), "message": error.message});
        if let Some(wait) = error.retry_after {
            told["retry_after"] = wait.into();
        }
        eprintln!("{}", json!({"error": told}));
    } else {
        eprintln!("canis: {error}");
    }
}

/// What others wrote, on a line of a terminal: control characters as escapes.
pub(crate) fn tame(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// A number of things, for people.
pub(crate) fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A time in microseconds since 1970 as RFC 3339.
pub(crate) fn time(micros: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        // Beyond the year 9999, which no key is.
        .unwrap_or_else(|| format!("{micros} µs"))
}

/// A key's metadata for programs.
pub(crate) fn key_json(key: &KeyInfo) -> Value {
    let versions: Vec<_> = key.versions.iter().map(version_json).collect();
    json!({
        "name": key.name,
        "id": key.id,
        "tenant": key.tenant,
        "type": key.kind.name(),
        "state": key.state.name(),
        "usage": key.usage.names().collect::<Vec<_>>(),
        "current_version": key.current_version,
        "oldest_version": key.oldest_version,
        "min_decryption_version": key.min_decryption_version,
        "min_encryption_version": key.min_encryption_version,
        "deletion_allowed": key.deletion_allowed,
        "exportable": key.exportable,
        "allow_plaintext_backup": key.allow_plaintext_backup,
        "approvals": key.approvals.unwrap_or_default(),
        "versions": versions,
        "created_at": time(key.created_at),
        "updated_at": time(key.updated_at),
        "deleted_at": key.deleted_at.map(time),
        "destroy_at": key.destroy_at.map(time),
        "uses": key.uses,
        "last_used_at": key.last_used_at.map(time),
        "rotation": {
            "interval": key.interval.to_string(),
            "retain_versions": key.retain_versions,
            "next_at": key.next_rotation_at.map(time),
        },
    })
}

/// A version's metadata for programs.
pub(crate) fn version_json(version: &VersionInfo) -> Value {
    json!({
        "version": version.version,
        "state": version.state,
        "created_at": time(version.created_at),
        "uses": version.uses,
        "last_used_at": version.last_used_at.map(time),
    })
}

/// A key's metadata for people.
pub(crate) fn key(key: &KeyInfo) -> Result<()> {
    let mut lines = vec![
        ("name", key.name.clone()),
        ("id", key.id.clone()),
        ("tenant", key.tenant.clone()),
        ("type", key.kind.to_string()),
        ("state", key.state.to_string()),
        ("usage", key.usage.names().collect::<Vec<_>>().join(", ")),
        ("current version", key.current_version.to_string()),
        ("min decryption version", key.min_decryption_version.to_string()),
        ("min encryption version", key.min_encryption_version.to_string()),
        ("deletion allowed", key.deletion_allowed.to_string()),
        ("exportable", key.exportable.to_string()),
        ("allow plaintext backup", key.allow_plaintext_backup.to_string()),
        ("created at", time(key.created_at)),
        ("updated at", time(key.updated_at)),
        ("rotates", key.interval.to_string()),
        (
            "retains versions",
            if key.retain_versions == 0 { "all".into() } else { key.retain_versions.to_string() },
        ),
    ];
    lines.extend(key.approvals.map(|approvals| ("approvals", approvals.to_string())));
    lines.extend(key.uses.map(|uses| ("uses", uses.to_string())));
    let moments = [
        ("last used at", key.last_used_at),
        ("rotates next at", key.next_rotation_at),
        ("destroyed at", key.deleted_at),
        ("to be destroyed at", key.destroy_at),
    ];
    lines.extend(moments.into_iter().filter_map(|(name, at)| Some((name, time(at?)))));
    lines.extend(
        key.versions
            .iter()
            .map(|v| ("version", format!("{}, {}, made {}", v.version, v.state, time(v.created_at)))),
    );
    pairs(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_things() {
        assert_eq!([0, 1, 2].map(|number| count(number, "key")), ["0 keys", "1 key", "2 keys"]);
    }

    #[test]
    fn times() {
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(time(1_700_000_000_123_456), "2023-11-14T22:13:20.123456Z");
        assert_eq!(time(i64::MAX), format!("{} µs", i64::MAX));
    }
}
