//! `hash`, `mac` and `verify-mac` of streams.

use super::decrypt::made_by;
use super::digest::hash_of;
use super::mac::makes_macs;
use crate::audit::{Open, Written};
use crate::caller::Caller;
use crate::core::{Core, Resource, Run};
use crate::crypto::{Hasher, MAX_DIGEST, MacRun};
use crate::keyring::Keyring;
use crate::object::mechanism;
use crate::stream::{Begin, Stream, Watch};
use canis_proto::answer::{Digest, MacMade, Verified};
use canis_proto::stream::{HashStream, MacStream, VerifyMacStream};
use canis_proto::text::Sealed;
use canis_proto::{Result, Usage};
use subtle::ConstantTimeEq;

impl Run for Begin<'_, HashStream> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("hash")
    }

    const STREAM: bool = true;

    fn watched(answer: Self::Answer, watch: Watch) -> Self::Answer {
        watch.over(answer)
    }

    fn run(self, keyring: &Keyring, _: &Caller) -> Result<Box<dyn Stream<Digest>>> {
        Ok(Box::new(Hashing(keyring.provider.digest.start(hash_of(self.request.hash)))))
    }

    fn keep_line(stream: Self::Answer, line: Open) -> (Self::Answer, Option<Open>) {
        (Written::boxed(stream, line), None)
    }
}

struct Hashing(Box<dyn Hasher>);

impl Stream<Digest> for Hashing {
    fn update(&mut self, input: &[u8], _: &mut Vec<u8>) -> Result<()> {
        self.0.update(input);
        Ok(())
    }

    fn finish(mut self: Box<Self>, _: &Core, _: &Caller, _: &mut Vec<u8>) -> Result<Digest> {
        let mut digest = [0; MAX_DIGEST];
        let len = self.0.finish(&mut digest);
        Ok(Digest { digest: digest[..len].to_vec() })
    }
}

impl<'a> Run for Begin<'a, MacStream<'a>> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.request.name)
    }

    const STREAM: bool = true;

    fn watched(answer: Self::Answer, watch: Watch) -> Self::Answer {
        watch.over(answer)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Box<dyn Stream<MacMade>>> {
        let request = self.request;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.key(&tenant, &request.name)?;
        makes_macs(&key)?;
        let hash = hash_of(request.hash);
        keyring.require_by(&tenant, &key, (Usage::SIGN, "make MACs"), mechanism::of_hmac(hash))?;
        let version = key.record.current_version;
        let run = keyring.hmac_run(&tenant, &key, version, hash)?;
        keyring.used(&key, version);
        let name = key.record.name.clone();
        Ok(Box::new(Tagging { run, made: Sealed { name, version, bytes: Vec::new() } }))
    }

    fn keep_line(stream: Self::Answer, line: Open) -> (Self::Answer, Option<Open>) {
        (Written::boxed(stream, line), None)
    }
}

impl<'a> Run for Begin<'a, VerifyMacStream<'a>> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.request.name)
    }

    const STREAM: bool = true;

    fn watched(answer: Self::Answer, watch: Watch) -> Self::Answer {
        watch.over(answer)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Box<dyn Stream<Verified>>> {
        let request = self.request;
        let sealed = Sealed::parse(&request.mac)?;
        made_by(&sealed, &request.name, "MAC")?;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.key(&tenant, &request.name)?;
        makes_macs(&key)?;
        let hash = hash_of(request.hash);
        keyring.require_by(&tenant, &key, (Usage::VERIFY, "check MACs"), mechanism::of_hmac(hash))?;
        key.allow_old(sealed.version)?;
        let run = keyring.hmac_run(&tenant, &key, sealed.version, hash)?;
        keyring.used(&key, sealed.version);
        Ok(Box::new(Checking { run, tag: sealed.bytes }))
    }

    fn keep_line(stream: Self::Answer, line: Open) -> (Self::Answer, Option<Open>) {
        (Written::boxed(stream, line), None)
    }
}

struct Tagging {
    run: Box<dyn MacRun>,
    /// The answer, still without its tag.
    made: Sealed,
}

impl Stream<MacMade> for Tagging {
    fn update(&mut self, input: &[u8], _: &mut Vec<u8>) -> Result<()> {
        self.run.update(input)
    }

    fn finish(mut self: Box<Self>, _: &Core, _: &Caller, _: &mut Vec<u8>) -> Result<MacMade> {
        self.made.bytes = whole_tag(&mut *self.run)?;
        Ok(MacMade { mac: self.made.to_text() })
    }
}

struct Checking {
    run: Box<dyn MacRun>,
    tag: Vec<u8>,
}

impl Stream<Verified> for Checking {
    fn update(&mut self, input: &[u8], _: &mut Vec<u8>) -> Result<()> {
        self.run.update(input)
    }

    fn finish(mut self: Box<Self>, _: &Core, _: &Caller, _: &mut Vec<u8>) -> Result<Verified> {
        // Of one length or it is wrong: a MAC that was cut short is not accepted.
        Ok(Verified { valid: whole_tag(&mut *self.run)?.ct_eq(&self.tag).into() })
    }
}

fn whole_tag(run: &mut dyn MacRun) -> Result<Vec<u8>> {
    let mut tag = [0; MAX_DIGEST];
    let len = run.finish(&mut tag)?;
    Ok(tag[..len].to_vec())
}
