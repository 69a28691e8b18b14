//! `sign` and `verify` of streams: the message is hashed as it comes, and its digest signed or verified at the end.

use super::decrypt::made_by;
use super::sign::{hash_of, scheme_for};
use crate::audit::{Open, Written};
use crate::caller::Caller;
use crate::core::{Core, Resource, Run};
use crate::crypto::{Hasher, MAX_DIGEST};
use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::stream::{Begin, Stream, Watch};
use canis_proto::answer::{Signed, Verified};
use canis_proto::message::{Sign, Verify};
use canis_proto::stream::{SignStream, VerifyStream};
use canis_proto::text::Sealed;
use canis_proto::{Error, ErrorCode, Result, SignatureForm, SignatureScheme, Usage};

impl<'a> Run for Begin<'a, SignStream<'a>> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.request.name)
    }

    const STREAM: bool = true;

    fn watched(answer: Self::Answer, watch: Watch) -> Self::Answer {
        watch.over(answer)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Box<dyn Stream<Signed>>> {
        let SignStream { name, scheme, form, version } = self.request;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.usable(&tenant, &name)?;
        let hashed = Hashed::of(keyring, &key, scheme)?;
        key.require(Usage::SIGN, "sign")?;
        key.version_to_use(version)?;
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
        let VerifyStream { name, signature, scheme, form } = self.request;
        let sealed = Sealed::parse(&signature)?;
        made_by(&sealed, &name, "signature")?;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.usable(&tenant, &name)?;
        let hashed = Hashed::of(keyring, &key, scheme)?;
        key.require(Usage::VERIFY, "verify")?;
        key.allow_old(sealed.version)?;
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
    hasher: Box<dyn Hasher>,
}

impl Hashed {
    fn of(keyring: &Keyring, key: &Key, asked: Option<SignatureScheme>) -> Result<Self> {
        let scheme = scheme_for(key, asked)?;
        let hash = hash_of(scheme).ok_or_else(|| {
            let why = format!("{scheme} signs whole messages, not streams; send it in one request");
            Error::new(ErrorCode::OperationNotSupported, why)
        })?;
        Ok(Hashed { scheme, hasher: keyring.provider.digest.start(hash) })
    }

    fn digest(&mut self) -> Vec<u8> {
        let mut digest = [0; MAX_DIGEST];
        let len = self.hasher.finish(&mut digest);
        digest[..len].to_vec()
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
        self.hashed.hasher.update(input);
        Ok(())
    }

    fn finish(mut self: Box<Self>, core: &Core, caller: &Caller, _: &mut Vec<u8>) -> Result<Signed> {
        let request = Sign {
            scheme: Some(self.hashed.scheme),
            prehashed: true,
            form: self.form,
            version: self.version,
            ..Sign::new(&self.name, self.hashed.digest())
        };
        core.call(caller, request)
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
        self.hashed.hasher.update(input);
        Ok(())
    }

    fn finish(mut self: Box<Self>, core: &Core, caller: &Caller, _: &mut Vec<u8>) -> Result<Verified> {
        let request = Verify {
            scheme: Some(self.hashed.scheme),
            prehashed: true,
            form: self.form,
            ..Verify::new(&self.name, self.hashed.digest(), &self.signature)
        };
        core.call(caller, request)
    }
}
