//! How fields of requests and answers are read.

use crate::answer::{EntryInfo, KeyInfo, VersionInfo};
use crate::approval::{ApprovalInfo, Approved, Told};
use crate::credential::CredentialInfo;
use crate::fields::Fields;
use crate::fields::FromValue;
use crate::message::{WireAnswer, read_error};
use crate::policy::PolicyInfo;
use crate::role::RoleInfo;
use crate::root::RootSlotInfo;
use crate::signature::SignatureScheme;
use crate::slot::{PinInfo, SlotInfo};
use crate::tenant::TenantInfo;
use crate::value::{Map, Value};
use crate::{Capabilities, Capability, Error, Interval, KeyFormat, KeyState, KeyType, Result, Usage};
use std::borrow::Cow;

pub(crate) fn required<'a, T: FromValue<'a>>(fields: &mut Fields<'a>, key: &str) -> Result<T> {
    fields.required(key)
}

pub(crate) fn default<'a, T: FromValue<'a> + Default>(fields: &mut Fields<'a>, key: &str) -> Result<T> {
    Ok(fields.optional(key)?.unwrap_or_default())
}

pub(crate) fn optional<'a, T: FromValue<'a>>(fields: &mut Fields<'a>, key: &str) -> Result<Option<T>> {
    fields.optional(key)
}

/// True unless it says otherwise.
pub(crate) fn yes(fields: &mut Fields<'_>, key: &str) -> Result<bool> {
    Ok(fields.optional(key)?.unwrap_or(true))
}

pub(crate) fn interval(fields: &mut Fields<'_>, key: &str) -> Result<Interval> {
    Ok(optional_interval(fields, key)?.unwrap_or_default())
}

pub(crate) fn optional_interval(fields: &mut Fields<'_>, key: &str) -> Result<Option<Interval>> {
    fields.optional::<Cow<'_, str>>(key)?.map(|text| text.parse()).transpose()
}

pub(crate) fn numbers(fields: &mut Fields<'_>, key: &str) -> Result<Vec<u32>> {
    let items: Vec<Value<'_>> = fields.required(key)?;
    let one =
        |item| u32::from_value(item).ok_or_else(|| Error::invalid(format!("`{key}` must hold numbers")));
    items.into_iter().map(one).collect()
}

pub(crate) fn texts<'a>(fields: &mut Fields<'a>, key: &str) -> Result<Vec<Cow<'a, str>>> {
    let items: Vec<Value<'a>> = fields.required(key)?;
    let one = |item| {
        <Cow<'a, str>>::from_value(item).ok_or_else(|| Error::invalid(format!("`{key}` must hold texts")))
    };
    items.into_iter().map(one).collect()
}

pub(crate) fn maps<'a>(fields: &mut Fields<'a>, key: &str) -> Result<Vec<Map<'a>>> {
    let items: Vec<Value<'a>> = fields.required(key)?;
    let one = |item| Map::from_value(item).ok_or_else(|| Error::invalid(format!("`{key}` must hold maps")));
    items.into_iter().map(one).collect()
}

/// What became of each operation of a batch.
pub(crate) fn results(fields: &mut Fields<'_>, key: &str) -> Result<Vec<Result<Map<'static>>>> {
    let one = |map| {
        let mut fields = Fields::new("a result", map);
        let error: Option<Map<'_>> = fields.optional("error")?;
        Ok(match error {
            Some(map) => Err(read_error(map)),
            None => Ok(fields.required::<Map<'_>>("result")?.into_owned()),
        })
    };
    maps(fields, key)?.into_iter().map(one).collect()
}

/// A choice by its name; the first one if nothing is said.
pub(crate) fn choice<T>(fields: &mut Fields<'_>, key: &str) -> Result<T>
where
    T: std::str::FromStr<Err = Error> + Default,
{
    Ok(fields.optional::<Cow<'_, str>>(key)?.map(|name| name.parse()).transpose()?.unwrap_or_default())
}

/// What became of each ciphertext: `{"ciphertext": text}` or `{"error": as the payload of ERROR}`.
pub(crate) fn rewrapped(fields: &mut Fields<'_>, key: &str) -> Result<Vec<Result<String>>> {
    let items: Vec<Value<'_>> = fields.required(key)?;
    let one = |item| {
        let map = Map::from_value(item).ok_or_else(|| Error::invalid("a result must be a map"))?;
        let mut fields = Fields::new("a result", map);
        let error: Option<Map<'_>> = fields.optional("error")?;
        Ok(match error {
            Some(map) => Err(read_error(map)),
            None => Ok(fields.required("ciphertext")?),
        })
    };
    items.into_iter().map(one).collect()
}

pub(crate) fn optional_usage(fields: &mut Fields<'_>, key: &str) -> Result<Option<Usage>> {
    fields.optional::<u16>(key)?.map(to_usage).transpose()
}

pub(crate) fn key_type(fields: &mut Fields<'_>, key: &str) -> Result<KeyType> {
    fields.required::<Cow<'_, str>>(key)?.parse()
}

pub(crate) fn strings(fields: &mut Fields<'_>, key: &str) -> Result<Vec<String>> {
    Ok(texts(fields, key)?.into_iter().map(Cow::into_owned).collect())
}

/// What has a name.
pub(crate) fn required_name<T>(fields: &mut Fields<'_>, key: &str) -> Result<T>
where
    T: std::str::FromStr<Err = Error>,
{
    fields.required::<Cow<'_, str>>(key)?.parse()
}

/// What has a name, if it is said.
pub(crate) fn optional_name<T>(fields: &mut Fields<'_>, key: &str) -> Result<Option<T>>
where
    T: std::str::FromStr<Err = Error>,
{
    fields.optional::<Cow<'_, str>>(key)?.map(|name| name.parse()).transpose()
}

pub(crate) fn key_format(fields: &mut Fields<'_>, key: &str) -> Result<KeyFormat> {
    fields.required::<Cow<'_, str>>(key)?.parse()
}

pub(crate) fn scheme(fields: &mut Fields<'_>, key: &str) -> Result<Option<SignatureScheme>> {
    fields.optional::<Cow<'_, str>>(key)?.map(|name| name.parse()).transpose()
}

pub(crate) fn state(fields: &mut Fields<'_>, key: &str) -> Result<KeyState> {
    let name: Cow<'_, str> = fields.required(key)?;
    KeyState::from_name(&name)
        .ok_or_else(|| Error::invalid(format!("unknown key state `{}`", crate::quote(&name))))
}

pub(crate) fn usage(fields: &mut Fields<'_>, key: &str) -> Result<Usage> {
    to_usage(fields.required(key)?)
}

/// Capabilities by their names.
pub(crate) fn capabilities(fields: &mut Fields<'_>, key: &str) -> Result<Capabilities> {
    texts(fields, key)?.iter().try_fold(Capabilities::NONE, |granted, name| {
        let unknown = || Error::invalid(format!("`{}` is no capability", crate::quote(name)));
        Capability::from_name(name).map(|capability| granted.with(capability)).ok_or_else(unknown)
    })
}

pub(crate) fn credential(fields: &mut Fields<'_>, key: &str) -> Result<CredentialInfo> {
    CredentialInfo::from_fields(&mut Fields::new("a credential", fields.required(key)?))
}

pub(crate) fn credentials(fields: &mut Fields<'_>, key: &str) -> Result<Vec<CredentialInfo>> {
    list(fields, key, "a credential")
}

pub(crate) fn roles(fields: &mut Fields<'_>, key: &str) -> Result<Vec<RoleInfo>> {
    list(fields, key, "a role")
}

pub(crate) fn policies(fields: &mut Fields<'_>, key: &str) -> Result<Vec<PolicyInfo>> {
    list(fields, key, "a policy")
}

pub(crate) fn tenant(fields: &mut Fields<'_>, key: &str) -> Result<TenantInfo> {
    TenantInfo::from_fields(&mut Fields::new("a tenant", fields.required(key)?))
}

pub(crate) fn tenants(fields: &mut Fields<'_>, key: &str) -> Result<Vec<TenantInfo>> {
    list(fields, key, "a tenant")
}

/// Texts, of which there need be none.
pub(crate) fn some_texts<'a>(fields: &mut Fields<'a>, key: &str) -> Result<Vec<Cow<'a, str>>> {
    if fields.has(key) { texts(fields, key) } else { Ok(Vec::new()) }
}

/// The same in an answer.
pub(crate) fn some_strings(fields: &mut Fields<'_>, key: &str) -> Result<Vec<String>> {
    Ok(some_texts(fields, key)?.into_iter().map(Cow::into_owned).collect())
}

pub(crate) fn slots(fields: &mut Fields<'_>, key: &str) -> Result<Vec<SlotInfo>> {
    list(fields, key, "a slot")
}

pub(crate) fn root_slots(fields: &mut Fields<'_>, key: &str) -> Result<Vec<RootSlotInfo>> {
    list(fields, key, "a root slot")
}

pub(crate) fn pin_info(fields: &mut Fields<'_>, key: &str) -> Result<PinInfo> {
    PinInfo::from_fields(&mut Fields::new("a PIN", fields.required(key)?))
}

pub(crate) fn approvals(fields: &mut Fields<'_>, key: &str) -> Result<Vec<Approved>> {
    list(fields, key, "an approval")
}

pub(crate) fn requests(fields: &mut Fields<'_>, key: &str) -> Result<Vec<ApprovalInfo>> {
    list(fields, key, "a request")
}

pub(crate) fn told(fields: &mut Fields<'_>, key: &str) -> Result<Vec<Told>> {
    list(fields, key, "an argument")
}

fn to_usage(bits: u16) -> Result<Usage> {
    let known = u8::try_from(bits).ok().and_then(Usage::from_bits);
    known.ok_or_else(|| Error::invalid("unknown usage bits"))
}

pub(crate) fn versions(fields: &mut Fields<'_>, key: &str) -> Result<Vec<VersionInfo>> {
    list(fields, key, "a version")
}

pub(crate) fn entries(fields: &mut Fields<'_>, key: &str) -> Result<Vec<EntryInfo>> {
    list(fields, key, "an entry")
}

pub(crate) fn keys(fields: &mut Fields<'_>, key: &str) -> Result<Vec<KeyInfo>> {
    list(fields, key, "a key")
}

fn list<T: WireAnswer>(fields: &mut Fields<'_>, key: &str, what: &'static str) -> Result<Vec<T>> {
    let items: Vec<Value<'_>> = fields.required(key)?;
    let one = |item| {
        let map = Map::from_value(item).ok_or_else(|| Error::invalid(format!("{what} must be a map")))?;
        T::from_fields(&mut Fields::new(what, map))
    };
    items.into_iter().map(one).collect()
}
