//! `sign` and `verify` of streams: the message is hashed as it comes, and its digest signed or verified at the end.

use super::decrypt::made_by;
use super::sign::{hash_of, scheme_for};
use crate::audit::{Open, Written};
use crate::caller::Caller;
use crate::core::{Core, Resource, Run};
use crate::crypto::ml_dsa::Mu;
use crate::crypto::{Hasher, MAX_DIGEST};
use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::keyring::tenant::OpenTenant;
use crate::stream::{Begin, Stream, Watch};
use canis_proto::answer::{Signed, Verified};
use canis_proto::message::{Sign, Verify};
use canis_proto::stream::{SignStream, VerifyStream};
use canis_proto::text::Sealed;
use canis_proto::{Error, ErrorCode, Family, Result, SignatureForm, SignatureScheme, Usage};
use std::borrow::Cow;
use std::mem;

impl<'a> Run for Begin<'a, SignStream<'a>> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.request.name)
    }

    const STREAM: bool = true;

    fn watched(answer: Self::Answer, watch: Watch) -> Self::Answer {
        watch.over(answer)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Box<dyn Stream<Signed>>> {
        let SignStream { name, scheme, form, version, context } = self.request;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.usable(&tenant, &name)?;
        key.require(Usage::SIGN, "sign")?;
        let used = key.version_to_use(version)?;
        let hashed = Hashed::of(keyring, (&tenant, &key, used), scheme, context)?;
        // What begins with the key's hash is for this version, whatever is rotated meanwhile.
        let version = if matches!(hashed.hasher, Hashing::Mu(_)) { used } else { version };
        Ok(Box::new(Signing { hashed, name: name.into_owned(), form, version }))
    }

    fn keep_line(stream: Self::Answer, line: Open) -> (Self::Answer, Option<Open>) {
        (Written::boxed(stream, line), None)
    }
}

impl<'a> Run for Begin<'a, VerifyStream<'a>> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.request.name)
    }

    const STREAM: bool = true;

    fn watched(answer: Self::Answer, watch: Watch) -> Self::Answer {
        watch.over(answer)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Box<dyn Stream<Verified>>> {
        let VerifyStream { name, signature, scheme, form, context } = self.request;
        let sealed = Sealed::parse(&signature)?;
        made_by(&sealed, &name, "signature")?;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.usable(&tenant, &name)?;
        key.require(Usage::VERIFY, "verify")?;
        key.allow_old(sealed.version)?;
        let hashed = Hashed::of(keyring, (&tenant, &key, sealed.version), scheme, context)?;
        let (name, signature) = (name.into_owned(), signature.into_owned());
        Ok(Box::new(Verifying { hashed, name, signature, form }))
    }

    fn keep_line(stream: Self::Answer, line: Open) -> (Self::Answer, Option<Open>) {
        (Written::boxed(stream, line), None)
    }
}

/// A message being hashed for a scheme.
struct Hashed {
    scheme: SignatureScheme,
    hasher: Hashing,
    /// The context of HashML-DSA and HashSLH-DSA; that of pure ML-DSA is in mu.
    context: Vec<u8>,
}

enum Hashing {
    Digest(Box<dyn Hasher>),
    Mu(Box<Mu>),
}

impl Hashed {
    /// `version` is hashed for where the message's hash begins with the key's.
    fn of(
        keyring: &Keyring,
        (tenant, key, version): (&OpenTenant, &Key, u32),
        asked: Option<SignatureScheme>,
        context: Cow<'_, [u8]>,
    ) -> Result<Self> {
        let scheme = scheme_for(key, asked)?;
        if let Some(hash) = hash_of(scheme) {
            let hasher = Hashing::Digest(keyring.provider.digest.start(hash));
            return Ok(Hashed { scheme, hasher, context: context.into_owned() });
        }
        let ready = keyring.ready(tenant, key, version)?;
        let Some(key_hash) = ready.public()?.ml_dsa_hash() else {
            let why = match scheme {
                SignatureScheme::SlhDsa => {
                    "`slh-dsa` reads a message twice, so that it signs no streams; send it in one \
                     request, or name hash-slh-dsa-sha512"
                        .to_owned()
                }
                _ => format!("{scheme} signs whole messages, not streams; send it in one request"),
            };
            return Err(Error::new(ErrorCode::OperationNotSupported, why));
        };
        let hasher = Hashing::Mu(Box::new(Mu::pure(key_hash, &context)?));
        Ok(Hashed { scheme, hasher, context: Vec::new() })
    }

    fn update(&mut self, input: &[u8]) {
        match &mut self.hasher {
            Hashing::Digest(hasher) => hasher.update(input),
            Hashing::Mu(mu) => mu.update(input),
        }
    }

    fn digest(self) -> Vec<u8> {
        match self.hasher {
            Hashing::Digest(mut hasher) => {
                let mut digest = [0; MAX_DIGEST];
                let len = hasher.finish(&mut digest);
                digest[..len].to_vec()
            }
            Hashing::Mu(mu) => mu.finish().to_vec(),
        }
    }
}

struct Signing {
    hashed: Hashed,
    name: String,
    form: SignatureForm,
    version: u32,
}

impl Stream<Signed> for Signing {
    fn update(&mut self, input: &[u8], _: &mut Vec<u8>) -> Result<()> {
        self.hashed.update(input);
        Ok(())
    }

    fn finish(self: Box<Self>, core: &Core, caller: &Caller, _: &mut Vec<u8>) -> Result<Signed> {
        let Signing { mut hashed, name, form, version } = *self;
        let (scheme, context) = (Some(hashed.scheme), mem::take(&mut hashed.context).into());
        let request =
            Sign { scheme, prehashed: true, form, version, context, ..Sign::new(&name, hashed.digest()) };
        core.call(caller, request)
    }

    fn ends_slowly(&self) -> bool {
        self.hashed.scheme.family() == Family::SlhDsa
    }
}

struct Verifying {
    hashed: Hashed,
    name: String,
    signature: String,
    form: SignatureForm,
}

impl Stream<Verified> for Verifying {
    fn update(&mut self, input: &[u8], _: &mut Vec<u8>) -> Result<()> {
        self.hashed.update(input);
        Ok(())
    }

    fn finish(self: Box<Self>, core: &Core, caller: &Caller, _: &mut Vec<u8>) -> Result<Verified> {
        let Verifying { mut hashed, name, signature, form } = *self;
        let (scheme, context) = (Some(hashed.scheme), mem::take(&mut hashed.context).into());
        let request = Verify {
            scheme,
            prehashed: true,
            form,
            context,
            ..Verify::new(&name, hashed.digest(), &signature)
        };
        core.call(caller, request)
    }
}
