//! Decisions: which rules of which policies are about a request, and which one of them counts.
//!
//! Nothing is allowed that no rule grants. A rule that denies beats every rule that grants; among its like, the longest
//! pattern is told.

use super::condition::{Facts, Source, Unmet};
use super::path::{Pattern, Segment};
use super::read::{Effect, Policy, Rule};
use canis_proto::{Capability, KeyType};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// What is asked of the policies.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What it takes.
    pub capability: Capability,
    /// On what: the resource's path, byte by byte.
    pub path: &'a [u8],
    /// The type of the key, where it is about one.
    pub key_type: Option<KeyType>,
    /// The length of the data in bytes, where there are any.
    pub payload: Option<u64>,
    /// The caller's context, where the operation takes one.
    pub context: Option<&'a [u8]>,
    /// The time in microseconds since 1970, UTC.
    pub now_micros: i64,
    /// Where it comes from.
    pub source: Source,
}

/// The rules of one identity: those of all its policies.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    names: Vec<String>,
    /// Each with the number of its policy.
    rules: Vec<(usize, Rule)>,
    index: Node,
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
}

/// Why the policies say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
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
        let Some(rule) = &self.rule else { return f.write_str(": no rule is about this path") };
        let RuleName { policy, line, path } = rule;
        match self.why {
            Why::Granted | Why::Denied => write!(f, " by")?,
            Why::NotGranted => write!(f, ": the capability is not granted by")?,
            Why::Unmet(condition) => write!(f, ": `{condition}` does not hold in")?,
            Why::NoRule => write!(f, ": nearest is")?,
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
                all.index.add(&rule.pattern, all.rules.len());
                all.rules.push((number, rule.clone()));
            }
        }
        all
    }

    /// Decides.
    #[must_use]
    pub fn decide(&self, asked: &Asked<'_>) -> Decision<'_> {
        let mut found = Vec::new();
        self.index.find(asked.path, &mut found);
        let facts = Facts {
            key_type: asked.key_type,
            payload: asked.payload,
            context: asked.context,
            now_micros: asked.now_micros,
            source: asked.source,
        };
        // Later ones win: denials, then grants, then what came near; of each the longest, and of those the first.
        let rank = |rule: &Rule| {
            let unmet = rule.conditions.unmet(&facts);
            let why = match rule.effect {
                Effect::Deny if unmet.is_none() => Why::Denied,
                Effect::Deny => return None,
                Effect::Grant(granted) if !granted.allows(asked.capability) => Why::NotGranted,
                Effect::Grant(_) => unmet.map_or(Why::Granted, Why::Unmet),
            };
            let class = match why {
                Why::NoRule | Why::NotGranted => 0,
                Why::Unmet(_) => 1,
                Why::Granted => 2,
                Why::Denied => 3,
            };
            Some((class, rule.pattern.weight(), why))
        };
        let ranked = found.into_iter().filter_map(|at| {
            let (policy, rule) = self.rules.get(at)?;
            let (class, weight, why) = rank(rule)?;
            Some(((class, weight, std::cmp::Reverse(at)), *policy, rule, why))
        });
        let Some((_, policy, rule, why)) = ranked.max_by_key(|(rank, ..)| *rank) else {
            return Decision { allowed: false, rule: None, why: Why::NoRule };
        };
        let policy = self.names.get(policy).map_or("", String::as_str);
        let rule = RuleName { policy, line: rule.line, path: &rule.pattern.text };
        Decision { allowed: why == Why::Granted, rule: Some(rule), why }
    }
}

/// The rules by their patterns' segments, so that a decision looks at those that are about the path and at no others.
#[derive(Clone, Debug, Default)]
struct Node {
    /// What follows on a segment of these bytes.
    segments: HashMap<Vec<u8>, Node>,
    /// What follows on any segment.
    any: Option<Box<Node>>,
    /// Rules that end here.
    here: Vec<usize>,
    /// Rules for whatever begins so from here on.
    open: BTreeMap<Vec<u8>, Vec<usize>>,
    /// How long these beginnings are.
    lengths: BTreeSet<usize>,
}

impl Node {
    fn add(&mut self, pattern: &Pattern, rule: usize) {
        let mut node = self;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Is(bytes) => node.segments.entry(bytes.clone()).or_default(),
                Segment::Any => node.any.get_or_insert_default(),
            };
        }
        match &pattern.rest {
            None => node.here.push(rule),
            Some(beginning) => {
                node.lengths.insert(beginning.len());
                node.open.entry(beginning.clone()).or_default().push(rule);
            }
        }
    }

    fn find(&self, path: &[u8], found: &mut Vec<usize>) {
        let beginnings = self.lengths.iter().map_while(|len| path.get(..*len));
        found.extend(beginnings.filter_map(|beginning| self.open.get(beginning)).flatten());
        let slash = path.iter().position(|byte| *byte == b'/');
        let segment = &path[..slash.unwrap_or(path.len())];
        for next in self.segments.get(segment).into_iter().chain(self.any.as_deref()) {
            match slash {
                Some(at) => next.find(&path[at + 1..], found),
                None => found.extend(&next.here),
            }
        }
    }
}
