//! What a token can do, found out without writing to it: keys to try with are objects of a session, gone with it.

use super::key;
use super::library::{Failure, failed, find, unavailable};
use super::mechanism::WrapMechanism;
use super::token::TokenName;
use super::wrap::Wrapping;
use crate::crypto::default_provider;
use crate::secret::SecretBytes;
use canis_proto::fields::Fields;
use canis_proto::value::{Map, Value};
use canis_proto::{Error, Result};
use cryptoki::context::Pkcs11;
use cryptoki::session::Session;

/// What a module has, and what CANIS would do with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// The tokens that the module shows: label, serial number, manufacturer, model.
    pub tokens: Vec<[String; 4]>,
    /// What the token that is meant makes of each mechanism, best first; empty if no token was named.
    pub mechanisms: Vec<Verdict>,
}

/// What a token makes of one mechanism.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The mechanism.
    pub mechanism: WrapMechanism,
    /// Whether the token says that it has it.
    pub offered: bool,
    /// Whether it wrapped and unwrapped; `None` if that was not tried.
    pub works: Option<bool>,
    /// Why it was not tried or does not work.
    pub why: String,
}

impl Probe {
    /// The mechanism that CANIS would choose: the first that works, else the first that is offered and was not tried.
    #[must_use]
    pub fn chosen(&self) -> Option<WrapMechanism> {
        let works = self.mechanisms.iter().find(|verdict| verdict.works == Some(true));
        let hope = || self.mechanisms.iter().find(|verdict| verdict.offered && verdict.works.is_none());
        works.or_else(hope).map(|verdict| verdict.mechanism)
    }

    /// The bytes that go from the helper to its program.
    pub(super) fn encode(&self) -> Vec<u8> {
        fn token(token: &[String; 4]) -> Value<'_> {
            Value::Array(token.iter().map(|text| Value::from(text.as_str())).collect())
        }
        fn verdict(verdict: &Verdict) -> Value<'_> {
            let map = Map::new()
                .with("mechanism", verdict.mechanism.name())
                .with("offered", verdict.offered)
                .with_some("works", verdict.works)
                .with("why", verdict.why.as_str());
            Value::Map(map)
        }
        Map::new()
            .with("tokens", Value::Array(self.tokens.iter().map(token).collect()))
            .with("mechanisms", Value::Array(self.mechanisms.iter().map(verdict).collect()))
            .encode()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let broken = || Error::internal("the helper's answer about a token is not understood");
        let mut fields = Fields::new("the helper's answer", Map::decode(bytes)?);
        let mut probe = Probe::default();
        for token in fields.required::<Vec<Value<'_>>>("tokens")? {
            let Value::Array(texts) = token else { return Err(broken()) };
            let text = |text: Value<'_>| match text {
                Value::Text(text) => Ok(text.into_owned()),
                _ => Err(broken()),
            };
            let texts = texts.into_iter().map(text).collect::<Result<Vec<_>>>()?;
            probe.tokens.push(texts.try_into().map_err(|_| broken())?);
        }
        for verdict in fields.required::<Vec<Value<'_>>>("mechanisms")? {
            let Value::Map(map) = verdict else { return Err(broken()) };
            let mut fields = Fields::new("a verdict", map);
            probe.mechanisms.push(Verdict {
                mechanism: WrapMechanism::of_name(&fields.required::<String>("mechanism")?)?,
                offered: fields.required("offered")?,
                works: fields.optional("works")?,
                why: fields.required("why")?,
            });
        }
        Ok(probe)
    }
}

/// The tokens that a module shows.
pub(super) fn tokens(pkcs11: &Pkcs11) -> Result<Vec<[String; 4]>, Failure> {
    let slots = pkcs11
        .get_slots_with_initialized_token()
        .map_err(|error| failed("the PKCS#11 module cannot list its tokens", &error))?;
    let tokens = slots.into_iter().filter_map(|slot| pkcs11.get_token_info(slot).ok());
    let words = |info: cryptoki::slot::TokenInfo| {
        [info.label(), info.serial_number(), info.manufacturer_id(), info.model()].map(str::to_owned)
    };
    Ok(tokens.map(words).collect())
}

/// What one token says of each mechanism. Nothing is tried.
pub(super) fn listed(pkcs11: &Pkcs11, name: &TokenName) -> Result<Vec<Verdict>, Failure> {
    let slot = find(pkcs11, name)?;
    let verdict = |mechanism: WrapMechanism| {
        let (offered, why) = match pkcs11.get_mechanism_info(slot, mechanism.number()) {
            Err(_) => (false, "the token does not have it"),
            Ok(info) if mechanism.wraps_objects() && !(info.wrap() && info.unwrap()) => {
                (false, "the token does not wrap and unwrap by it")
            }
            Ok(info) if !(mechanism.wraps_objects() || (info.encrypt() && info.decrypt())) => {
                (false, "the token does not encrypt and decrypt by it")
            }
            Ok(_) => (true, "not tried"),
        };
        Verdict { mechanism, offered, works: None, why: why.to_owned() }
    };
    Ok(WrapMechanism::ALL.into_iter().map(verdict).collect())
}

/// Tries what is offered with keys of this session; all of it, or until something works.
pub(super) fn try_out(
    session: &Session,
    name: &TokenName,
    verdicts: &mut [Verdict],
    all: bool,
) -> Result<(), Failure> {
    for verdict in verdicts.iter_mut().filter(|verdict| verdict.offered) {
        let Ok(key) = key::generate(session, name, verdict.mechanism, false) else {
            verdict.why = "not tried: the token makes no keys that are of a session only".to_owned();
            continue;
        };
        let mut secret = SecretBytes::zeroed(32);
        default_provider().random.fill(secret.expose_mut())?;
        let wrapping = Wrapping { session, name, mechanism: verdict.mechanism, context: b"canis probe" };
        let tried = wrapping.wrap(key, &secret);
        drop(session.destroy_object(key.unwraps));
        if verdict.mechanism.hash().is_some() {
            drop(session.destroy_object(key.wraps));
        }
        (verdict.works, verdict.why) = match tried {
            Ok(_) => (Some(true), String::new()),
            Err(failure) => (Some(false), failure.error.message),
        };
        if verdict.works == Some(true) && !all {
            break;
        }
    }
    Ok(())
}

/// The mechanism that a new slot is to have: the one that is asked for, else the best that works.
pub(super) fn choose(
    pkcs11: &Pkcs11,
    session: &Session,
    name: &TokenName,
    asked: Option<WrapMechanism>,
) -> Result<WrapMechanism, Failure> {
    let mut verdicts = listed(pkcs11, name)?;
    if let Some(asked) = asked {
        verdicts.retain(|verdict| verdict.mechanism == asked);
    }
    try_out(session, name, &mut verdicts, false)?;
    let probe = Probe { tokens: Vec::new(), mechanisms: verdicts };
    probe.chosen().ok_or_else(|| {
        let why = |verdict: &Verdict| format!("{}: {}", verdict.mechanism.name(), verdict.why);
        let all: Vec<String> = probe.mechanisms.iter().map(why).collect();
        unavailable(format!("{name} can wrap by nothing that CANIS knows: {}", all.join("; "))).into()
    })
}
