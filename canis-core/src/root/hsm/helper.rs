//! The helper as programs know it: how it is started, and a running one that is kept while it is in use.

use super::asked;
use super::child::{Lost, Running};
use super::wire::{self, Request};
use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, Result};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an HSM may take for one thing that it is asked.
const DEADLINE: Duration = Duration::from_secs(30);

/// How many times as long it may take to make a key.
const MAKING: u32 = 4;

/// How long a helper is used again after it answered. It ends by itself a little later.
const KEPT: Duration = Duration::from_secs(20);

/// Starts helpers, in which alone an HSM's library is loaded. Clones share a running one.
#[derive(Clone)]
pub struct HsmHelper(Arc<Inner>);

struct Inner {
    program: OsString,
    deadline: Duration,
    quiet: bool,
    hidden: Vec<String>,
    /// One that waits for the next request.
    waiting: Mutex<Option<Running>>,
}

impl HsmHelper {
    /// The only argument of a program that is to be a helper: [`super::serve`] is what it does then.
    pub const ARGUMENT: &str = "hsm-helper";

    /// Helpers that are `program`, found as a shell finds it unless it is a path.
    #[must_use]
    pub fn new(program: impl Into<OsString>) -> Self {
        HsmHelper(Arc::new(Inner {
            program: program.into(),
            deadline: DEADLINE,
            quiet: false,
            hidden: Vec::new(),
            waiting: Mutex::default(),
        }))
    }

    /// Helpers that are the program which runs, whatever lies at its path by now.
    #[must_use]
    pub fn this_program() -> Self {
        HsmHelper::new("/proc/self/exe")
    }

    /// The same, each thing asked having to be answered within `deadline`; making a key within four times that.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        self.changed(|inner| inner.deadline = deadline)
    }

    /// The same, what the library writes to stderr being lost. For hosts that must not be written into.
    #[must_use]
    pub fn quiet(&self) -> Self {
        self.changed(|inner| inner.quiet = true)
    }

    /// The same, without these environment variables: a PIN or a token is not the library's business.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        self.changed(|inner| inner.hidden.extend(names.iter().map(|&name| name.to_owned())))
    }

    /// The same, sharing no process.
    #[must_use]
    pub fn afresh(&self) -> Self {
        self.changed(|_| ())
    }

    fn changed(&self, change: impl FnOnce(&mut Inner)) -> Self {
        let Inner { program, deadline, quiet, hidden, .. } = &*self.0;
        let mut inner = Inner {
            program: program.clone(),
            deadline: *deadline,
            quiet: *quiet,
            hidden: hidden.clone(),
            waiting: Mutex::default(),
        };
        change(&mut inner);
        HsmHelper(Arc::new(inner))
    }

    /// Asks a helper, and waits.
    ///
    /// # Errors
    /// What the HSM says; `root_unavailable` if helper or library did not survive it, or were silent for too long.
    pub(super) fn ask(&self, request: &Request) -> Result<SecretBytes> {
        asked::counted(|| self.ask_helper(request))
    }

    fn ask_helper(&self, request: &Request) -> Result<SecretBytes> {
        let factor = if request.work.makes_keys() { MAKING } else { 1 };
        let deadline = self.0.deadline * factor;
        // Nobody waits for an HSM with the lock held: who comes second has a helper of his own.
        let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut helper = match waiting {
            Some(helper) if helper.used + KEPT > Instant::now() => helper,
            outworn => {
                drop(outworn);
                self.start()?
            }
        };
        let module = Path::new(&request.module);
        let answer = helper.ask(&request.encode(), deadline).map_err(|lost| lost.told(module, deadline))?;
        *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(helper);
        wire::decode_answer(&answer)
    }

    fn start(&self) -> Result<Running> {
        let Inner { program, deadline, quiet, hidden, .. } = &*self.0;
        let started = Running::start(program, HsmHelper::ARGUMENT, hidden, *quiet, *deadline);
        match started {
            Ok(Ok(running)) => Ok(running),
            Ok(Err(Lost::Ended(how))) => Err(no_helper(program, &format!("it ended at once ({how})"))),
            Ok(Err(Lost::Silent)) => {
                Err(no_helper(program, &format!("it said nothing within {} s", deadline.as_secs())))
            }
            Ok(Err(Lost::Strange)) => Err(no_helper(program, "it is no helper of this version of CANIS")),
            Err(error) => Err(no_helper(program, &error.to_string())),
        }
    }
}

fn no_helper(program: &OsStr, why: &str) -> Error {
    Error::new(
        ErrorCode::RootUnavailable,
        format!(
            "the helper process that loads HSM libraries cannot be started from {}: {why}",
            Path::new(program).display()
        ),
    )
}

impl Lost {
    /// What people are told; `module` is the library that the helper had loaded.
    fn told(self, module: &Path, deadline: Duration) -> Error {
        let module = module.display();
        let what = match self {
            Lost::Ended(how) => format!("the PKCS#11 module {module} crashed its helper process ({how})"),
            Lost::Silent => format!(
                "the PKCS#11 module {module} did not answer within {} s; its helper process was killed",
                deadline.as_secs()
            ),
            Lost::Strange => {
                format!("the helper process of the PKCS#11 module {module} sent what no helper sends")
            }
        };
        Error::new(ErrorCode::RootUnavailable, what)
    }
}
