//! Lines around calls: begun before an operation runs, ended with what came of it.

use super::keys::AuditKeys;
use super::line::Line;
use super::log::{Log, is_denial};
use crate::at_once::was_refused;
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::policy::RuleName;
use crate::store::OutboxRow;
use canis_proto::{Error, Id, OperationId, Result};
use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

thread_local! {
    /// The line of the operation that this thread is in the middle of.
    static CURRENT: RefCell<Option<Line>> = const { RefCell::new(None) };
}

/// Where the lines of a core go.
pub(crate) struct Recorder {
    pub(crate) log: Arc<Log>,
    /// Of a draft: they wait for what becomes of it.
    held: Option<Mutex<Vec<Line>>>,
}

/// What becomes of a request in the log.
pub(crate) enum Begun {
    /// It has this line.
    Line(Line),
    /// It has one only if it is refused; the object that it is about.
    Denials(Option<Id>),
}

/// A line that is not ended yet.
pub struct Open {
    log: Arc<Log>,
    line: Line,
}

impl Open {
    /// Says how much data came in and went out.
    pub(crate) fn sizes(&mut self, came: u64, went: u64) {
        self.line.number("in", came);
        self.line.number("out", went);
    }

    /// Writes down what is known already: what goes out meanwhile is not to go out unwritten.
    pub(crate) fn announce(&mut self) -> Result<()> {
        let mut begun = self.line.same();
        begun.text("stream", &"begun");
        self.line.text("stream", &"ended");
        let now = self.log.now();
        self.log.take([begun.end::<()>(&Ok(()), now)])
    }

    /// Ends the line.
    pub(crate) fn end<T>(self, result: &Result<T>) -> Result<()> {
        let now = self.log.now();
        self.log.take([self.line.end(result, now)])
    }
}

impl Recorder {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Recorder { log, held: None }
    }

    /// The same for a draft.
    pub(crate) fn of_draft(&self) -> Self {
        Recorder { log: Arc::clone(&self.log), held: Some(Mutex::default()) }
    }

    /// The line of what `caller` asks.
    ///
    /// # Errors
    /// `audit_unavailable` if it could not be written.
    pub(crate) fn begin<R: Run>(&self, caller: &Caller, request: &R) -> Result<Begun> {
        self.log.check(R::ID)?;
        let on = request.resource();
        if self.log.wants(R::ID) {
            let mut line = begin(self.log.keys(), caller, R::ID.row().name, on, request.facts().context);
            if let Some(bytes) = request.brings() {
                line.number("in", bytes as u64);
            }
            return Ok(Begun::Line(line));
        }
        Ok(Begun::Denials(if let Resource::Object(id) = on { Some(id) } else { None }))
    }

    /// Runs `work`, and notes what comes of it.
    pub(crate) fn call<R: Run>(
        &self,
        begun: Begun,
        caller: &Caller,
        work: impl FnOnce() -> Result<R::Answer>,
    ) -> Result<R::Answer> {
        let operation = R::ID;
        let line = match begun {
            Begun::Line(line) => line,
            Begun::Denials(object) => {
                let on = object.map_or(Resource::Token, Resource::Object);
                return self.denials(caller, operation, on, work());
            }
        };
        let (result, line, parts) = within(line, work);
        // Given up because it would have had to wait: it is asked once more.
        if was_refused() {
            return result;
        }
        if !self.log.keeps(operation, &line, &result) {
            return result;
        }
        let mut open = Open { log: Arc::clone(&self.log), line };
        let (result, open) = match result {
            Ok(answer) => {
                if let Some(bytes) = R::given(&answer) {
                    open.line.number("out", bytes as u64);
                }
                let (answer, open) = R::keep_line(answer, open);
                (Ok(answer), open)
            }
            Err(error) => (Err(error), Some(open)),
        };
        let now = self.log.now();
        let own = open.map(|open| open.line.end(&result, now));
        let kept = self.keep(parts.into_iter().map(|part| part.at(now)).chain(own));
        result.and_then(|answer| kept.map(|()| answer))
    }

    /// Of what is not written down as a rule, only that it was refused.
    fn denials<T>(
        &self,
        caller: &Caller,
        operation: OperationId,
        on: Resource<'_>,
        result: Result<T>,
    ) -> Result<T> {
        match result {
            Err(error) if is_denial(&error) => {
                self.note(caller, operation.row().name, on, &Err::<(), _>(error.clone()))?;
                Err(error)
            }
            result => result,
        }
    }

    /// Notes what has happened.
    pub(crate) fn note<T>(
        &self,
        caller: &Caller,
        operation: &str,
        on: Resource<'_>,
        result: &Result<T>,
    ) -> Result<()> {
        if was_refused() {
            return Ok(());
        }
        let line = begin(self.log.keys(), caller, operation, on, None);
        self.keep([line.end(result, self.log.now())])
    }

    /// Notes that an answer of before was given once more.
    pub(crate) fn note_again(&self, caller: &Caller, operation: OperationId) -> Result<()> {
        let mut line = begin(self.log.keys(), caller, operation.row().name, Resource::Keys, None);
        line.flag("again");
        self.keep([line.end::<()>(&Ok(()), self.log.now())])
    }

    fn keep(&self, lines: impl IntoIterator<Item = Line>) -> Result<()> {
        match &self.held {
            None => self.log.take(lines),
            Some(held) => {
                held.lock().unwrap_or_else(PoisonError::into_inner).extend(lines);
                Ok(())
            }
        }
    }

    /// Writes down what was done on a draft that has become true, or, with what it failed by, one that has not.
    pub(crate) fn settle(&self, draft: Option<&Recorder>, failed: Option<&Error>) -> Result<()> {
        let Some(held) = draft.and_then(|draft| draft.held.as_ref()) else { return Ok(()) };
        let mut lines = std::mem::take(&mut *held.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(error) = failed {
            lines.iter_mut().for_each(|line| line.undone("undone", Some(error.code)));
        }
        self.keep(lines)
    }

    /// Writes down what was tried on a draft that nobody meant to become true.
    pub(crate) fn rehearsed(&self, draft: Option<&Recorder>) -> Result<()> {
        let Some(held) = draft.and_then(|draft| draft.held.as_ref()) else { return Ok(()) };
        let mut lines = std::mem::take(&mut *held.lock().unwrap_or_else(PoisonError::into_inner));
        lines.iter_mut().for_each(|line| line.undone("preview", None));
        self.keep(lines)
    }
}

fn begin(
    keys: Option<&AuditKeys>,
    caller: &Caller,
    operation: &str,
    on: Resource<'_>,
    context: Option<&[u8]>,
) -> Line {
    let mut line = Line::begin(keys, caller, operation, on);
    if let (Some(keys), Some(context)) = (keys, context.filter(|context| !context.is_empty())) {
        line.hex("context", &keys.digest(caller.tenant_if_known(), b'c', context));
    }
    line
}

/// Runs `work` as what `line` is about; gives the line back, and those of its parts.
fn within<T>(line: Line, work: impl FnOnce() -> T) -> (T, Line, Vec<Line>) {
    /// Puts the line of before back, whatever happens meanwhile.
    struct Until(Option<Line>);
    impl Drop for Until {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let until = Until(CURRENT.replace(Some(line)));
    let done = work();
    let mut line = CURRENT.take().unwrap_or_else(Line::empty);
    drop(until);
    let parts = std::mem::take(&mut line.parts);
    (done, line, parts)
}

/// Runs a part of what this thread is in the middle of that has a line of its own: the keeper does it unasked.
pub(crate) fn part<T>(
    tenant: Id,
    operation: OperationId,
    on: Resource<'_>,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let named = CURRENT.with_borrow(Option::is_some);
    if !named {
        return work();
    }
    let mut line = Line::begin(None, &Caller::timer(), operation.row().name, on);
    line.text("tenant", &tenant);
    let (result, line, _) = within(line, work);
    // The whole, which knows the log, will know the time.
    let line = line.end(&result, 0);
    CURRENT.with_borrow_mut(|current| {
        if let Some(whole) = current {
            whole.parts.push(line);
        }
    });
    result
}

/// Notes the key and version that this thread has used.
pub(crate) fn note_use(key: Id, version: u32) {
    CURRENT.with_borrow_mut(|current| {
        if let Some(line) = current {
            line.used = Some((key, version));
        }
    });
}

/// Notes more of what this thread is in the middle of; before the transaction that is to carry it.
pub(crate) fn note_text(name: &str, value: &dyn std::fmt::Display) {
    CURRENT.with_borrow_mut(|current| {
        if let Some(line) = current {
            line.text(name, value);
        }
    });
}

/// The same of a number.
pub(crate) fn note_number(name: &str, value: u64) {
    CURRENT.with_borrow_mut(|current| {
        if let Some(line) = current {
            line.number(name, value);
        }
    });
}

/// Notes the rule that decided over what this thread is in the middle of: the first that was asked, or one that refused.
pub(crate) fn note_rule(rule: RuleName<'_>, allowed: bool) {
    CURRENT.with_borrow_mut(|current| {
        if let Some(line) = current
            && (line.rule.is_none() || !allowed)
        {
            line.rule = Some(format!("{}:{}", rule.policy, rule.line));
        }
    });
}

/// The line of what this thread is in the middle of, for the transaction that it is about to make.
pub(super) fn current_row(log: &Log) -> Result<Option<OutboxRow>> {
    CURRENT.with_borrow_mut(|current| match current {
        Some(line) => log.change_row(line),
        None => Ok(None),
    })
}
