//! What a server calls the request that this thread works on, so that the lines of the audit log name it as the server's
//! own log and its answer do.
//!
//! It stands in a thread-local, as in [`crate::at_once`]: it says something of the thread, it decides nothing, and no
//! operation can forget to hand it on.

use std::cell::Cell;

thread_local! {
    static CURRENT: Cell<Option<RequestId>> = const { Cell::new(None) };
}

/// A request's id, and the trace that its caller says it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId {
    /// The server's own.
    pub id: u64,
    /// The caller's word, 16 bytes (W3C Trace Context, section 3.2.2.3).
    pub trace: Option<u128>,
}

/// What `work` gives, done for this request.
pub fn for_request<T>(id: Option<RequestId>, work: impl FnOnce() -> T) -> T {
    /// Puts the thread back as it was, whatever happens meanwhile.
    struct Until(Option<RequestId>);
    impl Drop for Until {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _until = Until(CURRENT.replace(id));
    work()
}

/// The request that this thread works on, if a server has said so.
#[must_use]
pub fn current_request() -> Option<RequestId> {
    CURRENT.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread that is done with a request knows nothing of it, even if the work panicked.
    #[test]
    fn a_thread_forgets_its_request() {
        let one = Some(RequestId { id: 1, trace: None });
        for_request(one, || {
            assert_eq!(current_request(), one);
            for_request(None, || assert_eq!(current_request(), None));
            assert_eq!(current_request(), one);
        });
        let panicked = std::panic::catch_unwind(|| for_request(one, || panic!("on purpose")));
        assert!(panicked.is_err() && current_request().is_none());
    }
}
