//! Vendors' libraries as the helper has them loaded: the token is found by what is said of it, logged in to once, and kept
//! while it is in use.
//!
//! A PIN that a token refused is not given to it again. What the token forgets meanwhile (it was pulled, its session
//! ended, it was restarted) is set up anew and tried once more, with the PIN that it has accepted before.

use super::probe::{self, Probe};
use super::token::TokenName;
use super::wire::{Request, Work};
use super::wrap::Wrapping;
use super::{anchor, key};
use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, Result};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use std::fmt::Display;
use std::path::Path;

/// Why something failed, and whether a token that is set up anew may do it.
pub(super) struct Failure {
    pub(super) error: Error,
    lost: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { error, lost: false }
    }
}

/// What a library said, after `what` it was that failed.
pub(super) fn failed(what: impl Display, error: &Pkcs11Error) -> Failure {
    let lost = matches!(
        error,
        Pkcs11Error::Pkcs11(
            RvError::DeviceRemoved
                | RvError::DeviceError
                | RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::TokenNotPresent
                | RvError::UserNotLoggedIn,
            _
        )
    );
    Failure { error: unavailable(format!("{what}: {error}")), lost }
}

pub(super) fn unavailable(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::RootUnavailable, message)
}

/// The library that is loaded, and what it was logged in with.
#[derive(Default)]
pub(super) struct Libraries {
    loaded: Option<Library>,
}

impl Libraries {
    /// Does what is asked; twice, if the token was lost at the first try and has accepted the PIN before.
    pub(super) fn perform(&mut self, request: &Request) -> Result<SecretBytes> {
        match self.attempt(request) {
            Err(failure) if failure.lost && self.may_log_in_again(request) => {
                if let Some(library) = &mut self.loaded {
                    library.reset();
                }
                self.attempt(request).map_err(|failure| failure.error)
            }
            result => result.map_err(|failure| failure.error),
        }
    }

    fn attempt(&mut self, request: &Request) -> Result<SecretBytes, Failure> {
        let module = Path::new(&request.module);
        if self.loaded.as_ref().is_some_and(|library| library.module != request.module) {
            self.loaded = None;
        }
        let library = match &mut self.loaded {
            Some(library) => library,
            none => none.insert(Library::load(module, &request.module)?),
        };
        if matches!(request.work, Work::Probe) {
            return library.probe(request).map(|found| SecretBytes::taken_from(found.encode()));
        }
        let (Some(name), Some(pin)) = (named(request)?, &request.pin) else {
            return Err(Error::invalid("a token needs its name and its PIN").into());
        };
        let (pkcs11, session) = library.session(&name, pin)?;
        let mechanism = match &request.work {
            Work::Choose => {
                let chosen = probe::choose(pkcs11, session, &name, request.mechanism)?;
                return Ok(SecretBytes::copied_from(chosen.name().as_bytes()));
            }
            Work::ReadAnchors(label) => return anchor::read(session, &name, label),
            Work::WriteAnchor(new) => return new.write(session, &name).map(|()| SecretBytes::zeroed(0)),
            Work::Sign(asked) => return asked.sign(session, &name),
            _ => request.mechanism.ok_or_else(|| Error::invalid("a mechanism is missing"))?,
        };
        let wrapping = Wrapping { session, name: &name, mechanism, context: &request.context };
        match &request.work {
            Work::EnsureKey => key::ensure(session, &name, mechanism).map(|()| SecretBytes::zeroed(0)),
            Work::Wrap(secret) => {
                wrapping.wrap(key::both(session, &name, mechanism)?, secret).map(SecretBytes::taken_from)
            }
            Work::Unwrap(wrapped) => wrapping.unwrap(key::existing(session, &name, mechanism)?, wrapped),
            Work::Probe | Work::Choose | Work::ReadAnchors(_) | Work::WriteAnchor(_) | Work::Sign(_) => {
                Err(Error::internal("answered before").into())
            }
        }
    }

    /// Whether logging in once more gives no PIN away that may be wrong: it was not tried yet, or was right.
    fn may_log_in_again(&self, request: &Request) -> bool {
        let Some(library) = &self.loaded else { return false };
        match &library.pin {
            Tried::Never => true,
            Tried::Unknown => false,
            Tried::Right(pin) => request.pin.as_ref().is_some_and(|asked| pin.equals(asked.expose())),
        }
    }
}

/// The token that is meant, and its key.
fn named(request: &Request) -> Result<Option<TokenName>> {
    request.token.as_deref().map(|text| TokenName::read(text).map(TokenName::with_key)).transpose()
}

/// What is known of the PIN.
enum Tried {
    /// It was not given to the token.
    Never,
    /// It was, and the token did not say whether it is right.
    Unknown,
    /// The token accepted it.
    Right(SecretBytes),
}

struct Library {
    module: String,
    pkcs11: Option<Pkcs11>,
    session: Option<(TokenName, Session)>,
    pin: Tried,
}

impl Library {
    fn load(path: &Path, module: &str) -> Result<Self, Failure> {
        let shown = path.display();
        let pkcs11 = Pkcs11::new(path).map_err(|error| {
            failed(
                format_args!(
                    "cannot load the PKCS#11 module {shown}; is the path right and the package installed"
                ),
                &error,
            )
        })?;
        initialize(&pkcs11, module)?;
        Ok(Library { module: module.to_owned(), pkcs11: Some(pkcs11), session: None, pin: Tried::Never })
    }

    /// What the module has, and what the token that is named can do.
    fn probe(&mut self, request: &Request) -> Result<Probe, Failure> {
        let pkcs11 = self.pkcs11()?;
        let mut probe = Probe { tokens: probe::tokens(pkcs11)?, mechanisms: Vec::new() };
        let Some(name) = named(request)? else { return Ok(probe) };
        probe.mechanisms = probe::listed(pkcs11, &name)?;
        if let Some(pin) = &request.pin {
            let (_, session) = self.session(&name, pin)?;
            probe::try_out(session, &name, &mut probe.mechanisms, true)?;
        }
        Ok(probe)
    }

    fn pkcs11(&mut self) -> Result<&Pkcs11, Failure> {
        Ok(match &mut self.pkcs11 {
            Some(pkcs11) => pkcs11,
            none => none.insert(reload(&self.module)?),
        })
    }

    /// A session that is logged in.
    fn session(&mut self, name: &TokenName, pin: &SecretBytes) -> Result<(&Pkcs11, &Session), Failure> {
        let same = self.session.as_ref().is_some_and(|(token, _)| same_token(token, name))
            && matches!(&self.pin, Tried::Right(right) if right.equals(pin.expose()));
        if !same {
            self.close();
            let pkcs11 = self.pkcs11()?;
            let slot = find(pkcs11, name)?;
            let session = pkcs11
                .open_rw_session(slot)
                .map_err(|error| failed(format_args!("{name} opens no session"), &error))?;
            refuse_hopeless(name, &pkcs11.get_token_info(slot).map_err(|e| failed(name, &e))?)?;
            if !matches!(&self.pin, Tried::Right(right) if right.equals(pin.expose())) {
                self.pin = Tried::Unknown;
            }
            log_in(&session, name, pin)?;
            self.pin = Tried::Right(SecretBytes::copied_from(pin.expose()));
            self.session = Some((name.clone(), session));
        }
        match (&self.pkcs11, &self.session) {
            (Some(pkcs11), Some((_, session))) => Ok((pkcs11, session)),
            _ => Err(Error::internal("a session is missing that was just opened").into()),
        }
    }

    fn close(&mut self) {
        if let Some((_, session)) = self.session.take() {
            // A token that has forgotten the session has forgotten the login, too.
            drop(session.logout());
        }
    }

    /// Forgets all that the library knows of tokens.
    fn reset(&mut self) {
        self.close();
        if let Some(pkcs11) = self.pkcs11.take() {
            drop(pkcs11.finalize());
        }
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        self.reset();
    }
}

fn same_token(one: &TokenName, other: &TokenName) -> bool {
    (&one.label, &one.serial, &one.manufacturer, &one.model)
        == (&other.label, &other.serial, &other.manufacturer, &other.model)
}

fn reload(module: &str) -> Result<Pkcs11, Failure> {
    let pkcs11 =
        Pkcs11::new(module).map_err(|error| failed(format_args!("cannot load {module} again"), &error))?;
    initialize(&pkcs11, module)?;
    Ok(pkcs11)
}

fn initialize(pkcs11: &Pkcs11, module: &str) -> Result<(), Failure> {
    pkcs11
        .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
        .map_err(|error| failed(format_args!("the PKCS#11 module {module} does not initialise"), &error))
}

/// The one slot whose token is meant.
pub(super) fn find(pkcs11: &Pkcs11, name: &TokenName) -> Result<Slot, Failure> {
    let slots = pkcs11
        .get_slots_with_initialized_token()
        .map_err(|error| failed("the PKCS#11 module cannot list its tokens", &error))?;
    let found: Vec<(Slot, TokenInfo)> = slots
        .into_iter()
        .filter_map(|slot| Some((slot, pkcs11.get_token_info(slot).ok()?)))
        .filter(|(_, info)| {
            name.fits(info.label(), info.serial_number(), info.manufacturer_id(), info.model())
        })
        .collect();
    match &found[..] {
        [(slot, _)] => Ok(*slot),
        [] => Err(Failure {
            error: unavailable(format!(
                "no {name} is there; plug it in, or check its label with `pkcs11-tool -L`"
            )),
            lost: false,
        }),
        several => {
            let serials: Vec<&str> = several.iter().map(|(_, info)| info.serial_number()).collect();
            Err(unavailable(format!(
                "{} tokens answer to this: {name}; their serial numbers are {}. Name one by its serial number",
                several.len(),
                serials.join(" and ")
            ))
            .into())
        }
    }
}

/// A login that cannot succeed, or that could be the last one, is not tried.
fn refuse_hopeless(name: &TokenName, info: &TokenInfo) -> Result<()> {
    let credential = |why: &str| Err(Error::new(ErrorCode::RootCredentialWrong, format!("{name}: {why}")));
    if info.user_pin_locked() {
        return credential("its PIN is locked; its security officer must unlock it");
    }
    if info.user_pin_final_try() {
        return credential(
            "one more wrong PIN locks it, so that none is tried by itself; log in once by hand with the right one, \
             such as by `pkcs11-tool --login --list-objects`",
        );
    }
    if !info.user_pin_initialized() {
        return credential("it has no user PIN yet; its security officer must set one");
    }
    Ok(())
}

fn log_in(session: &Session, name: &TokenName, pin: &SecretBytes) -> Result<(), Failure> {
    let pin =
        std::str::from_utf8(pin.expose()).map_err(|_| Error::invalid("the token's PIN is not UTF-8"))?;
    let refused = match session.login(UserType::User, Some(&AuthPin::new(pin.into()))) {
        Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => return Ok(()),
        Err(error) => error,
    };
    let why = match &refused {
        Pkcs11Error::Pkcs11(RvError::PinIncorrect | RvError::PinLenRange | RvError::PinInvalid, _) => {
            "refuses the PIN; it was tried once and will not be tried again by itself"
        }
        Pkcs11Error::Pkcs11(RvError::PinLocked, _) => {
            "has its PIN locked; its security officer must unlock it"
        }
        Pkcs11Error::Pkcs11(RvError::PinExpired, _) => {
            "wants another PIN: this one has expired, or must be changed before its first use; change it with the \
             token's own tool, then write the new one where CANIS reads it"
        }
        Pkcs11Error::Pkcs11(RvError::UserPinNotInitialized, _) => {
            "has no user PIN yet; its security officer must set one"
        }
        error => return Err(failed(format_args!("{name} refuses the login"), error)),
    };
    Err(Error::new(ErrorCode::RootCredentialWrong, format!("{name} {why}")).into())
}
