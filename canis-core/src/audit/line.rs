//! One line: who asked what by which door, and what came of it. JSON (RFC 8259), one object a line; docs/audit.md lists
//! the fields. No plaintext, no key, no token, no PIN is among them.

use super::chain::push_hex;
use super::keys::AuditKeys;
use crate::caller::Caller;
use crate::core::Resource;
use crate::origin::Proof;
use crate::policy::Source;
use crate::request_id::current_request;
use canis_proto::{ENTRY_PREFIX, ErrorCode, Id, Result};
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::Instant;

/// A line being made.
pub(crate) struct Line {
    /// Fields of a JSON object, without braces.
    pub(crate) body: Vec<u8>,
    began: Instant,
    /// The number of the outbox row that its change has, if it made one.
    pub(crate) change: Option<u64>,
    /// The key and version that it used last.
    pub(crate) used: Option<(Id, u32)>,
    /// The policy and the line of the rule that allowed or refused it.
    pub(crate) rule: Option<String>,
    /// The lines of its parts.
    pub(crate) parts: Vec<Line>,
}

/// A room for the time, which is known when the line is done.
const TIME: &[u8; 36] = b"\"time\":\"0000-00-00T00:00:00.000000Z\"";
/// Where it stands in the body.
const TIME_AT: usize = 8;

impl Line {
    /// The line of what `caller` asks.
    pub(crate) fn begin(
        keys: Option<&AuditKeys>,
        caller: &Caller,
        operation: &str,
        on: Resource<'_>,
    ) -> Self {
        let mut line = Line::empty();
        line.body.reserve(512);
        line.body.extend_from_slice(TIME);
        line.who(caller);
        if let Some(request) = current_request() {
            line.text("request", &format_args!("{:016x}", request.id));
            if let Some(trace) = request.trace {
                line.text("trace", &format_args!("{trace:032x}"));
            }
        }
        line.text("op", &operation);
        line.on(keys, caller, on);
        line
    }

    /// A line that says nothing.
    pub(crate) fn empty() -> Self {
        Line {
            body: Vec::new(),
            began: Instant::now(),
            change: None,
            used: None,
            rule: None,
            parts: Vec::new(),
        }
    }

    fn who(&mut self, caller: &Caller) {
        if let Some(tenant) = caller.tenant_if_known() {
            self.text("tenant", &tenant);
        }
        match caller.proof() {
            Proof::Token | Proof::Certificate | Proof::Jwt | Proof::Peer => {
                self.text("who", &caller.credential());
            }
            Proof::Nothing | Proof::User | Proof::Root | Proof::Pin | Proof::Own => {}
        }
        if let Some(admission) = caller.admission() {
            self.text("roles", &admission.roles);
            self.text("subject", &admission.subject);
        }
        if let Some(role) = caller.pin_role() {
            self.text("role", &role);
        }
        let origin = caller.origin();
        self.text("by", &caller.proof().name());
        self.text("door", &origin.door.name());
        match origin.source {
            Source::Network(address) => self.text("from", &address),
            Source::Local => self.text("from", &"local"),
        }
        if let Some(user) = origin.user {
            self.number("user", user.into());
        }
    }

    /// The identifiers of entries stand sealed in the store, so they are no plain text here either.
    fn on(&mut self, keys: Option<&AuditKeys>, caller: &Caller, on: Resource<'_>) {
        let entry = match on {
            Resource::Entry(id) => Some(id),
            Resource::Key(name) => name.strip_prefix(ENTRY_PREFIX),
            _ => None,
        };
        let Some(id) = entry else { return self.text("on", &on) };
        self.text("on", &Resource::Entries);
        if let Some(keys) = keys {
            self.hex("entry", &keys.digest(caller.tenant_if_known(), b'e', id.as_bytes()));
        }
    }

    /// Says a text.
    pub(crate) fn text(&mut self, name: &str, value: &dyn fmt::Display) {
        let _ = write!(self.body, ",\"{name}\":\"");
        let _ = write!(Escaped(&mut self.body), "{value}");
        self.body.push(b'"');
    }

    /// Says a number.
    pub(crate) fn number(&mut self, name: &str, value: u64) {
        let _ = write!(self.body, ",\"{name}\":{value}");
    }

    /// Says that something is so.
    pub(crate) fn flag(&mut self, name: &str) {
        let _ = write!(self.body, ",\"{name}\":true");
    }

    /// Says bytes that are no secret.
    pub(crate) fn hex(&mut self, name: &str, value: &[u8]) {
        let _ = write!(self.body, ",\"{name}\":\"");
        push_hex(&mut self.body, value);
        self.body.push(b'"');
    }

    /// Another line that says what this one says so far.
    pub(crate) fn same(&self) -> Self {
        Line { body: self.body.clone(), used: self.used, rule: self.rule.clone(), ..Line::empty() }
    }

    /// What is known before it ends, as the transaction of its change carries it.
    pub(crate) fn begun(&self, now_micros: i64) -> Vec<u8> {
        let mut body = self.body.clone();
        body[TIME_AT..TIME_AT + 27].copy_from_slice(&rfc3339(now_micros));
        body
    }

    /// Says what came of it and when that was.
    pub(crate) fn end<T>(mut self, result: &Result<T>, now_micros: i64) -> Self {
        if let Some((key, version)) = self.used {
            self.text("key", &key);
            self.number("version", version.into());
        }
        if let Some(change) = self.change {
            self.number("change", change);
        }
        if let Some(rule) = self.rule.take() {
            self.text("rule", &rule);
        }
        self.text("result", &result.as_ref().err().map_or("ok", |error| error.code.name()));
        self.number("micros", u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX));
        self.at(now_micros)
    }

    /// Says when it ended.
    pub(crate) fn at(mut self, now_micros: i64) -> Self {
        self.body[TIME_AT..TIME_AT + 27].copy_from_slice(&rfc3339(now_micros));
        self
    }

    /// Says that it was done and is undone, or would have been done, after it ended.
    pub(crate) fn undone(&mut self, why: &str, code: Option<ErrorCode>) {
        self.flag(why);
        if let Some(code) = code {
            self.text("because", &code.name());
        }
    }
}

/// Writes text between the quotes of a JSON string (RFC 8259, section 7).
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            match byte {
                b'"' | b'\\' => self.0.extend_from_slice(&[b'\\', byte]),
                0..0x20 | 0x7f => {
                    let _ = write!(self.0, "\\u{byte:04x}");
                }
                _ => self.0.push(byte),
            }
        }
        Ok(())
    }
}

/// A time in microseconds since 1970 UTC as RFC 3339 has it, with all six digits; years 0 to 9999.
#[must_use]
pub fn rfc3339(micros: i64) -> [u8; 27] {
    let micros = micros.clamp(-62_167_219_200_000_000, 253_402_300_799_999_999);
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days are counted from 0000-03-01, so that the leap day is a year's last; 146,097 of them are 400 years.
    let from_march = days + 719_468;
    let (era, day) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    let mut out = *b"0000-00-00T00:00:00.000000Z";
    let mut put = |end: usize, digits: usize, mut number: i64| {
        for at in (end - digits..end).rev() {
            out[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
        }
    };
    put(4, 4, year);
    put(7, 2, month);
    put(10, 2, day);
    put(13, 2, second / 3600);
    put(16, 2, second / 60 % 60);
    put(19, 2, second % 60);
    put(26, 6, fraction);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let told = |micros| String::from_utf8(rfc3339(micros).to_vec()).unwrap();
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_000_001, "2000-02-29T00:00:00.000001Z"),
            (1_790_121_599_999_999, "2026-09-22T23:59:59.999999Z"),
            (4_107_542_399_000_000, "2100-02-28T23:59:59.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (i64::MAX, "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(told(micros), text);
        }
    }

    /// What a caller chose cannot end a string or a line.
    #[test]
    fn text_stays_in_its_string() {
        let mut line = Line::begin(None, &Caller::anonymous(), "x", Resource::System);
        line.text("name", &"a\"b\\c\n\u{1}é");
        let line = line.end(&Ok(()), 0);
        let text = String::from_utf8([&b"{"[..], &line.body, b"}"].concat()).unwrap();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["name"], "a\"b\\c\n\u{1}é");
        assert!(!text.contains('\n'));
    }
}
