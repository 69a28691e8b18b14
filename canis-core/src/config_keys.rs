//! The keys of `canis.toml`, so that a wrong one is refused by naming the one that was meant.

use canis_proto::{Error, quote};
use toml::{Table, Value};

/// Every table and its keys; the first holds those before any table.
pub const CONFIG_KEYS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "metrics",
            "on_hsm_loss",
            "anchor_every",
            "check_rows_every",
            "requests_per_second",
            "socket",
            "root",
            "store",
            "tls",
            "jwt",
        ],
    ),
    ("root", &["kind", "file", "module", "deadline"]),
    ("store", &["url", "password_file", "ca", "connections", "grace"]),
    ("tls", &["client_ca", "require_client_certificate"]),
    ("jwt", &["issuer", "jwks"]),
];

/// One error for each key in `text` that is none; `file` is what it was read from.
///
/// Text that is no TOML has no keys: reading it says what is wrong.
#[must_use]
pub fn unknown_keys(file: &str, text: &str) -> Vec<Error> {
    let Ok(whole) = text.parse::<Table>() else { return Vec::new() };
    let mut errors = look(file, "", &whole);
    for (name, value) in &whole {
        match value {
            Value::Table(table) => errors.extend(look(file, name, table)),
            Value::Array(items) => {
                errors.extend(
                    items.iter().filter_map(Value::as_table).flat_map(|table| look(file, name, table)),
                );
            }
            _ => {}
        }
    }
    errors
}

fn look(file: &str, name: &str, table: &Table) -> Vec<Error> {
    let Some((_, known)) = CONFIG_KEYS.iter().find(|(known, _)| *known == name) else { return Vec::new() };
    let unknown = table.keys().filter(|key| !known.contains(&key.as_str()));
    let place = if name.is_empty() { String::new() } else { format!(" in [{name}]") };
    let told = unknown.map(|key| {
        let near =
            known.iter().min_by_key(|known| distance(key, known)).filter(|known| distance(key, known) <= 3);
        let meant = near.map_or_else(
            || format!("known are {}", known.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        Error::invalid(format!("{file}: there is no key `{}`{place}; {meant}", quote(key)))
    });
    told.collect()
}

/// How many letters have to be changed, added or removed (Levenshtein's distance).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], at + 1);
        for (column, same) in other.iter().enumerate() {
            let changed = before + usize::from(letter != *same);
            before = row[column + 1];
            row[column + 1] = changed.min(before + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datadir::Config;
    use std::collections::BTreeSet;

    /// What the reader expects, by its own words, when it meets a key that it does not know.
    fn expected(text: &str) -> BTreeSet<String> {
        let told = toml::from_str::<Config>(text).unwrap_err().to_string();
        let (_, list) = told.split_once("expected ").unwrap_or_else(|| panic!("{told}"));
        list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    /// The table holds what the reader takes, and nothing else.
    #[test]
    fn the_table_is_the_reader() {
        let root =
            |kind: &str| expected(&format!("[root]\nkind = {kind:?}\nfile = \"f\"\nmodule = \"m\"\nzzz = 1"));
        let kinds = ["passphrase", "keyfile", "hsm"].map(|kind| {
            // Each kind refuses what is another's: without it, it tells its own.
            let text = format!("[root]\nkind = {kind:?}\nzzz = 1");
            if kind == "hsm" { root(kind) } else { expected(&text) }
        });
        let mut of_root: BTreeSet<_> = kinds.into_iter().flatten().collect();
        of_root.insert("kind".to_owned());
        let found = [
            ("", expected("zzz = 1")),
            ("root", of_root),
            ("store", expected("[store]\nurl = \"u\"\nzzz = 1")),
            ("tls", expected("[tls]\nclient_ca = \"c\"\nzzz = 1")),
            ("jwt", expected("[[jwt]]\nzzz = 1")),
        ];
        for ((name, keys), (also, found)) in CONFIG_KEYS.iter().zip(found) {
            assert_eq!((*name, keys.iter().map(|key| (*key).to_owned()).collect()), (also, found));
        }
    }

    /// A slip of the pen is told by what was meant; what is near to nothing, by what there is.
    #[test]
    fn slips_are_named() {
        let text = "metrisc = 1\n[root]\nfiel = \"f\"\n[[jwt]]\nqqqqqqqqqqqq = 1\n[tls]\nclient-ca = \"c\"";
        let told: Vec<_> = unknown_keys("canis.toml", text).into_iter().map(|error| error.message).collect();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told.iter().any(|told| told.contains("`metrisc`; did you mean `metrics`?")), "{told:?}");
        assert!(told.iter().any(|told| told.contains("in [root]; did you mean `file`?")), "{told:?}");
        assert!(told.iter().any(|told| told.contains("in [tls]; did you mean `client_ca`?")), "{told:?}");
        assert!(told.iter().any(|told| told.contains("known are issuer, jwks")), "{told:?}");
    }
}
