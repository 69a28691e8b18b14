//! Text that people write: ciphertexts, names, identifiers, spans of time, ids. What is read is written as it was, or in a
//! form that reads the same.
#![no_main]

use canis_proto::text::Sealed;
use canis_proto::{EntryId, Id, Interval, KeyName};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // A newline at the end is no part of it.
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if let Ok(form) = Sealed::parse(text) {
        assert_eq!(form.to_text(), line);
    }
    if let Ok(form) = Sealed::parse_stream_header(text) {
        assert_eq!(form.to_stream_header(), line);
    }
    if let Ok(name) = KeyName::parse(text) {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(id) = EntryId::parse(text) {
        assert_eq!(id.as_str(), text);
    }
    if let Ok(interval) = text.parse::<Interval>() {
        assert_eq!(interval.to_string().parse(), Ok(interval));
    }
    if let Some(id) = Id::parse(text) {
        assert_eq!(Id::parse(&id.to_string()), Some(id));
    }
    let _ = canis_proto::quote(text);
});
