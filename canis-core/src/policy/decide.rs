//! Decisions: which rules of which policies are about a request, and which one of them counts.
//!
//! Nothing is allowed that no rule grants. A rule that denies beats every rule that grants; among its like, the longest
//! pattern is told.

use super::condition::{Facts, OfKey, Source, Unmet};
use super::index::Node;
use super::read::{Effect, Policy, Rule};
use canis_proto::{Capabilities, Capability, Family};
use std::fmt;

/// What is asked of the policies.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What it takes.
    pub capability: Capability,
    /// On what: the resource's path, byte by byte.
    pub path: &'a [u8],
    /// The key, where it is about one.
    pub key: OfKey,
    /// The length of the data in bytes, where there are any.
    pub payload: Option<u64>,
    /// The caller's context, where the operation takes one.
    pub context: Option<&'a [u8]>,
    /// The time in microseconds since 1970, UTC.
    pub now_micros: i64,
    /// Where it comes from.
    pub source: Source,
}

/// The context that a rule looks at. What is encrypted or decrypted is always bound to something, if only to nothing: a
/// rule that wants a context must not be passed by who asks in a way that takes none. So are the signatures of
/// post-quantum keys; others have no context that a rule could want.
#[must_use]
pub fn context_of(capability: Capability, key: OfKey, context: Option<&[u8]>) -> Option<&[u8]> {
    let bound = match capability {
        Capability::Encrypt | Capability::Decrypt => true,
        Capability::Sign | Capability::Verify => match key {
            OfKey::Type(kind) if matches!(kind.family(), Family::MlDsa | Family::SlhDsa) => true,
            OfKey::Absent => true,
            OfKey::Type(_) | OfKey::None => return None,
        },
        _ => false,
    };
    context.or(bound.then_some(&[]))
}

/// The rules of one identity: those of all its policies.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    names: Vec<String>,
    /// Each with the number of its policy.
    rules: Vec<(usize, Rule)>,
    index: Node,
    /// What is granted on some path.
    granted: Capabilities,
    /// Whether some rule asks for the key's type.
    by_key: bool,
}

/// A rule, as people find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleName<'a> {
    /// The policy.
    pub policy: &'a str,
    /// The line that the rule begins on, from 1.
    pub line: usize,
    /// Its path.
    pub path: &'a str,
}

/// What the policies say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The rule that says so, or the one that came nearest to it.
    pub rule: Option<RuleName<'a>>,
    /// Why.
    pub why: Why,
    /// The longest payload in bytes that it is allowed for; `u64::MAX` if that is not limited.
    pub longest: u64,
}

/// Why the policies say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The caller's own capabilities grant it, on every path.
    Own,
    /// The rule grants it.
    Granted,
    /// The rule denies it.
    Denied,
    /// No rule is about this path.
    NoRule,
    /// The rule is about this path and grants other capabilities.
    NotGranted,
    /// The rule would grant it, were it not for this condition.
    Unmet(Unmet),
}

impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.allowed { "allowed" } else { "denied" })?;
        if self.why == Why::Own {
            return f.write_str(" by the credential's own capabilities, which hold for every path");
        }
        let Some(rule) = &self.rule else { return f.write_str(": no rule is about this path") };
        let RuleName { policy, line, path } = rule;
        match self.why {
            Why::Granted | Why::Denied => write!(f, " by")?,
            Why::NotGranted => write!(f, ": the capability is not granted by")?,
            Why::Unmet(condition) => write!(f, ": `{condition}` does not hold in")?,
            Why::NoRule | Why::Own => write!(f, ": nearest is")?,
        }
        write!(f, " policy `{policy}`, line {line}: path \"{path}\"")
    }
}

impl Rules {
    /// The rules of these policies, by name.
    #[must_use]
    pub fn of<'a>(policies: impl IntoIterator<Item = (&'a str, &'a Policy)>) -> Self {
        let mut all = Rules::default();
        for (number, (name, policy)) in policies.into_iter().enumerate() {
            all.names.push(name.to_owned());
            for rule in &policy.rules {
                all.add(number, rule.clone());
            }
        }
        all
    }

    fn add(&mut self, policy: usize, rule: Rule) {
        self.index.add(&rule.pattern, self.rules.len());
        self.by_key |= !rule.conditions.key_types.is_empty();
        // Whether a signature has a context is a matter of the key's type.
        let signs = match rule.effect {
            Effect::Grant(granted) => granted.allows(Capability::Sign) || granted.allows(Capability::Verify),
            Effect::Deny => true,
        };
        self.by_key |= signs && rule.conditions.context.is_some();
        if let Effect::Grant(granted) = rule.effect {
            self.granted = self.granted.and(granted);
        }
        self.rules.push((policy, rule));
    }

    /// The same, where this policy is named and is not there. Nobody knows what it forbade, so everything is forbidden
    /// until it is there again.
    pub(crate) fn without(&mut self, policy: &str) {
        self.add(self.names.len(), Rule::forbidding_all("(the policy is gone)"));
        self.names.push(policy.to_owned());
    }

    /// Whether the capability is granted on some path.
    pub(crate) fn grants_somewhere(&self, capability: Capability) -> bool {
        self.granted.allows(capability)
    }

    /// Whether a decision may hang on the type of the key.
    pub(crate) fn asks_for_key(&self) -> bool {
        self.by_key
    }

    /// Whether a rule without conditions grants it, and whether any rule denies it.
    pub(super) fn unconditionally(&self, capability: Capability, path: &[u8]) -> (bool, bool) {
        let mut found = Vec::new();
        self.index.find(path, &mut found);
        let (mut granted, mut denied) = (false, false);
        for (_, rule) in found.into_iter().filter_map(|at| self.rules.get(at)) {
            match rule.effect {
                Effect::Deny => denied = true,
                Effect::Grant(grant) => granted |= grant.allows(capability) && rule.conditions.is_empty(),
            }
        }
        (granted, denied)
    }

    /// The rules, in the order of their policies.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|(_, rule)| rule)
    }

    /// Decides.
    #[must_use]
    pub fn decide(&self, asked: &Asked<'_>) -> Decision<'_> {
        let mut found = Vec::new();
        self.index.find(asked.path, &mut found);
        let facts = Facts {
            key: asked.key,
            payload: asked.payload,
            context: asked.context,
            now_micros: asked.now_micros,
            source: asked.source,
        };
        // Later ones win: denials, then grants, then what came near; of each the longest, and of those the first.
        let rank = |rule: &Rule| {
            let unmet = rule.conditions.unmet(&facts, rule.effect == Effect::Deny);
            let why = match rule.effect {
                Effect::Deny if unmet.is_none() => Why::Denied,
                Effect::Deny => return None,
                Effect::Grant(granted) if !granted.allows(asked.capability) => Why::NotGranted,
                Effect::Grant(_) => unmet.map_or(Why::Granted, Why::Unmet),
            };
            let class = match why {
                Why::NoRule | Why::NotGranted => 0,
                Why::Unmet(_) => 1,
                Why::Granted | Why::Own => 2,
                Why::Denied => 3,
            };
            Some((class, rule.pattern.weight(), why))
        };
        let mut longest = 0;
        let ranked = found.into_iter().filter_map(|at| {
            let (policy, rule) = self.rules.get(at)?;
            let (class, weight, why) = rank(rule)?;
            if why == Why::Granted {
                longest = longest.max(rule.conditions.max_payload.unwrap_or(u64::MAX));
            }
            Some(((class, weight, std::cmp::Reverse(at)), *policy, rule, why))
        });
        let Some((_, policy, rule, why)) = ranked.max_by_key(|(rank, ..)| *rank) else {
            return Decision { allowed: false, rule: None, why: Why::NoRule, longest: 0 };
        };
        let policy = self.names.get(policy).map_or("", String::as_str);
        let rule = RuleName { policy, line: rule.line, path: &rule.pattern.text };
        Decision { allowed: why == Why::Granted, rule: Some(rule), why, longest }
    }
}
