//! `sign`, `verify` and `hmac`.

use super::answer::Given;
use super::ask::{Ask, Items};
use super::kinds;
use super::params::Params;
use super::text::{from_url, from_vault, to_url, to_vault};
use canis_proto::message::{Mac, Sign, Verify, VerifyMac};
use canis_proto::{Error, ErrorCode, Family, HashName, Result, SignatureForm, SignatureScheme};
use serde_json::{Value as Json, json};

/// What the items of a request share: how their messages are signed.
struct How {
    hash: HashName,
    /// What a key might sign by, the likeliest first: this surface does not know of which type a key is, and asking would
    /// take a right that signing does not.
    schemes: Vec<SignatureScheme>,
    prehashed: bool,
    form: SignatureForm,
}

impl How {
    fn read(params: &mut Params, algorithm: Option<&str>) -> Result<Self> {
        let named = match params.text("hash_algorithm")? {
            Some(named) => Some(named),
            None => params.text("algorithm")?,
        };
        let hash = kinds::hash(algorithm.or(named.as_deref()))?;
        let padding = params.text("signature_algorithm")?;
        let pkcs1 = match padding.as_deref() {
            None | Some("pss") => false,
            Some("pkcs1v15") => true,
            Some(_) => return Err(Error::invalid("`signature_algorithm` must be pss or pkcs1v15")),
        };
        if params.text("salt_length")?.is_some_and(|salt| salt != "auto" && salt != "hash") {
            return Err(Error::invalid(
                "`salt_length` must be auto or hash: salts of PSS are as long as the hash",
            ));
        }
        let form = match params.text("marshaling_algorithm")?.as_deref() {
            None | Some("asn1") => SignatureForm::Der,
            Some("jws") => SignatureForm::Jws,
            Some(_) => return Err(Error::invalid("`marshaling_algorithm` must be asn1 or jws")),
        };
        let families = match padding {
            Some(_) => [Family::Rsa, Family::Ec, Family::Edwards],
            None => [Family::Ec, Family::Rsa, Family::Edwards],
        };
        let schemes = families.into_iter().filter_map(|family| kinds::scheme(family, hash, pkcs1)).collect();
        Ok(How { hash, schemes, prehashed: params.flag("prehashed")?.unwrap_or_default(), form })
    }

    fn written(&self, text: &str) -> String {
        if self.form == SignatureForm::Jws { to_url(text) } else { text.to_owned() }
    }
}

/// The name of the key, and the hash function if the path ends with one, `sign/<name>/sha2-512`.
fn split(path: &str) -> (&str, Option<&str>) {
    match path.rsplit_once('/') {
        Some((name, last)) if kinds::is_hash(last) => (name, Some(last)),
        _ => (path, None),
    }
}

/// Whether every one of these says that its key does not sign in this way.
fn other_family<T>(results: &[Result<T>]) -> bool {
    let other = |result: &Result<T>| {
        result.as_ref().is_err_and(|error| error.code == ErrorCode::OperationNotSupported)
    };
    results.iter().all(other)
}

pub(super) async fn sign(ask: &Ask<'_>, path: &str, params: &mut Params) -> Result<Given> {
    let (name, algorithm) = split(path);
    let how = How::read(params, algorithm)?;
    let version = params.number("key_version")?.unwrap_or_default();
    let mut items = Ask::items(params)?;
    let messages: Vec<_> = items.each.iter_mut().map(message).collect();
    let mut signed = Vec::new();
    for scheme in &how.schemes {
        let request = |message: &Result<Vec<u8>>| {
            let message = message.clone()?;
            let (prehashed, form) = (how.prehashed, how.form);
            Ok(Sign { scheme: Some(*scheme), prehashed, form, version, ..Sign::new(name, message) })
        };
        let requests: Vec<_> = messages.iter().map(request).collect();
        signed = ask.each(&requests).await?;
        if !other_family(&signed) {
            break;
        }
    }
    let told = |signature: &str| -> Result<Json> {
        let (signature, version) = to_vault(signature)?;
        Ok(json!({"signature": how.written(&signature), "key_version": version}))
    };
    let results = signed.into_iter().map(|signed| told(&signed?.signature)).collect();
    ask.told(items, results).map(Given::Data)
}

fn message(item: &mut Params) -> Result<Vec<u8>> {
    item.lacks(&["context"], "keys of signatures are not derived")?;
    item.present_bytes("input")
}

pub(super) async fn verify(ask: &Ask<'_>, path: &str, params: &mut Params) -> Result<Given> {
    let (name, algorithm) = split(path);
    let how = How::read(params, algorithm)?;
    let mut items = Ask::items(params)?;
    let mut claims = Vec::new();
    for item in &mut items.each {
        claims.push((message(item), item.text("signature")?, item.text("hmac")?));
    }
    let macs = claims.iter().filter(|(_, _, mac)| mac.is_some()).count();
    match macs {
        0 => {
            let claims: Vec<_> =
                claims.into_iter().map(|(message, signature, _)| (message, signature)).collect();
            signatures(ask, name, &how, items, &claims).await
        }
        all if all == claims.len() => {
            let claims: Vec<_> = claims.into_iter().map(|(message, _, mac)| (message, mac)).collect();
            macs_of(ask, name, &how, items, &claims).await
        }
        _ => Err(Error::invalid("verify signatures or MACs in one request, not both")),
    }
}

/// A message, and the signature or MAC that is said to be its.
type Claim = (Result<Vec<u8>>, Option<String>);

async fn signatures(ask: &Ask<'_>, name: &str, how: &How, items: Items, claims: &[Claim]) -> Result<Given> {
    let mut verified = Vec::new();
    for scheme in &how.schemes {
        let request = |(message, signature): &Claim| {
            let signature =
                signature.as_deref().ok_or_else(|| Error::invalid("missing `signature` or `hmac`"))?;
            let signature = match how.form {
                SignatureForm::Jws => from_vault("signature", name, &from_url(signature))?,
                SignatureForm::Der => from_vault("signature", name, signature)?,
            };
            let (prehashed, form) = (how.prehashed, how.form);
            Ok(Verify {
                scheme: Some(*scheme),
                prehashed,
                form,
                ..Verify::new(name, message.clone()?, signature)
            })
        };
        let requests: Vec<_> = claims.iter().map(request).collect();
        verified = ask.each(&requests).await?;
        if !other_family(&verified) {
            break;
        }
    }
    let results = verified.into_iter().map(|verified| Ok(json!({"valid": verified?.valid}))).collect();
    ask.told(items, results).map(Given::Data)
}

async fn macs_of(ask: &Ask<'_>, name: &str, how: &How, items: Items, claims: &[Claim]) -> Result<Given> {
    let request = |(message, mac): &Claim| {
        let mac = from_vault("hmac", name, mac.as_deref().unwrap_or_default())?;
        Ok(VerifyMac { name: name.into(), message: message.clone()?.into(), mac: mac.into(), hash: how.hash })
    };
    let requests: Vec<_> = claims.iter().map(request).collect();
    let verified = ask.each(&requests).await?;
    let results = verified.into_iter().map(|verified| Ok(json!({"valid": verified?.valid}))).collect();
    ask.told(items, results).map(Given::Data)
}

pub(super) async fn hmac(ask: &Ask<'_>, path: &str, params: &mut Params) -> Result<Given> {
    let (name, algorithm) = split(path);
    let how = How::read(params, algorithm)?;
    params.lacks(&["key_version"], "MACs are made with the current version")?;
    let mut items = Ask::items(params)?;
    let request = |item: &mut Params| {
        Ok(Mac { name: name.into(), message: item.present_bytes("input")?.into(), hash: how.hash })
    };
    let requests: Vec<_> = items.each.iter_mut().map(request).collect();
    let told = |mac: &str| -> Result<Json> { Ok(json!({"hmac": to_vault(mac)?.0})) };
    let results = ask.each(&requests).await?.into_iter().map(|made| told(&made?.mac)).collect();
    ask.told(items, results).map(Given::Data)
}
