//! Searches for objects (section 5.7.6 and on).

use crate::attribute::{Attribute, Value};
use crate::curve::{point, point_len};
use crate::key_template::family_of;
use crate::module::Module;
use crate::object::{class_of, read};
use crate::pending::{Done, Operation, Pending, Stage, begin, work};
use crate::rv::Result;
use crate::session::Session;
use crate::template::Template;
use crate::token::Token;
use canis_core::object::{Object, Wanted};
use canis_proto::{Family, Id, KeyType};
use pkcs11_sys::*;
use std::sync::Arc;

/// A search under way: the handles found and not yet given.
pub(crate) struct Search {
    rest: std::vec::IntoIter<CK_OBJECT_HANDLE>,
}

impl Operation for Search {
    fn place(session: &mut Session) -> &mut Pending<Self> {
        &mut session.search
    }
}

/// C_FindObjectsInit. The core narrows the search by label, id, class, key type and unique id; the rest of the template is compared here.
pub(crate) fn init(
    module: &Module,
    session: CK_SESSION_HANDLE,
    attributes: Result<Vec<Attribute<'_>>>,
) -> Result {
    begin(
        module,
        session,
        |session| session.token.clone(),
        |token| {
            let attributes = attributes?;
            let template = Template::new(&attributes)?;
            let rest = search(module, &token, &template)?.into_iter();
            Ok(Search { rest })
        },
    )
}

fn search(module: &Module, token: &Token, template: &Template<'_>) -> Result<Vec<CK_OBJECT_HANDLE>> {
    let class = template.number(CKA_CLASS)?.map(class_of);
    let unique = template.bytes(CKA_UNIQUE_ID).map(|id| std::str::from_utf8(id).ok().and_then(Id::parse));
    let family = template.number(CKA_KEY_TYPE)?.map(family_of);
    // Nothing is of a class or a type that CANIS does not have, nor has an id that is none.
    if class == Some(None) || unique == Some(None) || family == Some(None) {
        return Ok(Vec::new());
    }
    let wanted = Wanted {
        class: class.flatten(),
        label: template.bytes(CKA_LABEL),
        id: template.bytes(CKA_ID),
        unique: unique.flatten(),
        family: family.flatten(),
    };
    let found = module.keeper()?.find(token, wanted)?;
    for refused in found.refused {
        module.log.line(format_args!("C_FindObjectsInit leaves an object out: {refused}"));
    }
    let shown = |object: &&Arc<Object>| !is_hidden(module, object) && matches(object, template);
    let handle = |object: &Arc<Object>| module.handles.issue(token.id, object.id, object.content.private);
    Ok(found.objects.iter().filter(shown).map(handle).collect())
}

/// Whether keys of this type are hidden from searches: by the configuration, or because the standard has no type for them.
fn is_hidden(module: &Module, object: &Object) -> bool {
    let hidden = |kind: KeyType| kind.family() == Family::Hybrid || module.hidden.contains(&kind);
    object.content.key.as_ref().is_some_and(|key| hidden(key.kind))
}

fn matches(object: &Object, template: &Template<'_>) -> bool {
    template.iter().all(|wanted| read(object, wanted.kind).is_ok_and(|value| same(object, wanted, &value)))
}

/// Whether an attribute has the wanted value. A point may be asked for in any of its encodings.
fn same(object: &Object, wanted: &Attribute<'_>, value: &Value<'_>) -> bool {
    match &object.content.key {
        Some(key) if wanted.kind == CKA_EC_POINT => {
            let len = point_len(key.kind);
            point(&wanted.value, len).is_ok_and(|bare| point(value.as_slice(), len).is_ok_and(|p| p == bare))
        }
        _ => value.as_slice() == &*wanted.value,
    }
}

/// C_FindObjects: fills the host's array and says how many there were.
pub(crate) fn next(
    module: &Module,
    session: CK_SESSION_HANDLE,
    io: Result<(&mut [CK_OBJECT_HANDLE], &mut CK_ULONG)>,
) -> Result {
    work(module, session, Stage::Update, |search: &mut Search| {
        let (out, count) = io?;
        *count = 0;
        for (place, handle) in out.iter_mut().zip(&mut search.rest) {
            *place = handle;
            *count += 1;
        }
        Ok(Done::Worked)
    })
}

/// C_FindObjectsFinal.
pub(crate) fn finish(module: &Module, session: CK_SESSION_HANDLE) -> Result {
    work(module, session, Stage::Last, |_: &mut Search| Ok(Done::Worked))
}
