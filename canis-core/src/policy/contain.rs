//! Whether rights hold others: nobody gives away more than he has.
//!
//! Rights hold a rule that grants if, for each of its capabilities, they have a rule that is about every path of it under
//! no other conditions; and if nothing on these paths is denied to them but what the given rules deny as well. That is
//! stricter than it had to be where several rules cover a path together, and never laxer.

use super::decide::Rules;
use super::path::{Pattern, Segment};
use super::read::{Effect, Rule};
use super::rights::Rights;
use canis_proto::{Capabilities, Capability};

/// What is granted by a rule and not had, so that it cannot be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotHeld {
    /// The capability.
    pub(crate) capability: Capability,
    /// The path of the rule that grants it.
    pub(crate) path: String,
}

impl Rights {
    /// Whether these rights hold those of the others.
    ///
    /// # Errors
    /// The first thing that they do not hold.
    pub(crate) fn hold(&self, given: &Rights) -> Result<(), NotHeld> {
        let everywhere = Pattern::everything("*");
        let own = Rule {
            pattern: everywhere,
            line: 0,
            effect: Effect::Grant(given.capabilities()),
            conditions: super::condition::Conditions::default(),
            demand: None,
        };
        let denials: Vec<&Rule> = given.denials().collect();
        for rule in given.rules().into_iter().flat_map(Rules::iter).chain([&own]) {
            if let Effect::Grant(granted) = rule.effect {
                self.hold_rule(rule, granted, &denials)?;
            }
        }
        Ok(())
    }

    /// Whether these rights hold everything that the rules of `old` deny and those of `new` do not: who takes a denial
    /// away gives what it denied.
    ///
    /// # Errors
    /// The first thing that they do not hold.
    pub(crate) fn may_lift(&self, old: &Rights, new: &Rights) -> Result<(), NotHeld> {
        let kept: Vec<&Rule> = new.denials().collect();
        for denial in old.denials().filter(|denial| !kept.iter().any(|kept| kept.says_the_same(denial))) {
            self.hold_rule(denial, Capabilities::ALL, &kept)?;
        }
        Ok(())
    }

    fn hold_rule(&self, rule: &Rule, granted: Capabilities, denials: &[&Rule]) -> Result<(), NotHeld> {
        let told = |capability| NotHeld { capability, path: rule.pattern.text.clone() };
        let wanted = || Capability::ALL.into_iter().filter(|capability| granted.allows(*capability));
        let in_the_way = |own: &Rule| {
            own.pattern.meets(&rule.pattern) && !denials.iter().any(|denial| denial.says_the_same(own))
        };
        if let (Some(first), true) = (wanted().next(), self.denials().any(in_the_way)) {
            return Err(told(first));
        }
        let by_rule = |capability| {
            let grants = |own: &&Rule| {
                matches!(own.effect, Effect::Grant(grant) if grant.allows(capability))
                    && (own.conditions == rule.conditions || own.conditions.is_empty())
                    && own.pattern.covers(&rule.pattern)
            };
            self.rules().is_some_and(|rules| rules.iter().any(|own| grants(&own)))
        };
        let lacked =
            wanted().find(|capability| !self.capabilities().allows(*capability) && !by_rule(*capability));
        lacked.map_or(Ok(()), |capability| Err(told(capability)))
    }

    fn denials(&self) -> impl Iterator<Item = &Rule> {
        self.rules().into_iter().flat_map(Rules::iter).filter(|rule| rule.effect == Effect::Deny)
    }
}

impl Rule {
    fn says_the_same(&self, other: &Rule) -> bool {
        (&self.pattern.segments, &self.pattern.rest, self.effect, &self.conditions)
            == (&other.pattern.segments, &other.pattern.rest, other.effect, &other.conditions)
    }
}

impl Pattern {
    /// Whether it matches every path that the other one matches.
    pub(super) fn covers(&self, other: &Pattern) -> bool {
        let whole = self.segments.len();
        let alike = |(own, other): (&Segment, &Segment)| *own == Segment::Any || own == other;
        if other.segments.len() < whole || !self.segments.iter().zip(&other.segments).all(alike) {
            return false;
        }
        match (&self.rest, other.segments.get(whole)) {
            (None, _) => other.rest.is_none() && other.segments.len() == whole,
            (Some(beginning), Some(Segment::Is(next))) => next.starts_with(beginning),
            (Some(beginning), Some(Segment::Any)) => beginning.is_empty(),
            (Some(beginning), None) => other.rest.as_ref().is_some_and(|rest| rest.starts_with(beginning)),
        }
    }

    /// Whether some path is matched by both.
    fn meets(&self, other: &Pattern) -> bool {
        let alike =
            |(one, two): (&Segment, &Segment)| *one == Segment::Any || *two == Segment::Any || one == two;
        if !self.segments.iter().zip(&other.segments).all(alike) {
            return false;
        }
        let (short, long) =
            if self.segments.len() <= other.segments.len() { (self, other) } else { (other, self) };
        match (&short.rest, long.segments.get(short.segments.len())) {
            // The shorter one ends where the longer one goes on.
            (None, Some(_)) => false,
            (None, None) => long.rest.as_ref().is_none(),
            (Some(beginning), Some(Segment::Is(next))) => next.starts_with(beginning),
            (Some(_), Some(Segment::Any)) => true,
            (Some(one), None) => match &long.rest {
                Some(two) => one.starts_with(two) || two.starts_with(one),
                None => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;
    use std::sync::Arc;

    fn rights(capabilities: Capabilities, text: &str) -> Rights {
        let policy = Policy::read(text).unwrap();
        Rights::new(capabilities, Some(Arc::new(Rules::of([("p", &policy)]))))
    }

    #[test]
    fn patterns_cover_and_meet() {
        let read = |text: &str| Pattern::read(text).unwrap();
        for (wide, narrow) in [
            ("*", "kms/keys/a"),
            ("kms/*", "kms/keys/*"),
            ("kms/keys/a*", "kms/keys/ab/c"),
            ("kms/keys/+/x", "kms/keys/a/x"),
            ("kms/keys/*", "kms/keys/+"),
            ("kms/keys/a", "kms/keys/a"),
        ] {
            assert!(read(wide).covers(&read(narrow)), "{wide} {narrow}");
            assert!(read(wide).meets(&read(narrow)) && read(narrow).meets(&read(wide)), "{wide} {narrow}");
        }
        for (one, other) in [
            ("kms/keys/a", "kms/keys/a/b"),
            ("kms/keys/a*", "kms/keys/b"),
            ("kms/keys/+", "kms/keys/a/b"),
            ("kms/kv/*", "kms/keys/*"),
            ("kms/keys/a/*", "kms/keys/a"),
            ("kms/keys/a*", "kms/keys/b*"),
        ] {
            assert!(!read(one).meets(&read(other)) && !read(other).meets(&read(one)), "{one} {other}");
            assert!(!read(one).covers(&read(other)), "{one} {other}");
        }
        for (narrow, wide) in [("kms/keys/a/x", "kms/keys/+/x"), ("kms/keys/ab*", "kms/keys/+")] {
            assert!(!read(narrow).covers(&read(wide)) && read(narrow).meets(&read(wide)), "{narrow} {wide}");
        }
    }

    /// R59: nobody gives away more than he has, by whatever rule it is said.
    #[test]
    fn what_is_not_had_cannot_be_given() {
        let production = r#"path "kms/keys/production/*" { capabilities = ["sign", "verify"] }"#;
        let holds = |own: &Rights, given: &str| own.hold(&rights(Capabilities::NONE, given)).is_ok();
        let signer = rights(Capabilities::NONE, production);
        assert!(holds(&signer, production));
        assert!(holds(&signer, r#"path "kms/keys/production/a" { capabilities = ["sign"] }"#));
        assert!(holds(&signer, r#"path "kms/keys/production/*" { capabilities = ["deny"] }"#));
        for more in [
            r#"path "kms/keys/production/*" { capabilities = ["sign", "decrypt"] }"#,
            r#"path "kms/keys/*" { capabilities = ["sign"] }"#,
            r#"path "kms/keys/production" { capabilities = ["sign"] }"#,
            r#"path "kms/+/production/a" { capabilities = ["sign"] }"#,
        ] {
            assert!(!holds(&signer, more), "{more}");
        }
        let all = rights(Capabilities::ALL, "");
        assert!(all.hold(&signer).is_ok() && all.hold(&all).is_ok() && signer.hold(&all).is_err());
        // Conditions: had without one, given with one; never the other way round.
        let hours = "path \"kms/keys/production/*\" {\n capabilities = [\"sign\"]\n valid_hours = [\"08:00-18:00\"]\n}";
        let by_day = rights(Capabilities::NONE, hours);
        assert!(holds(&signer, hours) && holds(&by_day, hours));
        assert!(!holds(&by_day, r#"path "kms/keys/production/*" { capabilities = ["sign"] }"#));
    }

    /// R59: what is denied to somebody he cannot give, nor can he lift a denial.
    #[test]
    fn what_is_denied_cannot_be_given() {
        let closed = r#"path "kms/keys/root-*" { capabilities = ["deny"] }"#;
        let most = rights(Capabilities::ALL, closed);
        let given = |text: &str| rights(Capabilities::NONE, text);
        assert!(most.hold(&given(r#"path "kms/keys/a" { capabilities = ["sign"] }"#)).is_ok());
        assert!(most.hold(&given(r#"path "kms/keys/root-1" { capabilities = ["sign"] }"#)).is_err());
        assert!(most.hold(&given(r#"path "kms/keys/*" { capabilities = ["sign"] }"#)).is_err());
        let besides = format!("path \"kms/keys/*\" {{ capabilities = [\"sign\"] }}\n{closed}");
        assert!(most.hold(&given(&besides)).is_ok(), "with the same denial");
        assert!(most.may_lift(&given(closed), &given("")).is_err());
        assert!(most.may_lift(&given(closed), &given(closed)).is_ok());
        assert!(rights(Capabilities::ALL, "").may_lift(&given(closed), &given("")).is_ok());
    }
}
