//! Objects ⇄ records.

use super::{Class, Content, KeyFacts};
use crate::keyring::record::{FactsRecord, ObjectRecord};
use canis_proto::{Id, KeyType, Usage};

/// Names a bit of a record's flags after the field it keeps.
macro_rules! flags {
    ($type:ty, $number:ty, $to:ident, $from:ident, [$($field:ident = $bit:literal),+]) => {
        fn $to(value: &$type) -> $number {
            0 $(| if value.$field { $bit } else { 0 })+
        }

        fn $from(bits: $number, value: &mut $type) {
            $(value.$field = bits & $bit != 0;)+
        }
    };
}

flags!(
    Content,
    u8,
    content_flags,
    set_content_flags,
    [private = 1, modifiable = 2, copyable = 4, destroyable = 8]
);
flags!(
    KeyFacts,
    u16,
    facts_flags,
    set_facts_flags,
    [
        trusted = 1,
        sensitive = 2,
        always_sensitive = 4,
        extractable = 8,
        never_extractable = 16,
        local = 32,
        always_authenticate = 64,
        wrap_with_trusted = 128,
        by_api = 256,
        from_kdf = 512
    ]
);

/// The record of an object that shows `key`.
pub(crate) fn to_record(content: &Content, key: Option<(Id, u32)>) -> ObjectRecord {
    ObjectRecord {
        class: content.class as u8,
        flags: content_flags(content),
        label: content.label.clone(),
        cka_id: content.id.clone(),
        key_id: key.map(|(id, _)| id.0),
        version: key.map_or(0, |(_, version)| version),
        facts: content.key.as_ref().map(|facts| FactsRecord {
            kind: facts.kind.number(),
            usage: facts.usage.bits(),
            flags: facts_flags(facts),
            mechanism: facts.mechanism,
            spki: facts.spki.clone(),
        }),
        attributes: content.attributes.clone(),
    }
}

/// The object of a record; `None` for numbers nobody writes.
pub(crate) fn from_record(record: ObjectRecord) -> Option<(Content, Option<(Id, u32)>)> {
    let key = match record.facts {
        Some(facts) => Some(facts_from(facts)?),
        None => None,
    };
    let mut content = Content {
        class: Class::from_number(record.class)?,
        private: false,
        modifiable: false,
        copyable: false,
        destroyable: false,
        label: record.label,
        id: record.cka_id,
        key,
        attributes: record.attributes,
    };
    set_content_flags(record.flags, &mut content);
    Some((content, record.key_id.map(|id| (Id(id), record.version))))
}

fn facts_from(record: FactsRecord) -> Option<KeyFacts> {
    let mut facts = KeyFacts {
        kind: KeyType::from_number(record.kind)?,
        usage: Usage::from_bits(record.usage)?,
        trusted: false,
        sensitive: false,
        always_sensitive: false,
        extractable: false,
        never_extractable: false,
        local: false,
        always_authenticate: false,
        wrap_with_trusted: false,
        by_api: false,
        from_kdf: false,
        mechanism: record.mechanism,
        spki: record.spki,
    };
    set_facts_flags(record.flags, &mut facts);
    Some(facts)
}
