//! HCL → rules. What is no policy is refused with its line and column.

use super::condition::{Conditions, Context, Hours, Network};
use super::demand::{Demand, guarded, unguarded};
use super::error::PolicyError;
use super::path::Pattern;
use canis_proto::approval::MAX_APPROVALS;
use canis_proto::policy::check_policy_name;
use canis_proto::{Capabilities, Capability, KeyType};
use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Attribute, Block, BlockLabel, Body, Structure};
use std::collections::HashMap;
use std::ops::Range;

/// The longest text of a policy in bytes.
const LONGEST: usize = 1 << 20;
/// The most rules of a policy.
const MOST_RULES: usize = 10_000;
/// What a rule grants in place of capabilities to forbid.
const DENY: &str = "deny";

/// A policy: its rules, in the order of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(super) rules: Vec<Rule>,
}

/// One `path` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) pattern: Pattern,
    /// The line that it begins on, from 1.
    pub(super) line: usize,
    pub(super) effect: Effect,
    pub(super) conditions: Conditions,
    /// What it demands of whoever does what it grants.
    pub(super) demand: Option<Demand>,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Grants these.
    Grant(Capabilities),
    /// Forbids everything.
    Deny,
}

impl Rule {
    /// A rule that forbids everything, whatever is asked.
    pub(super) fn forbidding_all(text: &str) -> Self {
        let pattern = Pattern::everything(text);
        Rule { pattern, line: 0, effect: Effect::Deny, conditions: Conditions::default(), demand: None }
    }
}

type Read<T> = Result<T, PolicyError>;
/// A text and where it stands.
pub(crate) type Placed<'a> = (&'a str, Option<Range<usize>>);

impl Policy {
    /// How many rules it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Reads a policy.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(text: &str) -> Read<Policy> {
        if text.len() > LONGEST {
            let message = format!("a policy has at most {LONGEST} bytes, not {}", text.len());
            return Err(PolicyError { line: 1, column: 1, message });
        }
        let body: Body = text.parse().map_err(PolicyError::of_syntax)?;
        let text = Text::of(text);
        let mut policy = Policy { rules: Vec::new() };
        let mut places = HashMap::new();
        for structure in &body {
            let rule = match structure {
                Structure::Block(block) if block.ident.as_str() == "path" => text.rule(block)?,
                other => {
                    let span = other.span();
                    return Err(text.wrong(span, "a policy is made of `path \"…\" { … }` blocks only"));
                }
            };
            policy.add(rule, &mut places).map_err(|message| text.wrong(structure.span(), message))?;
        }
        Ok(policy)
    }

    /// Adds a rule; `places` says where those of the same path stand.
    fn add(&mut self, rule: Rule, places: &mut HashMap<String, Vec<usize>>) -> Result<(), String> {
        if self.rules.len() == MOST_RULES {
            return Err(format!("a policy has at most {MOST_RULES} rules"));
        }
        let alike = places.entry(rule.pattern.text.clone()).or_default();
        let same = |before: &&Rule| (&before.conditions, &before.demand) == (&rule.conditions, &rule.demand);
        if let Some(before) = alike.iter().filter_map(|at| self.rules.get(*at)).find(same) {
            return Err(format!("this path stands on line {} already; make one rule of them", before.line));
        }
        alike.push(self.rules.len());
        self.rules.push(rule);
        Ok(())
    }
}

/// Where the lines of the text begin, for the places in it: every rule asks for its own.
pub(crate) struct Text(Vec<usize>);

impl Text {
    pub(crate) fn of(text: &str) -> Self {
        let after = |(at, _): (usize, &str)| at + 1;
        Text(std::iter::once(0).chain(text.match_indices('\n').map(after)).collect())
    }

    /// What is wrong there, or with the whole.
    pub(crate) fn wrong(&self, span: Option<Range<usize>>, message: impl Into<String>) -> PolicyError {
        let at = span.map_or(0, |span| span.start);
        let line = self.0.partition_point(|start| *start <= at);
        let start = self.0.get(line.saturating_sub(1)).copied().unwrap_or_default();
        PolicyError { line, column: at - start + 1, message: message.into() }
    }

    fn rule(&self, block: &Block) -> Read<Rule> {
        let [label] = &block.labels[..] else {
            return Err(self.wrong(block.ident.span(), "a rule has one path: `path \"kms/keys/…\" { … }`"));
        };
        let label_span = match label {
            BlockLabel::Ident(ident) => ident.span(),
            BlockLabel::String(string) => string.span(),
        };
        let pattern =
            Pattern::read(label.as_str()).map_err(|message| self.wrong(label_span.clone(), message))?;
        let mut effect = None;
        let mut conditions = Conditions::default();
        let (mut approvals, mut approvers) = (None, None);
        for structure in &block.body {
            let Structure::Attribute(attribute) = structure else {
                return Err(self.wrong(structure.span(), "a rule has no blocks in it, only `name = value`"));
            };
            match attribute.key.as_str() {
                "capabilities" => effect = Some(self.effect(attribute)?),
                "approvals" => approvals = Some((self.approvals(attribute)?, attribute)),
                "approvers" => approvers = Some((self.approvers(attribute)?, attribute)),
                _ => self.condition(attribute, &mut conditions)?,
            }
        }
        let effect = effect.ok_or_else(|| {
            self.wrong(label_span, "the rule says nothing: it needs `capabilities = [\"read\", …]`")
        })?;
        let demand = self.demand(effect, &conditions, approvals, approvers)?;
        Ok(Rule { pattern, line: self.wrong(block.span(), "").line, effect, conditions, demand })
    }

    /// What the rule demands. It binds whoever asks, so that nothing may hang on what he says or whence he comes.
    fn demand(
        &self,
        effect: Effect,
        conditions: &Conditions,
        approvals: Option<(u32, &Attribute)>,
        approvers: Option<(Vec<String>, &Attribute)>,
    ) -> Read<Option<Demand>> {
        let Some((needed, at)) = approvals else {
            let Some((_, at)) = approvers else { return Ok(None) };
            let message = "`approvers` says who gives approvals; say how many by `approvals`";
            return Err(self.wrong(at.key.span(), message));
        };
        let wrong = |message: String| Err(self.wrong(at.key.span(), message));
        match effect {
            Effect::Deny => {
                return wrong("what is denied is approved by nobody; take `deny` or `approvals`".into());
            }
            Effect::Grant(granted) => {
                if let Some(other) = unguarded(granted) {
                    let known = guarded();
                    return wrong(format!(
                        "approvals are asked for {known}, not for `{other}`; grant that by a rule of its own"
                    ));
                }
            }
        }
        if !conditions.is_empty() {
            return wrong(
                "a rule with `approvals` has no conditions: it is to hold whoever asks, and when".into(),
            );
        }
        Ok(Some(Demand { needed, approvers: approvers.map_or_else(Vec::new, |(names, _)| names) }))
    }

    fn approvals(&self, attribute: &Attribute) -> Read<u32> {
        let number = attribute.value.as_number().and_then(hcl_edit::Number::as_u64);
        let number = number.and_then(|number| u32::try_from(number).ok());
        let message = format!("`approvals` is a number from 1 to {MAX_APPROVALS}");
        number
            .filter(|number| (1..=MAX_APPROVALS).contains(number))
            .ok_or_else(|| self.wrong(attribute.value.span(), message))
    }

    fn approvers(&self, attribute: &Attribute) -> Read<Vec<String>> {
        let one = |(name, span): Placed<'_>| {
            check_policy_name(name).map_err(|error| self.wrong(span, error.message))?;
            Ok(name.to_owned())
        };
        self.texts(attribute)?.into_iter().map(one).collect()
    }

    fn effect(&self, attribute: &Attribute) -> Read<Effect> {
        let names = self.texts(attribute)?;
        if names.iter().any(|(name, _)| *name == DENY) {
            return match names.len() {
                1 => Ok(Effect::Deny),
                _ => {
                    Err(self.wrong(attribute.value.span(), "`deny` stands alone: it forbids everything else"))
                }
            };
        }
        let mut granted = Capabilities::NONE;
        for (name, span) in names {
            let known = Capability::ALL.into_iter().find(|capability| capability.name() == name);
            let capability = known.ok_or_else(|| {
                let all = Capability::ALL.map(Capability::name).join(", ");
                self.wrong(span, format!("there is no capability `{name}`; there are {all}, and {DENY}"))
            })?;
            granted = granted.with(capability);
        }
        Ok(Effect::Grant(granted))
    }

    fn condition(&self, attribute: &Attribute, conditions: &mut Conditions) -> Read<()> {
        match attribute.key.as_str() {
            "key_types" => {
                conditions.key_types =
                    self.each(attribute, |name| name.parse::<KeyType>().ok(), "a key type")?;
            }
            "max_payload" => conditions.max_payload = Some(self.size(attribute)?),
            "required_context" => conditions.context = Some(self.context(attribute)?),
            "valid_hours" => {
                conditions.hours =
                    self.each(attribute, Hours::read, "a time of day in UTC like `08:00-18:00`")?;
            }
            "source_networks" => {
                let what = "a network like `10.0.0.0/8`, an address, or `local`";
                conditions.networks = self.each(attribute, Network::read, what)?;
            }
            other => {
                let known = "capabilities, approvals, approvers, key_types, max_payload, required_context, valid_hours, source_networks";
                let message = format!("a rule has no `{other}`; it has {known}");
                return Err(self.wrong(attribute.key.span(), message));
            }
        }
        Ok(())
    }

    fn each<T>(&self, attribute: &Attribute, read: impl Fn(&str) -> Option<T>, what: &str) -> Read<Vec<T>> {
        let one =
            |(text, span)| read(text).ok_or_else(|| self.wrong(span, format!("`{text}` is not {what}")));
        self.texts(attribute)?.into_iter().map(one).collect()
    }

    fn size(&self, attribute: &Attribute) -> Read<u64> {
        let value = &attribute.value;
        let number = match value.as_str() {
            Some(text) => bytes(text),
            None => value.as_number().and_then(hcl_edit::Number::as_u64),
        };
        let message = "`max_payload` is a number of bytes, or a text like \"64KiB\"";
        number.ok_or_else(|| self.wrong(value.span(), message))
    }

    fn context(&self, attribute: &Attribute) -> Read<Context> {
        match attribute.value.as_bool() {
            Some(true) => return Ok(Context::Some),
            Some(false) => {
                let message = "`required_context` is true or a list; leave it out if any context will do";
                return Err(self.wrong(attribute.value.span(), message));
            }
            None => {}
        }
        let known = self.texts(attribute)?.into_iter().map(|(text, _)| match text.strip_suffix('*') {
            Some(beginning) => (beginning.as_bytes().to_vec(), true),
            None => (text.as_bytes().to_vec(), false),
        });
        Ok(Context::OneOf(known.collect()))
    }

    /// A list of texts, or one text alone.
    pub(crate) fn texts<'a>(&self, attribute: &'a Attribute) -> Read<Vec<Placed<'a>>> {
        self.texts_of(attribute.key.as_str(), &attribute.value)
    }

    /// The same of the value that is called `name`.
    pub(crate) fn texts_of<'a>(&self, name: &str, value: &'a Expression) -> Read<Vec<Placed<'a>>> {
        let text = |value: &'a Expression| match value.as_str() {
            Some(text) => Ok((text, value.span())),
            None => Err(self.wrong(
                value.span(),
                format!("`{name}` is a list of texts in quotes, without expressions or ${{…}}"),
            )),
        };
        let Some(list) = value.as_array() else { return Ok(vec![text(value)?]) };
        if list.is_empty() {
            let message = format!("`{name}` is empty; name something, or leave the line out");
            return Err(self.wrong(value.span(), message));
        }
        list.iter().map(text).collect()
    }
}

/// A number of bytes: `512`, `64KiB`, `16MiB`, `1GiB`.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_policy_is_named_with_its_place() {
        for (text, line, column, part) in [
            ("path \"kms/keys/a\" {\n  capabilities = [\"reed\"]\n}", 2, 19, "no capability `reed`"),
            ("path \"kms/keys/a\" {\n  capabilities = [\"deny\", \"read\"]\n}", 2, 18, "stands alone"),
            ("path \"kms/keys/a\" {\n  capabilities = []\n}", 2, 18, "is empty"),
            (
                "path \"kms/keys/a\" {\n  capabilities = [\"read\"]\n  capabilities = [\"list\"]\n}",
                3,
                3,
                "redefined",
            ),
            ("\npath \"kms/keys/a\" {\n}", 2, 6, "says nothing"),
            ("path \"kms/*/a\" { capabilities = [\"read\"] }", 1, 6, "stands at the end"),
            ("path { capabilities = [\"read\"] }", 1, 1, "one path"),
            ("name = \"x\"", 1, 1, "blocks only"),
            ("paths \"kms/keys/a\" {}", 1, 1, "blocks only"),
            ("path \"kms/keys/a\" {\n  capabilities = [\"re${1}d\"]\n}", 2, 19, "without expressions"),
            ("path \"kms/keys/a\" {\n  capabilities = concat([\"read\"])\n}", 2, 18, "without expressions"),
            ("path \"kms/keys/a\" {\n  capabilities = [\"read\"]\n  ttl = 5\n}", 3, 3, "no `ttl`"),
            (
                "path \"kms/keys/a\" {\n  capabilities = [\"read\"]\n  max_payload = -1\n}",
                3,
                17,
                "number of bytes",
            ),
            (
                "path \"kms/keys/a\" {\n  capabilities = [\"read\"]\n  key_types = [\"aes\"]\n}",
                3,
                16,
                "a key type",
            ),
            (
                "path \"kms/keys/a\" {\n  capabilities = [\"read\"]\n  valid_hours = [\"8-9\"]\n}",
                3,
                18,
                "time of day",
            ),
            (
                "path \"kms/keys/a\" {\n  capabilities = [\"read\"]\n  source_networks = [\"10.0.0.1/8\"]\n}",
                3,
                22,
                "a network",
            ),
            ("path \"kms/keys/a\" {\n  capabilities = [\"read\"]\n  a {}\n}", 3, 3, "no blocks"),
        ] {
            let refused = Policy::read(text).unwrap_err();
            let place = (refused.line, refused.column);
            assert!(place == (line, column) && refused.message.contains(part), "{text}\n{refused}");
        }
        let twice = "path \"kms/keys/a\" { capabilities = [\"read\"] }\n".repeat(2);
        assert!(Policy::read(&twice).unwrap_err().message.contains("on line 1"));
        assert!(Policy::read("path \"a {").unwrap_err().line >= 1);
        assert!(Policy::read(&" ".repeat(LONGEST + 1)).is_err());
        assert!(Policy::read("").unwrap().rules.is_empty());
    }

    #[test]
    fn sizes() {
        assert_eq!((bytes("64KiB"), bytes("7"), bytes("1GiB")), (Some(65_536), Some(7), Some(1 << 30)));
        assert_eq!((bytes("64kb"), bytes(""), bytes("99999999999GiB")), (None, None, None));
    }
}
