//! Templates: what the host wants an object to be, checked against the rules and made into the core's content.

use crate::attribute::{Attribute, Format, boolean, number};
use crate::key_template;
use crate::object::{self, class_of, usage};
use crate::rules::{Change, Given, Reveal, Rule, rule};
use crate::rv::{Fail, Result, fail};
use crate::version_3_2::CKA_PARAMETER_SET;
use canis_core::crypto::private_parts::PrivateParts;
use canis_core::object::{Class, Content, KeyFacts, Object};
use canis_proto::{Family, KeyType, Usage};
use pkcs11_sys::*;

/// A template without contradictions.
pub(crate) struct Template<'a> {
    attributes: &'a [Attribute<'a>],
}

impl<'a> Template<'a> {
    /// # Errors
    /// CKR_TEMPLATE_INCONSISTENT if an attribute stands twice with different values (section 4.1.1, rule 4).
    pub(crate) fn new(attributes: &'a [Attribute<'a>]) -> Result<Self> {
        for (at, one) in attributes.iter().enumerate() {
            if attributes[..at].iter().any(|other| other.kind == one.kind && other.value != one.value) {
                return fail(CKR_TEMPLATE_INCONSISTENT);
            }
        }
        Ok(Template { attributes })
    }

    /// The attributes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Attribute<'a>> {
        self.attributes.iter()
    }

    /// An attribute's bytes.
    pub(crate) fn bytes(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<&'a [u8]> {
        self.attributes.iter().find(|attribute| attribute.kind == kind).map(|attribute| &*attribute.value)
    }

    /// An attribute that is a boolean.
    pub(crate) fn boolean(&self, kind: CK_ATTRIBUTE_TYPE) -> Result<Option<bool>> {
        self.bytes(kind).map(boolean).transpose()
    }

    /// An attribute that is a number.
    pub(crate) fn number(&self, kind: CK_ATTRIBUTE_TYPE) -> Result<Option<CK_ULONG>> {
        self.bytes(kind).map(number).transpose()
    }

    /// An attribute's bytes, if it is there and not empty.
    pub(crate) fn filled(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<&'a [u8]> {
        self.bytes(kind).filter(|value| !value.is_empty())
    }

    /// An attribute's bytes.
    ///
    /// # Errors
    /// CKR_TEMPLATE_INCOMPLETE if it is not there.
    pub(crate) fn needed(&self, kind: CK_ATTRIBUTE_TYPE) -> Result<&'a [u8]> {
        self.bytes(kind).ok_or_else(|| CKR_TEMPLATE_INCOMPLETE.into())
    }
}

/// What C_CreateObject is to make.
pub(crate) struct Created {
    /// Its attributes.
    pub(crate) content: Content,
    /// The material of a private or secret key.
    pub(crate) parts: Option<PrivateParts>,
}

/// What C_CreateObject is to make.
///
/// # Errors
/// CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_VALUE_INVALID, and those of the rules.
pub(crate) fn created(template: &Template<'_>, so: bool) -> Result<Created> {
    let class = number(template.needed(CKA_CLASS)?)?;
    let Some(class) = class_of(class) else { return fail(CKR_ATTRIBUTE_VALUE_INVALID) };
    let (key, parts) = match class {
        Class::Data => (None, None),
        Class::Certificate => {
            check_certificate(template)?;
            (None, None)
        }
        Class::PublicKey => {
            let (kind, spki) = key_template::public_key(template)?;
            (Some(KeyFacts::new(class, kind, spki)), None)
        }
        Class::PrivateKey => {
            let (kind, parts, spki) = key_template::private_key(template)?;
            (Some(KeyFacts::new(class, kind, spki)), Some(parts))
        }
        Class::SecretKey => {
            let (kind, parts) = key_template::secret_key(template)?;
            (Some(KeyFacts::new(class, kind, Vec::new())), Some(parts))
        }
        Class::Profile => return fail(CKR_ATTRIBUTE_VALUE_INVALID),
    };
    let mut content = Content::new(class, key);
    fill(&mut content, template, Given::Create, so)?;
    Ok(Created { content, parts })
}

/// What C_GenerateKey and C_GenerateKeyPair are to make of a class and type.
pub(crate) fn generated(
    class: Class,
    kind: KeyType,
    mechanism: CK_MECHANISM_TYPE,
    template: &Template<'_>,
    so: bool,
) -> Result<Content> {
    #[allow(clippy::useless_conversion)] // CK_ULONG has 32 bits on some targets.
    let key =
        KeyFacts { local: true, mechanism: u64::from(mechanism), ..KeyFacts::new(class, kind, Vec::new()) };
    let mut content = Content::new(class, Some(key));
    fill(&mut content, template, Given::Generate, so)?;
    if mechanism == CKM_HKDF_KEY_GEN && template.bytes(CKA_KEY_TYPE).is_none() {
        object::keep(&mut content, CKA_KEY_TYPE, Format::Number.parse(&CKK_HKDF.to_ne_bytes())?);
    }
    Ok(content)
}

/// What an object is after C_SetAttributeValue.
///
/// # Errors
/// CKR_ATTRIBUTE_READ_ONLY for what may not change so.
pub(crate) fn changed(object: &Object, template: &Template<'_>, so: bool) -> Result<Content> {
    edited(object, template, |rule, wanted| match rule.change {
        Change::Never => Ok(false),
        Change::Free => Ok(true),
        // Setting what is set already changes nothing.
        Change::Raise => Ok(wanted == [CK_TRUE] || is(object, rule, wanted)?),
        Change::Lower => Ok(wanted == [CK_FALSE] || is(object, rule, wanted)?),
        Change::BySo => Ok(so),
    })
}

/// What a copy of an object is (section 5.7.2): what C_SetAttributeValue may change, and where it lives.
///
/// # Errors
/// CKR_TEMPLATE_INCONSISTENT if it would make public what was private; CKR_ATTRIBUTE_READ_ONLY.
pub(crate) fn copied(object: &Object, template: &Template<'_>, so: bool) -> Result<Content> {
    if object.content.private && template.boolean(CKA_PRIVATE)? == Some(false) {
        return fail(CKR_TEMPLATE_INCONSISTENT);
    }
    edited(object, template, |rule, wanted| match (rule.kind, rule.change) {
        (CKA_TOKEN | CKA_PRIVATE | CKA_MODIFIABLE | CKA_DESTROYABLE, _) | (_, Change::Free) => Ok(true),
        (_, Change::Raise) if wanted == [CK_TRUE] => Ok(true),
        (_, Change::Lower) if wanted == [CK_FALSE] => Ok(true),
        (_, Change::BySo) if so || wanted == [CK_FALSE] => Ok(true),
        _ => is(object, rule, wanted),
    })
}

/// An object's content with a template's attributes, each of which `allowed` must let through.
fn edited(
    object: &Object,
    template: &Template<'_>,
    allowed: impl Fn(&Rule, &[u8]) -> Result<bool>,
) -> Result<Content> {
    let mut content = object.content.clone();
    let family = content.key.as_ref().map(|key| key.kind.family());
    for attribute in template.iter() {
        let rule = rule(attribute.kind, content.class, family).ok_or(CKR_ATTRIBUTE_TYPE_INVALID)?;
        let wanted = rule.format.parse(&attribute.value)?;
        if rule.reveal == Reveal::Sensitive || !allowed(rule, &wanted)? {
            return read_only(rule);
        }
        apply(&mut content, rule, wanted);
    }
    Ok(content)
}

/// Whether an attribute has this value already; `wanted` is in the form that records keep.
fn is(object: &Object, rule: &Rule, wanted: &[u8]) -> Result<bool> {
    Ok(object::read(object, rule.kind)?.as_slice() == rule.format.show(wanted).as_slice())
}

/// Puts a template's attributes into new content.
fn fill(content: &mut Content, template: &Template<'_>, moment: Given, so: bool) -> Result {
    let kind = content.key.as_ref().map(|key| key.kind);
    let family = kind.map(KeyType::family);
    let for_keys = |kind| -> Result<bool> { Ok(template.boolean(kind)? == Some(true)) };
    let wraps =
        |kind: KeyType| kind.possible_usage().intersect(Usage::WRAP.with(Usage::UNWRAP)) != Usage::NONE;
    if let Some(key) = &mut content.key
        && wraps(key.kind)
        && (for_keys(CKA_WRAP)? || for_keys(CKA_UNWRAP)?)
    {
        // A key that wraps is for no data unless that is asked for.
        key.usage = key.usage.without(Usage::ENCRYPT.with(Usage::DECRYPT));
    }
    for attribute in template.iter() {
        if says_length_of_des(attribute, kind)? {
            continue;
        }
        let rule = rule(attribute.kind, content.class, family).ok_or(CKR_ATTRIBUTE_TYPE_INVALID)?;
        if rule.given != Given::Both && rule.given != moment {
            return read_only(rule);
        }
        let value = rule.format.parse(&attribute.value)?;
        let on = value == [CK_TRUE];
        match rule.kind {
            CKA_CLASS if number(&attribute.value)? != object::class_number(content.class) => {
                return fail(CKR_TEMPLATE_INCONSISTENT);
            }
            CKA_KEY_TYPE if !key_template::stands_for(number(&attribute.value)?, kind) => {
                return fail(CKR_TEMPLATE_INCONSISTENT);
            }
            // What a generic secret is for, by the host's word.
            CKA_KEY_TYPE if family == Some(Family::Generic) => object::keep(content, rule.kind, value),
            // Key material is no attribute of the object's record.
            _ if rule.reveal == Reveal::Sensitive => {}
            CKA_TRUSTED if on && !so => return read_only(rule),
            _ => apply(content, rule, value),
        }
    }
    // Section 4.9: only with CKA_PRIVATE.
    match &content.key {
        Some(key) if key.always_authenticate && !content.private => fail(CKR_TEMPLATE_INCONSISTENT),
        _ => Ok(()),
    }
}

/// Whether an attribute says how long a DES key is, and rightly: such keys have no CKA_VALUE_LEN, but pkcs11-tool gives it.
fn says_length_of_des(attribute: &Attribute<'_>, kind: Option<KeyType>) -> Result<bool> {
    let Some(kind) = kind.filter(|kind| kind.is_legacy() && attribute.kind == CKA_VALUE_LEN) else {
        return Ok(false);
    };
    if number(&attribute.value)? == kind.bytes() as CK_ULONG {
        Ok(true)
    } else {
        fail(CKR_TEMPLATE_INCONSISTENT)
    }
}

fn read_only<T>(rule: &Rule) -> Result<T> {
    let why = format!("{} cannot be set here, or not to this value, or not by who is logged in", rule.name);
    Err(Fail::explained(CKR_ATTRIBUTE_READ_ONLY, why))
}

/// Sets one attribute that has passed its rule. What describes the key itself is not set here: it follows from the key.
fn apply(content: &mut Content, rule: &Rule, value: Vec<u8>) {
    let on = value == [CK_TRUE];
    match rule.kind {
        CKA_PRIVATE => content.private = on,
        CKA_MODIFIABLE => content.modifiable = on,
        CKA_COPYABLE => content.copyable = on,
        CKA_DESTROYABLE => content.destroyable = on,
        CKA_LABEL => content.label = value,
        CKA_ID => content.id = value,
        CKA_CLASS | CKA_TOKEN => {}
        _ => {
            let class = content.class;
            let known = content.key.as_mut().is_some_and(|key| apply_to_key(key, class, rule.kind, on));
            if !known {
                object::keep(content, rule.kind, value);
            }
        }
    }
}

/// Sets an attribute that is a fact of the key; says whether it was one.
fn apply_to_key(key: &mut KeyFacts, class: Class, kind: CK_ATTRIBUTE_TYPE, on: bool) -> bool {
    if let Some(bit) = usage(kind, key.kind.family()) {
        // Asking for more than the algorithm can do is common (python-pkcs11 does) and grants nothing.
        let allowed = on && class.possible_usage(key.kind).allows(bit);
        key.usage = if allowed { key.usage.with(bit) } else { key.usage.without(bit) };
        return true;
    }
    match kind {
        CKA_TRUSTED => key.trusted = on,
        CKA_SENSITIVE => key.sensitive = on,
        CKA_EXTRACTABLE => key.extractable = on,
        CKA_WRAP_WITH_TRUSTED => key.wrap_with_trusted = on,
        CKA_ALWAYS_AUTHENTICATE => key.always_authenticate = on,
        CKA_KEY_TYPE | CKA_MODULUS | CKA_MODULUS_BITS | CKA_PUBLIC_EXPONENT | CKA_EC_PARAMS
        | CKA_EC_POINT | CKA_VALUE | CKA_VALUE_LEN | CKA_PUBLIC_KEY_INFO | CKA_PARAMETER_SET => {}
        _ => return false,
    }
    true
}

/// An X.509 certificate must say its type, its subject and its value (section 4.6.3).
fn check_certificate(template: &Template<'_>) -> Result {
    if number(template.needed(CKA_CERTIFICATE_TYPE)?)? != CKC_X_509 {
        return fail(CKR_ATTRIBUTE_VALUE_INVALID);
    }
    template.needed(CKA_SUBJECT)?;
    if template.needed(CKA_VALUE)?.is_empty() { fail(CKR_ATTRIBUTE_VALUE_INVALID) } else { Ok(()) }
}

/// The data object that a template for C_DeriveKey by CKM_HKDF_DATA asks for, without its value, and the length of that.
///
/// # Errors
/// CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT, and those of the rules.
pub(crate) fn data_derived(template: &Template<'_>, so: bool) -> Result<(Content, usize)> {
    if template.number(CKA_CLASS)?.is_some_and(|class| class != CKO_DATA)
        || template.bytes(CKA_VALUE).is_some()
    {
        return fail(CKR_TEMPLATE_INCONSISTENT);
    }
    let len = usize::try_from(number(template.needed(CKA_VALUE_LEN)?)?).map_err(|_| CKR_KEY_SIZE_RANGE)?;
    let others: Vec<_> = template.iter().filter(|one| one.kind != CKA_VALUE_LEN).cloned().collect();
    let mut content = Content { private: true, ..Content::new(Class::Data, None) };
    fill(&mut content, &Template::new(&others)?, Given::Create, so)?;
    Ok((content, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: &[u8] = &[1];
    const OFF: &[u8] = &[0];

    fn attribute(kind: CK_ATTRIBUTE_TYPE, value: &[u8]) -> Attribute<'_> {
        Attribute { kind, value: value.into() }
    }

    fn private(attributes: &[Attribute<'_>]) -> Result<Content> {
        let template = Template::new(attributes)?;
        generated(Class::PrivateKey, KeyType::EcdsaP256, CKM_EC_KEY_PAIR_GEN, &template, false)
    }

    #[test]
    fn a_plain_template_gives_a_key_that_works_and_stays() {
        let key = private(&[]).unwrap();
        let facts = key.key.unwrap();
        assert!(key.private && facts.sensitive && !facts.extractable && facts.local);
        assert!(facts.usage.allows(Usage::SIGN) && !facts.usage.allows(Usage::UNWRAP));
    }

    #[test]
    fn contradictions_are_refused_and_repetitions_are_not() {
        let twice = [attribute(CKA_SIGN, ON), attribute(CKA_SIGN, ON)];
        assert!(private(&twice).is_ok());
        let torn = [attribute(CKA_SIGN, ON), attribute(CKA_SIGN, OFF)];
        assert_eq!(private(&torn).unwrap_err().rv, CKR_TEMPLATE_INCONSISTENT);
        let class = CKO_SECRET_KEY.to_ne_bytes();
        assert_eq!(private(&[attribute(CKA_CLASS, &class)]).unwrap_err().rv, CKR_TEMPLATE_INCONSISTENT);
    }

    #[test]
    fn rules_are_kept_when_objects_are_made() {
        for (kind, value, rv) in [
            (CKA_LOCAL, ON, CKR_ATTRIBUTE_READ_ONLY),
            (CKA_VALUE, &[0; 32], CKR_ATTRIBUTE_READ_ONLY),
            (CKA_MODULUS, &[0; 32], CKR_ATTRIBUTE_TYPE_INVALID),
            (CKA_VENDOR_DEFINED | 7, ON, CKR_ATTRIBUTE_TYPE_INVALID),
            (CKA_SENSITIVE, &[7], CKR_ATTRIBUTE_VALUE_INVALID),
        ] {
            assert_eq!(private(&[attribute(kind, value)]).unwrap_err().rv, rv, "{kind:x}");
        }
    }

    #[test]
    fn only_private_objects_ask_for_a_pin_each_time() {
        assert!(private(&[attribute(CKA_ALWAYS_AUTHENTICATE, ON)]).unwrap().key.unwrap().always_authenticate);
        let seen = [attribute(CKA_PRIVATE, OFF), attribute(CKA_ALWAYS_AUTHENTICATE, ON)];
        assert_eq!(private(&seen).unwrap_err().rv, CKR_TEMPLATE_INCONSISTENT);
    }

    #[test]
    fn one_way_attributes_go_one_way() {
        let object = Object {
            id: canis_proto::Id::STORE,
            revision: 1,
            session: None,
            key: None,
            content: private(&[]).unwrap(),
        };
        let change = |kind, value| {
            let attributes = [attribute(kind, value)];
            changed(&object, &Template::new(&attributes).unwrap(), false).map(|_| ()).map_err(|f| f.rv)
        };
        assert_eq!(change(CKA_SENSITIVE, ON), Ok(()));
        assert_eq!(change(CKA_SENSITIVE, OFF), Err(CKR_ATTRIBUTE_READ_ONLY));
        assert_eq!(change(CKA_EXTRACTABLE, OFF), Ok(()));
        assert_eq!(change(CKA_EXTRACTABLE, ON), Err(CKR_ATTRIBUTE_READ_ONLY));
        assert_eq!(change(CKA_TOKEN, ON), Err(CKR_ATTRIBUTE_READ_ONLY));
        assert_eq!(change(CKA_LABEL, b"new"), Ok(()));
        assert_eq!(change(CKA_MODULUS, b""), Err(CKR_ATTRIBUTE_TYPE_INVALID));
    }
}
