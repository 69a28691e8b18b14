//! What tells requests apart in logs: an id of ours for each, which the answer names too, and the trace that a caller says it
//! belongs to (W3C Trace Context, level 1).

use canis_core::RequestId;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tracing::{Span, info_span};

/// The header of an answer that holds the id.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An id for a request that has come: no other of this server has it, and likely none of another.
pub(super) fn id() -> String {
    static START: OnceLock<u64> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let start = START.get_or_init(|| RandomState::new().hash_one(std::process::id()));
    format!("{:08x}{:08x}", start >> 32, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The span in which a request is worked on: lines of the log that are about it name it.
pub(super) fn span(id: &str, headers: &HeaderMap) -> Span {
    match parent(headers) {
        Some((trace, parent)) => info_span!("request", id, trace, parent),
        None => info_span!("request", id),
    }
}

/// What the audit log calls it.
pub(super) fn named(id: &str, headers: &HeaderMap) -> Option<RequestId> {
    let trace = parent(headers).and_then(|(trace, _)| u128::from_str_radix(trace, 16).ok());
    u64::from_str_radix(id, 16).ok().map(|id| RequestId { id, trace })
}

/// The id as a header.
pub(super) fn header(id: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(id).ok()
}

/// The trace and the caller's part of it, from `traceparent`. What does not have its form is not taken up (section 3.2.2.5),
/// so that nothing else that a caller says gets into the log this way.
fn parent(headers: &HeaderMap) -> Option<(&str, &str)> {
    let mut all = headers.get_all("traceparent").iter();
    let (first, None) = (all.next()?, all.next()) else { return None };
    let mut parts = first.to_str().ok()?.splitn(5, '-');
    let mut hex = |len: usize| {
        let part = parts.next()?;
        let digits = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (part.len() == len && digits).then_some(part)
    };
    let (version, trace, parent, _flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    let rest = parts.next();
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let refused = version == "ff" || (version == "00" && rest.is_some()) || is_zero(trace) || is_zero(parent);
    (!refused).then_some((trace, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn taken(values: &[String]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("traceparent", HeaderValue::from_str(value).unwrap());
        }
        parent(&headers).is_some_and(|(trace, parent)| trace == TRACE && parent == "00f067aa0ba902b7")
    }

    /// The forms of the recommendation, and what is none of them.
    #[test]
    fn traceparents() {
        let whole = format!("00-{TRACE}-00f067aa0ba902b7-01");
        assert!(taken(std::slice::from_ref(&whole)));
        assert!(taken(&[format!("01-{TRACE}-00f067aa0ba902b7-01-what-comes-later")]));
        let zeros = "0".repeat(32);
        for wrong in [
            format!("{whole}-x"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{zeros}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            "00".to_owned(),
            String::new(),
        ] {
            assert!(!taken(std::slice::from_ref(&wrong)), "{wrong}");
        }
        assert!(!taken(&[whole.clone(), whole]), "two say nothing");
    }

    #[test]
    fn ids_differ() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| id()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 16));
    }
}
