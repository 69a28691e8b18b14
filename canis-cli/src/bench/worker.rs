//! The measuring child: its environment says where the modules keep their tokens, its stdin what to do.

use super::measure::{Place, compare};
use super::module::{self, Login, refused};
use super::operation::{Kind, Op};
use super::plan::{Effort, Keep, Made, Measured, Plan, Started, Target, Which};
use super::{canisp, direct, keys, steps};
use crate::show;
use canis_proto::{Error, Result};
use cryptoki::context::Pkcs11;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::UserType;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

/// Reads a plan, does it and prints the answer.
pub(super) fn run() -> Result<()> {
    let plan = serde_json::from_reader(std::io::stdin().lock())
        .map_err(|e| Error::invalid(format!("this command is for `canis bench` itself: {e}")))?;
    let answer = match plan {
        Plan::Prepare { target, so_pin, objects } => value(&prepare(&target, &so_pin, objects)?),
        Plan::Measure { targets, keep, objects, effort } => {
            value(&measure(&targets, &keep, objects, &effort)?)
        }
        Plan::Direct { target, effort } => value(&direct::measure(&target, &effort)?),
        Plan::Start { target } => value(&start(&target)?),
        Plan::Count { target, op, times } => value(&count(&target, op, times)?),
        Plan::Load(plan) => value(&canisp::load::run(&plan)?),
        Plan::Echo(plan) => value(&canisp::echo::run(&plan)?),
    };
    show::json(&answer?)
}

fn value(answer: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(answer).map_err(|e| Error::internal(e.to_string()))
}

fn prepare(target: &Target, so_pin: &Path, objects: usize) -> Result<Made> {
    let Which::Label(label) = &target.token else {
        return Err(Error::invalid("a token is made by label"));
    };
    let library = module::load(&target.module)?;
    module::initialize(&library)?;
    let so_pin = module::pin(so_pin)?;
    let free = library.get_all_slots().map_err(refused)?.into_iter();
    let mut free =
        free.filter(|slot| library.get_token_info(*slot).is_ok_and(|info| !info.token_initialized()));
    let Some(slot) = free.next() else {
        return Err(Error::invalid("the module has no slot with an uninitialised token"));
    };
    library.init_token(slot, &so_pin, label).map_err(refused)?;
    let slot = module::slot(&library, &target.token)?;
    {
        let session = library.open_rw_session(slot).map_err(refused)?;
        session.login(UserType::So, Some(&so_pin)).map_err(refused)?;
        session.init_pin(&module::pin(&target.pin)?).map_err(refused)?;
        session.logout().map_err(refused)?;
    }
    let made = fill(&library, target, objects)?;
    library.finalize().map_err(refused)?;
    Ok(made)
}

fn fill(library: &Pkcs11, target: &Target, objects: usize) -> Result<Made> {
    let slot = module::slot(library, &target.token)?;
    let session = library.open_rw_session(slot).map_err(refused)?;
    module::login(&session, &module::pin(&target.pin)?)?;
    keys::generate(&session, Kind::P256, Keep::Token)?;
    let begin = Instant::now();
    for number in 0..objects {
        session.create_object(&steps::object(steps::object_label(number))).map_err(refused)?;
    }
    Ok(Made { seconds: begin.elapsed().as_secs_f64() })
}

fn measure(targets: &[Target], keep: &[Keep], objects: Option<usize>, effort: &Effort) -> Result<Measured> {
    let logins = targets.iter().map(Login::new).collect::<Result<Vec<_>>>()?;
    let mut measured = Measured::default();
    for (at, keep) in keep.iter().enumerate() {
        // What uses no key is measured once.
        let ops: Vec<Op> = effort.ops.iter().copied().filter(|op| at == 0 || op.key().is_some()).collect();
        let modules: Vec<_> = logins.iter().map(|login| login.module(&ops, *keep, objects)).collect();
        measured.names = modules.iter().map(|module| module.name.clone()).collect();
        let [a, others @ ..] = &modules[..] else {
            return Err(Error::invalid("there is no module to measure"));
        };
        for op in ops {
            progress(op.title());
            let place = Place { keys: op.key().map(|_| *keep), objects };
            let b = others.first().map(|b| b as _);
            measured.rows.extend(compare(a, b, op, place, effort));
        }
    }
    progress("");
    Ok(measured)
}

/// Shows a person that something is going on.
pub(super) fn progress(what: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{what}");
    }
}

/// Milliseconds since `last`, which becomes now.
fn lap(last: &mut Instant) -> f64 {
    let now = Instant::now();
    let passed = now.duration_since(*last).as_secs_f64() * 1e3;
    *last = now;
    passed
}

fn start(target: &Target) -> Result<Started> {
    let (library, pin) = (module::load(&target.module)?, module::pin(&target.pin)?);
    let clock = &mut Instant::now();
    module::initialize(&library)?;
    let initialize = lap(clock);
    let slot = module::slot(&library, &target.token)?;
    let session = library.open_rw_session(slot).map_err(refused)?;
    let opened = lap(clock);
    module::login(&session, &pin)?;
    let login = lap(clock);
    let label = Attribute::Label(keys::label(Kind::P256).into_bytes());
    let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), label];
    let found = session.find_objects(&template).map_err(refused)?;
    let find = lap(clock);
    let [key, ..] = found[..] else {
        return Err(Error::invalid("the key that was put on the token is not found"));
    };
    session.sign(&Mechanism::Ecdsa, key, &steps::DIGEST[..32]).map_err(refused)?;
    Ok(Started { initialize, session: opened, login, find, sign: lap(clock) })
}

fn count(target: &Target, op: Op, times: usize) -> Result<()> {
    use super::measure::Subject;
    let login = Login::new(target)?;
    let module = login.module(&[op], Keep::Session, Some(COUNTED_OBJECTS));
    let mut step = module.step(op)?;
    for _ in 0..=times {
        step()?;
    }
    Ok(())
}

/// How many objects are on the token while instructions are counted.
pub(super) const COUNTED_OBJECTS: usize = 1000;
