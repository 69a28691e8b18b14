//! What a caller may: capabilities that hold for every path, and the rules of policies.
//!
//! Capabilities of its own are a rule on `*` without conditions. So a rule that denies beats them, as it beats every grant.

use super::decide::{Asked, Decision, Rules, Why};
use canis_proto::{Capabilities, Capability};
use std::sync::Arc;

/// What a caller may.
#[derive(Clone, Debug)]
pub(crate) struct Rights {
    capabilities: Capabilities,
    rules: Option<Arc<Rules>>,
}

impl Rights {
    /// These capabilities on every path.
    pub(crate) const fn everywhere(capabilities: Capabilities) -> Self {
        Rights { capabilities, rules: None }
    }

    /// The same, and what the rules say.
    pub(crate) fn new(capabilities: Capabilities, rules: Option<Arc<Rules>>) -> Self {
        Rights { capabilities, rules }
    }

    /// The capabilities that hold for every path that no rule denies.
    pub(crate) fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// The rules, if policies say anything about the caller.
    pub(crate) fn rules(&self) -> Option<&Rules> {
        self.rules.as_deref()
    }

    /// Decides.
    pub(crate) fn decide(&self, asked: &Asked<'_>) -> Decision<'_> {
        let own = Decision { allowed: true, rule: None, why: Why::Own, longest: u64::MAX };
        let holds = self.capabilities.allows(asked.capability);
        match &self.rules {
            None if holds => own,
            None => Decision { allowed: false, rule: None, why: Why::NoRule, longest: 0 },
            Some(rules) => match rules.decide(asked) {
                decision if holds && decision.why != Why::Denied => own,
                decision => decision,
            },
        }
    }

    /// Whether the capability is granted on a path whatever the conditions: by a rule that has none, and with no rule that
    /// might deny it.
    pub(crate) fn always_allow(&self, capability: Capability, path: &[u8]) -> bool {
        let (granted, denied) =
            self.rules().map_or((false, false), |rules| rules.unconditionally(capability, path));
        !denied && (granted || self.capabilities.allows(capability))
    }

    /// Whether the capability is granted on some path: enough to ask for a list, which shows what is granted.
    pub(crate) fn grants_somewhere(&self, capability: Capability) -> bool {
        self.capabilities.allows(capability)
            || self.rules().is_some_and(|rules| rules.grants_somewhere(capability))
    }
}
