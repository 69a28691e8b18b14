//! What rules demand: that others approve a request before it is done. Such a rule binds every caller of the tenant,
//! whoever bears its policy; what it grants, it grants to its bearers.

use super::path::Pattern;
use super::read::{Effect, Policy, Rule};
use canis_proto::{Capabilities, Capability};

/// The capabilities whose operations can wait for approvals.
const GUARDED: [Capability; 4] =
    [Capability::Update, Capability::Delete, Capability::Export, Capability::Admin];

/// How many have to approve, and who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// How many, from 1.
    pub(crate) needed: u32,
    /// The policies one of which each of them must bear; any if there are none.
    pub(crate) approvers: Vec<String>,
}

impl Demand {
    /// That so many approve, whoever they are.
    pub(crate) fn of_anybody(needed: u32) -> Self {
        Demand { needed, approvers: Vec::new() }
    }

    /// Whether what fulfils this one fulfils the other one.
    fn holds(&self, other: &Demand) -> bool {
        let narrower = match other.approvers.is_empty() {
            true => true,
            false => {
                !self.approvers.is_empty() && self.approvers.iter().all(|name| other.approvers.contains(name))
            }
        };
        self.needed >= other.needed && narrower
    }
}

/// The capabilities that a rule may not demand approvals for.
pub(super) fn unguarded(granted: Capabilities) -> Option<Capability> {
    Capability::ALL.into_iter().find(|one| granted.allows(*one) && !GUARDED.contains(one))
}

/// The names of those that it may.
pub(super) fn guarded() -> String {
    GUARDED.map(Capability::name).join(", ")
}

impl Policy {
    /// What its rules demand of whoever uses the capability on the path.
    pub(crate) fn demands<'a>(
        &'a self,
        capability: Capability,
        path: &'a [u8],
    ) -> impl Iterator<Item = &'a Demand> {
        let about = move |rule: &&Rule| rule.guards(capability) && rule.pattern.is_about(path);
        self.rules.iter().filter(about).filter_map(|rule| rule.demand.as_ref())
    }

    /// What it demands and `new` does not.
    pub(crate) fn lowered(&self, new: &Policy) -> Vec<&Demand> {
        let kept = |old: &Rule, demand: &Demand| {
            new.rules.iter().any(|rule| {
                let holds = rule.demand.as_ref().is_some_and(|new| new.holds(demand));
                let wide = GUARDED.into_iter().all(|one| !old.guards(one) || rule.guards(one));
                holds && wide && rule.pattern.covers(&old.pattern)
            })
        };
        let demanded = self.rules.iter().filter_map(|rule| Some((rule, rule.demand.as_ref()?)));
        demanded.filter(|(rule, demand)| !kept(rule, demand)).map(|(_, demand)| demand).collect()
    }
}

impl Rule {
    fn guards(&self, capability: Capability) -> bool {
        self.demand.is_some() && matches!(self.effect, Effect::Grant(granted) if granted.allows(capability))
    }
}

impl Pattern {
    /// Whether it matches the path.
    fn is_about(&self, path: &[u8]) -> bool {
        self.covers(&Pattern::of_path(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        Policy::read(text).unwrap()
    }

    const GUARDED_KEYS: &str =
        "path \"kms/keys/prod/*\" {\n  capabilities = [\"export\", \"delete\"]\n  approvals = 2\n}";

    #[test]
    fn demands_are_about_their_paths_and_capabilities() {
        let two = policy(GUARDED_KEYS);
        let count = |capability, path: &str| two.demands(capability, path.as_bytes()).count();
        assert_eq!(count(Capability::Export, "kms/keys/prod/a"), 1);
        assert_eq!(count(Capability::Delete, "kms/keys/prod/a/b"), 1);
        for (capability, path) in [
            (Capability::Update, "kms/keys/prod/a"),
            (Capability::Export, "kms/keys/prod"),
            (Capability::Export, "kms/keys/product"),
            (Capability::Export, "kms/kv/prod/a"),
        ] {
            assert_eq!(count(capability, path), 0, "{path}");
        }
    }

    /// Whoever asks for fewer, of fewer, by more, or on fewer paths lowers it; whoever asks for more does not.
    #[test]
    fn what_is_lowered_is_found() {
        let old = policy(GUARDED_KEYS);
        let lowers = |text: &str| !old.lowered(&policy(text)).is_empty();
        for less in [
            "",
            &GUARDED_KEYS.replace("= 2", "= 1"),
            &GUARDED_KEYS.replace("prod/*", "prod/a"),
            &GUARDED_KEYS.replace("\"export\", ", ""),
            &GUARDED_KEYS.replace("  approvals = 2\n", ""),
        ] {
            assert!(lowers(less), "{less}");
        }
        for enough in [
            GUARDED_KEYS,
            &GUARDED_KEYS.replace("= 2", "= 3"),
            &GUARDED_KEYS.replace("prod/*", "*"),
            &GUARDED_KEYS.replace("\"export\"", "\"export\", \"update\""),
            &GUARDED_KEYS.replace("= 2", "= 2\n  approvers = [\"custodians\"]"),
        ] {
            assert!(!lowers(enough), "{enough}");
        }
        let few = policy(&GUARDED_KEYS.replace("= 2", "= 2\n  approvers = [\"a\", \"b\"]"));
        assert!(!few.lowered(&old).is_empty());
        assert!(few.lowered(&policy(&GUARDED_KEYS.replace("= 2", "= 2\n  approvers = [\"b\"]"))).is_empty());
        assert!(!few.lowered(&policy(&GUARDED_KEYS.replace("= 2", "= 2\n  approvers = [\"c\"]"))).is_empty());
    }

    #[test]
    fn a_demand_that_would_not_be_kept_is_refused() {
        let rule = |inside: &str| format!("path \"kms/keys/a\" {{\n  {inside}\n}}");
        for (inside, part) in [
            ("capabilities = [\"export\", \"read\"]\n  approvals = 2", "`read`"),
            ("capabilities = [\"deny\"]\n  approvals = 2", "deny"),
            ("capabilities = [\"export\"]\n  approvals = 0", "1 to 16"),
            ("capabilities = [\"export\"]\n  approvals = 17", "1 to 16"),
            ("capabilities = [\"export\"]\n  approvals = \"two\"", "1 to 16"),
            ("capabilities = [\"export\"]\n  approvers = [\"a\"]", "approvals"),
            ("capabilities = [\"export\"]\n  approvals = 1\n  approvers = [\"a b\"]", "no name"),
            (
                "capabilities = [\"export\"]\n  approvals = 1\n  valid_hours = [\"08:00-18:00\"]",
                "no conditions",
            ),
        ] {
            let refused = Policy::read(&rule(inside)).unwrap_err();
            assert!(refused.message.contains(part), "{inside}: {refused}");
        }
    }
}
