//! A PKCS#11 module, loaded and logged in to, as a subject.

use super::keys::{self, Key};
use super::measure::{Step, Subject};
use super::operation::{Kind, Op};
use super::plan::{Keep, Target, Which};
use super::steps;
use canis_proto::{Error, ErrorCode, Result};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use std::path::Path;

/// A module with a session that stays logged in.
pub(super) struct Module {
    pub(super) library: Pkcs11,
    pub(super) slot: Slot,
    /// What it calls itself.
    pub(super) name: String,
    objects: Option<usize>,
    keys: Vec<(Kind, Result<Key>)>,
}

/// An error of a module.
pub(super) fn refused(error: Pkcs11Error) -> Error {
    let said = match error {
        Pkcs11Error::Pkcs11(rv, function) => format!("{function}: {rv:?}"),
        other => other.to_string(),
    };
    Error::new(ErrorCode::OperationNotSupported, said)
}

/// Loads a module without calling it.
pub(super) fn load(path: &Path) -> Result<Pkcs11> {
    Pkcs11::new(path)
        .map_err(|e| Error::invalid(format!("cannot load the PKCS#11 module {}: {e}", path.display())))
}

/// C_Initialize. Two targets may be the same module.
pub(super) fn initialize(library: &Pkcs11) -> Result<()> {
    match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        Err(error) => Err(refused(error)),
    }
}

/// The PIN in a file.
pub(super) fn pin(path: &Path) -> Result<AuthPin> {
    let line = canis_core::secret_file::read_shared_line(path)?;
    let text = std::str::from_utf8(line.expose())
        .map_err(|_| Error::invalid(format!("the PIN in {} is not UTF-8", path.display())))?;
    Ok(AuthPin::new(text.into()))
}

/// The slot of a token.
pub(super) fn slot(library: &Pkcs11, token: &Which) -> Result<Slot> {
    let slots = library.get_slots_with_token().map_err(refused)?;
    let found = match token {
        Which::Slot(number) => slots.into_iter().find(|slot| slot.id() == *number),
        Which::Label(label) => slots
            .into_iter()
            .find(|slot| library.get_token_info(*slot).is_ok_and(|info| info.label() == label)),
    };
    found.ok_or_else(|| {
        let which = match token {
            Which::Slot(number) => format!("in slot {number}"),
            Which::Label(label) => format!("labelled `{label}`"),
        };
        Error::invalid(format!("the module has no token {which}"))
    })
}

/// C_Login.
pub(super) fn login(session: &Session, pin: &AuthPin) -> Result<()> {
    match session.login(UserType::User, Some(pin)) {
        Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(error) => Err(refused(error)),
    }
}

/// A login: it lasts as long as its session.
pub(super) struct Login {
    library: Pkcs11,
    slot: Slot,
    session: Session,
    name: String,
}

impl Login {
    /// Loads the module and logs in.
    pub(super) fn new(target: &Target) -> Result<Self> {
        let library = load(&target.module)?;
        initialize(&library)?;
        let slot = slot(&library, &target.token)?;
        let session = library.open_rw_session(slot).map_err(refused)?;
        login(&session, &pin(&target.pin)?)?;
        let name = library.get_library_info().map_err(refused)?;
        let name = format!("{} {}", name.library_description().trim(), name.library_version());
        Ok(Login { library, slot, session, name })
    }

    /// The module as a subject with keys for `ops`; tokens of others hold no objects that could be found.
    pub(super) fn module(&self, ops: &[Op], keep: Keep, objects: Option<usize>) -> Module {
        let mut module = Module {
            library: self.library.clone(),
            slot: self.slot,
            name: self.name.clone(),
            objects,
            keys: Vec::new(),
        };
        for kind in ops.iter().filter_map(|op| op.key()) {
            if !module.keys.iter().any(|(made, _)| *made == kind) {
                module.keys.push((kind, keys::generate(&self.session, kind, keep)));
            }
        }
        module
    }
}

impl Module {
    /// A new session of the token, logged in as all its sessions are.
    pub(super) fn session(&self) -> Result<Session> {
        self.library.open_rw_session(self.slot).map_err(refused)
    }

    /// The key that an operation uses.
    pub(super) fn key(&self, op: Op) -> Result<&Key> {
        match self.keys.iter().find(|(kind, _)| Some(*kind) == op.key()) {
            Some((_, Ok(key))) => Ok(key),
            Some((_, Err(error))) => Err(error.clone()),
            None => Err(Error::internal("no key was made for this operation")),
        }
    }

    /// How many objects the tool put on the token.
    pub(super) fn own_objects(&self) -> Result<usize> {
        self.objects.ok_or_else(|| Error::invalid("only on a token of --setup: others are not written to"))
    }
}

impl Subject for Module {
    fn step(&self, op: Op) -> Result<Step<'_>> {
        steps::step(self, op)
    }
}
