//! Policies: the language decides as it says, by a second, slow reading of the same rules; and nobody gets round it by
//! the way a path is written.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_core::policy::{Asked, OfKey, Policy, Rules, Source, Unmet, Why};
use canis_proto::{Capability, KeyType};
use proptest::prelude::*;

fn asked(capability: Capability, path: &[u8]) -> Asked<'_> {
    Asked {
        capability,
        path,
        key: OfKey::None,
        payload: None,
        context: None,
        now_micros: 0,
        source: Source::Local,
    }
}

fn rules(texts: &[&str]) -> Rules {
    let policies: Vec<_> = texts.iter().map(|text| Policy::read(text).unwrap()).collect();
    let names: Vec<_> = (0..texts.len()).map(|n| format!("p{n}")).collect();
    Rules::of(names.iter().map(String::as_str).zip(&policies))
}

/// R57, R59: the design's own example, and that what is not granted is denied.
#[test]
fn the_example_of_the_design() {
    let rules = rules(&[r#"path "kms/keys/production/*" { capabilities = ["encrypt", "decrypt"] }"#]);
    let allowed = |capability, path: &str| rules.decide(&asked(capability, path.as_bytes())).allowed;
    assert!(allowed(Capability::Encrypt, "kms/keys/production/db"));
    assert!(allowed(Capability::Decrypt, "kms/keys/production/a/b"));
    assert!(!allowed(Capability::Sign, "kms/keys/production/db"));
    assert!(!allowed(Capability::Encrypt, "kms/keys/staging/db"));
    let near = rules.decide(&asked(Capability::Sign, b"kms/keys/production/db"));
    assert_eq!(near.why, Why::NotGranted);
    assert_eq!(
        near.to_string(),
        "denied: the capability is not granted by policy `p0`, line 1: path \"kms/keys/production/*\""
    );
    assert_eq!(Rules::default().decide(&asked(Capability::Read, b"sys")).why, Why::NoRule);
}

/// R59: a path is bytes: no spelling of it reaches what its own rules do not say.
#[test]
fn no_spelling_of_a_path_gets_round_a_rule() {
    let rules = rules(&[r#"path "kms/keys/open/*" { capabilities = ["read"] }
           path "kms/keys/open/closed" { capabilities = ["deny"] }
           path "kms/kv/a" { capabilities = ["read"] }"#]);
    let allowed = |path: &[u8]| rules.decide(&asked(Capability::Read, path)).allowed;
    assert!(allowed(b"kms/keys/open/x") && !allowed(b"kms/keys/open/closed"));
    for path in [
        &b"kms/keys/open"[..],
        b"kms/keys/opened",
        b"/kms/keys/open/x",
        b"kms//keys/open/x",
        b"KMS/keys/open/x",
        b"kms/keys/Open/x",
        b"kms%2fkeys/open/x",
        b"kms/keys/o\xd1\x80en/x",
        b"kms/kv/a/",
        b"kms/kv/a\0",
        b"kms/kv/./a",
        b"kms/kv/%61",
        b"",
    ] {
        assert!(!allowed(path), "{}", String::from_utf8_lossy(path));
    }
}

#[test]
fn conditions_hold_or_are_named() {
    let rules = rules(&[r#"path "kms/keys/*" {
             capabilities     = ["encrypt"]
             key_types        = ["aes256-gcm"]
             max_payload      = "1KiB"
             required_context = ["invoice:*", "exact"]
             valid_hours      = ["08:00-18:00"]
             source_networks  = ["10.0.0.0/8"]
           }
           path "kms/keys/s*" {
             capabilities    = ["deny"]
             source_networks = ["10.6.0.0/16"]
           }"#]);
    let right = Asked {
        capability: Capability::Encrypt,
        path: b"kms/keys/secret",
        key: OfKey::Type(KeyType::Aes256),
        payload: Some(1024),
        context: Some(b"invoice:7"),
        now_micros: 9 * 3_600_000_000,
        source: Source::Network("10.1.2.3".parse().unwrap()),
    };
    assert!(rules.decide(&right).allowed);
    assert!(rules.decide(&Asked { context: Some(b"exact"), ..right }).allowed);
    for (wrong, unmet) in [
        (Asked { key: OfKey::Type(KeyType::Rsa2048), ..right }, Unmet::KeyType),
        (Asked { payload: Some(1025), ..right }, Unmet::Payload),
        (Asked { context: Some(b""), ..right }, Unmet::Context),
        (Asked { context: Some(b"exactly"), ..right }, Unmet::Context),
        (Asked { now_micros: 18 * 3_600_000_000, ..right }, Unmet::Hours),
        (Asked { source: Source::Local, ..right }, Unmet::Network),
    ] {
        assert_eq!(rules.decide(&wrong).why, Why::Unmet(unmet), "{wrong:?}");
    }
    // What a request does not have is not limited; a denial with conditions denies where they hold.
    assert!(rules.decide(&Asked { key: OfKey::None, payload: None, context: None, ..right }).allowed);
    let elsewhere = Asked { source: Source::Network("10.6.0.1".parse().unwrap()), ..right };
    assert_eq!(rules.decide(&elsewhere).why, Why::Denied);
}

/// A rule of a test: its pattern in parts, and what it does.
#[derive(Clone, Debug)]
struct Model {
    parts: Vec<&'static str>,
    open: bool,
    deny: bool,
}

impl Model {
    fn text(&self) -> String {
        let star = if self.open { "*" } else { "" };
        let capability = if self.deny { "deny" } else { "read" };
        format!("path \"kms/{}{star}\" {{ capabilities = [\"{capability}\"] }}\n", self.parts.join("/"))
    }

    /// The slow reading: segment by segment, the last one of an open pattern as a beginning.
    fn is_about(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix("kms/") else { return false };
        let (last, before) = self.parts.split_last().unwrap();
        let count = if self.open { self.parts.len() } else { usize::MAX };
        let segments: Vec<_> = path.splitn(count, '/').collect();
        segments.len() == self.parts.len()
            && before.iter().zip(&segments).all(|(part, segment)| *part == "+" || part == segment)
            && match self.open {
                true => segments[before.len()].starts_with(last),
                false => *last == "+" || *last == segments[before.len()],
            }
    }
}

fn part() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "ab", "b", "+", ""])
}

fn model() -> impl Strategy<Value = Model> {
    (prop::collection::vec(part(), 1..4), any::<bool>(), any::<bool>())
        .prop_filter("`+*` is no pattern", |(parts, open, _)| !(*open && parts.last() == Some(&"+")))
        .prop_map(|(parts, open, deny)| Model { parts, open, deny })
}

proptest! {
    /// The index finds what a reading of every rule finds, and denial wins whatever the order.
    #[test]
    fn decides_as_a_reading_of_every_rule(
        models in prop::collection::vec(model(), 0..12),
        path in prop::collection::vec(prop::sample::select(vec!["a", "ab", "abc", "b", ""]), 1..4),
    ) {
        let path = format!("kms/{}", path.join("/"));
        let texts: Vec<_> = models.iter().map(Model::text).collect();
        let rules = rules(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let about: Vec<_> = models.iter().filter(|model| model.is_about(&path)).collect();
        let expected = !about.is_empty() && about.iter().all(|model| !model.deny);
        let decision = rules.decide(&asked(Capability::Read, path.as_bytes()));
        prop_assert_eq!(decision.allowed, expected, "{} {:?}", path, decision);
        prop_assert_eq!(decision.rule.is_none(), about.is_empty());
    }

    /// Whatever is given as a policy, it is read or refused.
    #[test]
    fn reading_is_total(text in ".{0,200}", tail in "[\\[\\]{}\"$%=,a-z ]{0,100}") {
        let _ = Policy::read(&text);
        let _ = Policy::read(&format!("path \"kms/keys/a\" {{ capabilities = [\"read\"] {tail}"));
    }
}
