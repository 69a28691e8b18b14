//! The table of what `/metrics` tells.

/// What kind of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from the server's start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many lay below each bound.
    Histogram,
    /// How many, and their sum.
    Summary,
}

/// A family of metrics: samples of one name.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name; samples of a counter end in `_total` besides.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The labels of its samples, besides a histogram's `le`.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

impl Family {
    /// Its name as queries write it.
    #[must_use]
    pub fn queried(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            _ => self.name.to_owned(),
        }
    }
}

macro_rules! families {
    ($($constant:ident $name:literal $kind:ident [$($label:literal),*] $help:literal;)+) => {
        $(pub(super) const $constant: Family =
            Family { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)+

        impl Family {
            /// Every family, in the order in which they are told.
            pub const ALL: &[Family] = &[$($constant,)+];
        }
    };
}

families! {
    BUILD "canis_build_info" Gauge ["version", "provider"] "1; the version and the crypto provider are its labels.";
    SEALED "canis_sealed" Gauge [] "1 as long as the store is sealed.";
    REQUESTS "canis_requests" Counter ["operation", "door", "code"] "Requests and streams answered; a batch counts as one.";
    DURATION "canis_request_duration_seconds" Histogram ["operation"] "From a request's arrival to its answer, without the wait for the audit log.";
    IN_FLIGHT "canis_requests_in_flight" Gauge [] "Requests and streams that wait for a thread or are worked on by one.";
    BYTES "canis_bytes_in_flight" Gauge ["size"] "Bytes that requests and answers in flight are paid with: the large ones, the small ones.";
    THREADS "canis_pool_threads_busy" Gauge ["lane"] "Threads at work for short requests and for long ones.";
    CONNECTIONS "canis_connections" Gauge ["door"] "Open connections.";
    ACCEPTED "canis_connections_accepted" Counter ["door"] "Connections accepted.";
    CERTIFICATE "canis_certificate_expires_timestamp_seconds" Gauge [] "When the server's certificate ends, or the first of its chain.";
    HTTP "canis_http_responses" Counter ["status"] "Answers of the HTTP door.";
    WRONG "canis_wrong_credentials" Counter [] "Credentials shown that were wrong.";
    LOCKED_OUT "canis_lockout_refusals" Counter [] "Credentials not looked at because too many wrong ones came from their address.";
    CACHE_HITS "canis_cache_hits" Counter ["cache"] "Look-ups in a cache of keys that found something.";
    CACHE_MISSES "canis_cache_misses" Counter ["cache"] "Look-ups in a cache of keys that found nothing.";
    CACHE_ENTRIES "canis_cache_entries" Gauge ["cache"] "What a cache of keys holds.";
    COMMITS "canis_store_commits" Counter ["result"] "Changes of the store that were done and that failed.";
    COMMIT_SECONDS "canis_store_commit_seconds" Summary [] "How long changes of the store took.";
    ROWS_CHANGED "canis_store_rows_changed" Gauge [] "Tables whose rows other hands have changed, as the last comparison found; missing until then.";
    ROWS_CHECKED "canis_store_rows_checked_timestamp_seconds" Gauge [] "When the store's rows were compared with their accumulators last.";
    HSM_CALLS "canis_hsm_call_seconds" Summary [] "How long each thing took that an HSM was asked.";
    HSM_ERRORS "canis_hsm_errors" Counter [] "Things an HSM was asked that failed.";
    HSM_UP "canis_hsm_up" Gauge [] "1 if the HSM could be reached when it was asked last; missing until then.";
    AUDIT_WAITING "canis_audit_lines_waiting" Gauge [] "Lines of the audit log that are not written yet.";
    AUDIT_WRITTEN "canis_audit_written_timestamp_seconds" Gauge [] "When lines of the audit log were written last.";
    AUDIT_FAILING "canis_audit_failing" Gauge [] "1 as long as the audit log cannot be written.";
    AUDIT_FAILURES "canis_audit_failures" Counter [] "Tries to write the audit log that failed.";
    AUDIT_UNWRITTEN "canis_audit_unwritten_answers" Counter [] "Answers replaced by an error because their line could not be written.";
    DUE "canis_keys_due" Gauge ["what", "when"] "Keys for which something is due and has not happened (now), or will be within a day (soon).";
    SCHEDULED "canis_schedule_done" Counter ["what"] "What was done because it was due.";
    SCHEDULE_FAILED "canis_schedule_failing" Gauge [] "Keys for which what was due failed at the last look.";
    STARTED "process_start_time_seconds" Gauge [] "When the server started.";
    PROCESSOR "process_cpu_seconds" Counter [] "Processor time used.";
    RESIDENT "process_resident_memory_bytes" Gauge [] "Memory in use.";
    VIRTUAL "process_virtual_memory_bytes" Gauge [] "Address space in use.";
    FILES "process_open_fds" Gauge [] "Open files and connections.";
    MOST_FILES "process_max_fds" Gauge [] "How many there may be.";
}
