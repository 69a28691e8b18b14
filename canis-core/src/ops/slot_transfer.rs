//! `slot.import` and `slot.export`: single objects on their way into a token, and public ones out of it.

use super::create_key::NewMaterial;
use super::object_keep::{NewKey, Origin};
use super::slot::Visit;
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::format::certificate::Certificate;
use crate::format::{self, Checked};
use crate::keyring::Keyring;
use crate::object::{Class, Content, FindObjects, Found, KeyFacts, Object, Wanted};
use crate::token::Role;
use canis_proto::slot::{ExportFromSlot, ImportToSlot, SlotObject, SlotObjects};
use canis_proto::{Error, ErrorCode, PublicObject, Result};
use std::sync::Arc;

// PKCS#11 3.1, section 4.6.3: the attributes of a certificate, by their numbers.
const CKA_VALUE: u64 = 0x11;
const CKA_CERTIFICATE_TYPE: u64 = 0x80;
const CKA_ISSUER: u64 = 0x81;
const CKA_SERIAL_NUMBER: u64 = 0x82;
const CKA_SUBJECT: u64 = 0x101;
/// CKC_X_509.
const X_509: u64 = 0;

impl Run for ImportToSlot<'_> {
    const PASSES_MATERIAL: bool = true;

    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn brings(&self) -> Option<usize> {
        Some(self.material.len() + self.certificate.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<SlotObjects> {
        // What is wrong with key and certificate is told before a PIN is tried.
        let Incoming { key, lone } = incoming(keyring, &self)?;
        let token = keyring.token_labelled(caller, &self.token)?;
        let user = Visit::to(keyring, caller, &token);
        user.log_in(Role::User, &self.pin)?;
        let classes: Vec<Class> =
            key.iter().flat_map(NewKey::classes).chain(lone.iter().map(|one| one.class)).collect();
        for class in &classes {
            refuse_taken(keyring, &user.caller, *class, &self.id)?;
        }
        keyring.keep_together(&user.caller, key, lone)?;
        let made = classes.into_iter().map(|class| class.noun().to_owned()).collect();
        Ok(SlotObjects { token: token.label, label: self.label.into_owned(), made })
    }
}

/// What came in, checked: a weak key goes no further.
struct Incoming {
    /// A private or secret key with the objects that show it.
    key: Option<NewKey>,
    /// Objects that show no key of this store: a public key alone, a certificate.
    lone: Vec<Content>,
}

fn incoming(keyring: &Keyring, request: &ImportToSlot<'_>) -> Result<Incoming> {
    let mut came = Incoming { key: None, lone: Vec::new() };
    let labelled = |mut content: Content| {
        content.label = request.label.as_bytes().to_vec();
        content.id = request.id.to_vec();
        content
    };
    let public = |kind, spki| {
        labelled(Content::new(Class::PublicKey, Some(KeyFacts::new(Class::PublicKey, kind, spki))))
    };
    let mut certified = None;
    match key(keyring, request)? {
        Some(Checked::Whole { kind, material, spki }) => {
            let class = if kind.is_asymmetric() { Class::PrivateKey } else { Class::SecretKey };
            let secret = labelled(Content::new(class, Some(KeyFacts::new(class, kind, spki.clone()))));
            let other = kind.is_asymmetric().then(|| public(kind, spki.clone()));
            let made = NewMaterial { kind, material, spki: spki.clone() };
            came.key = Some(NewKey::new(keyring.provider, &Origin::Outside, made, secret, other)?);
            certified = Some(spki);
        }
        Some(Checked::Public { kind, spki }) => {
            came.lone.push(public(kind, spki.clone()));
            certified = Some(spki);
        }
        None if request.certificate.is_empty() => {
            return Err(Error::invalid("there is neither a key nor a certificate to bring in"));
        }
        None => {}
    }
    if !request.certificate.is_empty() {
        let certificate = Certificate::read(&request.certificate)?;
        if certified.is_some_and(|spki| !certificate.certifies(&spki)) {
            return Err(Error::invalid("the certificate is another key's; nothing was changed"));
        }
        came.lone.push(labelled(of_certificate(certificate)));
    }
    Ok(came)
}

fn key(keyring: &Keyring, request: &ImportToSlot<'_>) -> Result<Option<Checked>> {
    let (kind, format) = match (request.kind, request.format) {
        (Some(kind), Some(format)) => (kind, format),
        (None, None) if request.material.is_empty() => return Ok(None),
        _ => return Err(Error::invalid("a key comes with `kind`, `format` and `material`")),
    };
    let checked = format::decode(format, kind, &request.material)?.check(keyring.provider)?;
    checked.expect_kind(kind).map(Some)
}

fn of_certificate(certificate: Certificate) -> Content {
    let Certificate { der, subject, issuer, serial, .. } = certificate;
    let mut content = Content::new(Class::Certificate, None);
    // Sorted by number, as records keep them.
    content.attributes = vec![
        (CKA_VALUE, der),
        (CKA_CERTIFICATE_TYPE, X_509.to_ne_bytes().to_vec()),
        (CKA_ISSUER, issuer),
        (CKA_SERIAL_NUMBER, serial),
        (CKA_SUBJECT, subject),
    ];
    content
}

fn refuse_taken(keyring: &Keyring, user: &Caller, class: Class, id: &[u8]) -> Result<()> {
    let wanted = Wanted { class: Some(class), id: Some(id), ..Wanted::default() };
    let found = FindObjects { wanted }.run(keyring, user)?;
    if found.objects.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::KeyExists,
        format!("a {} of this id is on the token already; nothing was changed", class.noun()),
    ))
}

impl Run for ExportFromSlot<'_> {
    const PASSES_MATERIAL: bool = true;

    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.der.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<SlotObject> {
        if self.label.is_none() && self.id.is_none() {
            return Err(Error::invalid("say the label or the id of the object"));
        }
        let token = keyring.token_labelled(caller, &self.token)?;
        let visitor = Visit::to(keyring, caller, &token);
        if let Some(pin) = &self.pin {
            visitor.log_in(Role::User, pin)?;
        }
        let wanted = Wanted {
            label: self.label.as_deref().map(str::as_bytes),
            id: self.id.as_deref(),
            ..Wanted::default()
        };
        let mut found = FindObjects { wanted }.run(keyring, &visitor.caller)?;
        match found.refused.pop() {
            Some(refused) => Err(refused),
            None => chosen(&found, &self),
        }
    }
}

/// The one public key, else the one certificate, unless the request says which.
fn chosen(found: &Found, request: &ExportFromSlot<'_>) -> Result<SlotObject> {
    let of = |class| found.objects.iter().filter(move |object| object.content.class == class);
    let of_key = |class| of(class).filter_map(|object| Some(object.content.key.as_ref()?.spki.clone()));
    if request.what != Some(PublicObject::Certificate) {
        let mut keys: Vec<_> = of_key(Class::PublicKey).chain(of_key(Class::PrivateKey)).collect();
        keys.sort();
        keys.dedup();
        match keys.len() {
            0 => {}
            1 => return Ok(SlotObject { what: PublicObject::PublicKey, der: keys.remove(0) }),
            many => return Err(several(many, "public keys")),
        }
    }
    let mut certificates: Vec<_> = of(Class::Certificate).filter_map(value).collect();
    match (certificates.len(), request.what) {
        (1, None | Some(PublicObject::Certificate)) => {
            Ok(SlotObject { what: PublicObject::Certificate, der: certificates.remove(0) })
        }
        (_, Some(PublicObject::PublicKey)) | (0, _) => Err(nothing(&found.objects, request)),
        (many, _) => Err(several(many, "certificates")),
    }
}

fn value(certificate: &Arc<Object>) -> Option<Vec<u8>> {
    let attributes = &certificate.content.attributes;
    attributes.iter().find(|(kind, _)| *kind == CKA_VALUE).map(|(_, value)| value.clone())
}

fn several(many: usize, what: &str) -> Error {
    Error::new(ErrorCode::Conflict, format!("{many} {what} fit; say the id as well as the label"))
}

fn nothing(found: &[Arc<Object>], request: &ExportFromSlot<'_>) -> Error {
    if found.iter().any(|object| object.content.class.is_secret()) {
        return Error::new(
            ErrorCode::KeyNotExportable,
            "that is a secret key; private material does not leave by `slot export`. `canis key export` takes out \
             what may leave",
        );
    }
    let login = if request.pin.is_none() { "; private objects are seen with the user PIN only" } else { "" };
    Error::new(
        ErrorCode::ObjectNotFound,
        format!("the token has no such public key or certificate of this label and id{login}"),
    )
}
