//! The life of keys of every type against a model: random sequences of what two processes ask of one store, compared with a
//! plain map after each step, and shrunk when they differ.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod model_work;
mod store;

use canis_core::crypto::default_provider;
use canis_core::{Caller, Core};
use canis_proto::message::{
    ActivateKey, CreateKey, DestroyKey, DisableKey, EnableKey, ListKeys, RotateKey, ShowKey, UpdateKey,
};
use canis_proto::{ErrorCode, Interval, KeyState, KeyType, Result};
use model_work::{Work, types};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use store::{Opened, fresh, open};

/// What is asked, of one of a few keys.
#[derive(Clone, Debug)]
enum Step {
    Create {
        activate: bool,
        retain: u32,
    },
    Activate,
    Disable,
    Enable,
    Destroy,
    Rotate,
    AllowDeletion(bool),
    Limits {
        decryption: u32,
        encryption: u32,
    },
    /// Encrypt, sign, encapsulate: what the key is for.
    Make {
        version: u32,
    },
    /// Decrypt, verify, decapsulate what was made before.
    Open {
        which: usize,
    },
    /// The process ends and another takes its place.
    Restart,
}

/// The types of the keys, each of which has one name; and by which process and of which key each step is asked.
type Course = ([KeyType; 3], Vec<(usize, usize, Step)>);

fn courses() -> impl Strategy<Value = Course> {
    let step = prop_oneof![
        3 => (prop::bool::weighted(0.8), 0..4u32).prop_map(|(activate, retain)| Step::Create { activate, retain }),
        1 => Just(Step::Activate),
        2 => Just(Step::Disable),
        2 => Just(Step::Enable),
        2 => Just(Step::Destroy),
        4 => Just(Step::Rotate),
        1 => any::<bool>().prop_map(Step::AllowDeletion),
        1 => (0..5u32, 0..5u32).prop_map(|(decryption, encryption)| Step::Limits { decryption, encryption }),
        4 => (0..4u32).prop_map(|version| Step::Make { version }),
        4 => (0..8usize).prop_map(|which| Step::Open { which }),
        1 => Just(Step::Restart),
    ];
    let kind = || prop::sample::select(types());
    ([kind(), kind(), kind()], prop::collection::vec((0..2usize, 0..3usize, step), 1..60))
}

/// A key as it should be.
#[derive(Clone, Debug)]
struct Model {
    state: KeyState,
    current: u32,
    oldest: u32,
    retain: u32,
    deletion_allowed: bool,
    min_decryption: u32,
    min_encryption: u32,
}

#[derive(Default)]
struct World {
    keys: BTreeMap<String, Model>,
    destroyed: BTreeSet<String>,
    made: Vec<Made>,
    /// How many keys of a name there have been.
    generations: BTreeMap<String, usize>,
}

/// What the how many-th key of a name made, and under which version.
#[derive(Clone)]
struct Made {
    work: Work,
    name: String,
    generation: usize,
    version: u32,
    /// The text form, and the secret that was shared.
    made: (String, Vec<u8>),
}

type Expected = std::result::Result<(), ErrorCode>;

impl World {
    /// What a step should answer, and what is so afterwards.
    fn expect(&mut self, name: &str, step: &Step) -> Expected {
        let absent =
            if self.destroyed.contains(name) { ErrorCode::KeyDestroyed } else { ErrorCode::KeyNotFound };
        if let Step::Create { activate, retain } = step {
            if self.keys.contains_key(name) {
                return Err(ErrorCode::KeyExists);
            }
            let state = if *activate { KeyState::Active } else { KeyState::Created };
            let key = Model {
                state,
                current: 1,
                oldest: 1,
                retain: *retain,
                deletion_allowed: true,
                min_decryption: 1,
                min_encryption: 0,
            };
            self.keys.insert(name.to_owned(), key);
            *self.generations.entry(name.to_owned()).or_default() += 1;
            return Ok(());
        }
        let key = self.keys.get_mut(name).ok_or(absent)?;
        let not_allowed = Err(ErrorCode::OperationNotAllowed);
        let go = |key: &mut Model, from, to| match key.state {
            state if state == to => Ok(()),
            state if state == from => {
                key.state = to;
                Ok(())
            }
            _ => not_allowed,
        };
        match step {
            Step::Activate => go(key, KeyState::Created, KeyState::Active),
            Step::Disable => go(key, KeyState::Active, KeyState::Disabled),
            Step::Enable => go(key, KeyState::Disabled, KeyState::Active),
            Step::Destroy if key.state != KeyState::Disabled || !key.deletion_allowed => not_allowed,
            Step::Destroy => {
                self.keys.remove(name);
                self.destroyed.insert(name.to_owned());
                Ok(())
            }
            Step::Rotate if key.state != KeyState::Active => not_allowed,
            Step::Rotate => {
                key.current += 1;
                if key.retain > 0 && key.deletion_allowed {
                    key.oldest = key.oldest.max((key.current + 1).saturating_sub(key.retain));
                }
                Ok(())
            }
            Step::AllowDeletion(allowed) => {
                key.deletion_allowed = *allowed;
                Ok(())
            }
            Step::Limits { decryption, encryption } => {
                let decrypts = (1..=key.current).contains(decryption);
                let encrypts = *encryption == 0 || (*decryption..=key.current).contains(encryption);
                if !decrypts || !encrypts {
                    return Err(ErrorCode::InvalidArgument);
                }
                (key.min_decryption, key.min_encryption) = (*decryption, *encryption);
                Ok(())
            }
            Step::Make { .. } if key.state != KeyState::Active => not_allowed,
            Step::Make { version } => match *version {
                version if version == 0 || version == key.current => Ok(()),
                version if version > key.current => Err(ErrorCode::VersionNotFound),
                version if key.min_encryption == 0 || version < key.min_encryption => {
                    Err(ErrorCode::VersionNotAllowed)
                }
                version if version < key.oldest => Err(ErrorCode::VersionRetired),
                _ => Ok(()),
            },
            Step::Create { .. } | Step::Open { .. } | Step::Restart => Ok(()),
        }
    }

    /// What opening something made before should answer, and whether it holds.
    fn expect_opening(&self, made: &Made) -> std::result::Result<bool, ErrorCode> {
        let Made { name, generation, version, .. } = made;
        let absent =
            if self.destroyed.contains(name) { ErrorCode::KeyDestroyed } else { ErrorCode::KeyNotFound };
        let key = self.keys.get(name).ok_or(absent)?;
        match key.state {
            KeyState::Created => Err(ErrorCode::OperationNotAllowed),
            _ if *version < key.oldest => Err(ErrorCode::VersionRetired),
            _ if *version < key.min_decryption => Err(ErrorCode::VersionNotAllowed),
            _ if *version > key.current => Err(ErrorCode::VersionNotFound),
            // A later key of the same name is another key.
            _ if *generation != self.generations[name] => made.work.of_another_key(),
            _ => Ok(true),
        }
    }
}

/// Two processes on one store.
struct Processes {
    opened: Opened,
    cores: [Core; 2],
    callers: [Caller; 2],
}

impl Processes {
    fn new() -> Self {
        let opened = fresh(default_provider());
        let cores = [0, 1].map(|_| open(opened.dir.path(), default_provider()));
        let callers = [&cores[0], &cores[1]].map(|core| core.authenticate(&opened.token).unwrap());
        Processes { opened, cores, callers }
    }

    fn call<R: canis_core::Run>(&self, who: usize, request: R) -> Result<R::Answer> {
        self.cores[who].call(&self.callers[who], request)
    }

    fn restart(&mut self, who: usize) {
        self.cores[who] = open(self.opened.dir.path(), default_provider());
        self.callers[who] = self.cores[who].authenticate(&self.opened.token).unwrap();
    }

    fn ask(&self, who: usize, (name, kind): (&str, KeyType), step: &Step) -> Result<()> {
        let name: std::borrow::Cow<'_, str> = name.into();
        match step {
            Step::Create { activate, retain } => {
                let made = CreateKey::new(name, kind);
                self.call(who, CreateKey { activate: *activate, retain_versions: *retain, ..made }).map(drop)
            }
            Step::Activate => self.call(who, ActivateKey { name }).map(drop),
            Step::Disable => self.call(who, DisableKey { name }).map(drop),
            Step::Enable => self.call(who, EnableKey { name }).map(drop),
            Step::Destroy => self.call(who, DestroyKey { name, delay: Interval::NEVER }).map(drop),
            Step::Rotate => self.call(who, RotateKey { name, preview: false }).map(drop),
            Step::AllowDeletion(allowed) => self
                .call(who, UpdateKey { deletion_allowed: Some(*allowed), ..UpdateKey::new(name) })
                .map(drop),
            Step::Limits { decryption, encryption } => {
                let limits = UpdateKey {
                    min_decryption_version: Some(*decryption),
                    min_encryption_version: Some(*encryption),
                    ..UpdateKey::new(name)
                };
                self.call(who, limits).map(drop)
            }
            Step::Make { .. } | Step::Open { .. } | Step::Restart => Ok(()),
        }
    }
}

/// Runs the steps on both, and compares.
fn run((kinds, steps): &Course) {
    let (mut processes, mut world) = (Processes::new(), World::default());
    for (at, (who, which, step)) in steps.iter().enumerate() {
        let (who, name, kind) = (*who, format!("k{which}"), kinds[*which]);
        let work = Work::of(kind);
        let called = format!("step {at}, {name}, {kind}: {step:?}");
        match step {
            Step::Restart => {
                processes.restart(who);
                continue;
            }
            Step::Open { which } => {
                let Some(made) = world.made.get(which % world.made.len().max(1)).cloned() else { continue };
                let (core, caller) = (&processes.cores[who], &processes.callers[who]);
                let opened = made.work.open(core, caller, &made.name, &made.made);
                let called = format!("{called}: version {} of {}", made.version, made.name);
                assert_eq!(opened.map_err(|e| e.code), world.expect_opening(&made), "{called}");
            }
            Step::Make { version } => {
                let version = if work.names_versions() { *version } else { 0 };
                let expected = world.expect(&name, &Step::Make { version });
                let made = work.make(&processes.cores[who], &processes.callers[who], &name, version);
                assert_eq!(made.as_ref().map(drop).map_err(|e| e.code), expected, "{called}");
                let Ok(made) = made else { continue };
                let version = canis_proto::text::Sealed::parse(&made.0).unwrap().version;
                world.made.push(Made { work, generation: world.generations[&name], name, version, made });
            }
            step => {
                let expected = world.expect(&name, step);
                let answered = processes.ask(who, (&name, kind), step);
                assert_eq!(answered.map_err(|e| e.code), expected, "{called}");
            }
        }
        compare(&processes, 1 - who, &world);
    }
}

/// The other process sees every key as the model has it.
fn compare(processes: &Processes, who: usize, world: &World) {
    let list = ListKeys { prefix: "".into(), after: "".into(), limit: 0, include_deleted: false };
    let listed = processes.call(who, list).unwrap().keys;
    assert_eq!(listed.iter().map(|k| &k.name).collect::<Vec<_>>(), world.keys.keys().collect::<Vec<_>>());
    for (name, model) in &world.keys {
        let key = processes.call(who, ShowKey { name: (&**name).into(), before_version: 0 }).unwrap();
        let versions: Vec<u32> = key.versions.iter().map(|version| version.version).collect();
        assert_eq!(versions, (model.oldest..=model.current).collect::<Vec<_>>(), "{name}");
        assert_eq!(
            (key.state, key.current_version, key.oldest_version),
            (model.state, model.current, model.oldest)
        );
        assert_eq!(
            (key.deletion_allowed, key.min_decryption_version, key.min_encryption_version),
            (model.deletion_allowed, model.min_decryption, model.min_encryption)
        );
    }
}

proptest! {
    // Each case makes a store; so many take seconds. PROPTEST_CASES asks for more.
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(40),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// R15–R24, R27, R35, R36, R69: whatever two processes ask in whatever order, keys are as the model says.
    #[test]
    fn keys_live_as_the_model_says(course in courses()) {
        run(&course);
    }
}
