//! `encrypt` and `decrypt` of streams with AES keys, in the format `canis:s1` (docs/canisp.md).
//!
//! One HKDF gives the message's key and a commitment to it, from the key's material, a random salt, and all that the
//! ciphertext is bound to. The commitment stands in the ciphertext's first line: what is not for this key, version and
//! context is refused before any of it is read, and no ciphertext opens under two keys.

use super::decrypt::made_by;
use super::encrypt::bound_to;
use crate::audit::{Open, Written};
use crate::caller::Caller;
use crate::core::{Core, Facts, Resource, Run};
use crate::crypto::chunks::{Opener, Sealer};
use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::keyring::tenant::OpenTenant;
use crate::stream::{Begin, Stream, Watch};
use canis_proto::answer::Streamed;
use canis_proto::stream::{DecryptStream, EncryptStream};
use canis_proto::text::Sealed;
use canis_proto::{Error, ErrorCode, Family, Result, Usage};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const SALT: usize = 32;
const KEY: usize = 32;
const COMMITMENT: usize = 32;

impl<'a> Run for Begin<'a, EncryptStream<'a>> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.request.name)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::default().within(&self.request.context)
    }

    const STREAM: bool = true;

    fn watched(answer: Self::Answer, watch: Watch) -> Self::Answer {
        watch.over(answer)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Box<dyn Stream<Streamed>>> {
        let request = self.request;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.usable(&tenant, &request.name)?;
        takes_streams(&key)?;
        key.require(Usage::ENCRYPT, "encrypt")?;
        let version = key.version_to_use(request.version)?;
        let mut salt = [0; SALT];
        keyring.provider.random.fill(&mut salt)?;
        let keys = keyring.stream_keys(&tenant, &key, version, &salt, &request.context)?;
        let header =
            Sealed { name: key.record.name.clone(), version, bytes: [&salt[..], keys.commitment()].concat() };
        keyring.used(&key, version);
        let head = header.to_stream_header() + "\n";
        Ok(Box::new(Encrypting { head, sealer: Sealer::new(keyring.provider, keys.key()?)?, bytes: 0 }))
    }

    fn keep_line(stream: Self::Answer, line: Open) -> (Self::Answer, Option<Open>) {
        (Written::boxed(stream, line), None)
    }
}

impl<'a> Run for Begin<'a, DecryptStream<'a>> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.request.name)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::default().within(&self.request.context)
    }

    const STREAM: bool = true;

    fn watched(answer: Self::Answer, watch: Watch) -> Self::Answer {
        watch.over(answer)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Box<dyn Stream<Streamed>>> {
        let request = self.request;
        let header = Sealed::parse_stream_header(&request.header)?;
        made_by(&header, &request.name, "ciphertext")?;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.usable(&tenant, &request.name)?;
        takes_streams(&key)?;
        key.require(Usage::DECRYPT, "decrypt")?;
        key.allow_old(header.version)?;
        let (salt, commitment) = header
            .bytes
            .split_first_chunk::<SALT>()
            .filter(|(_, commitment)| commitment.len() == COMMITMENT)
            .ok_or_else(|| Error::invalid("the first line of this ciphertext is not whole"))?;
        let keys = keyring.stream_keys(&tenant, &key, header.version, salt, &request.context)?;
        if !bool::from(keys.commitment().ct_eq(commitment)) {
            return Err(Error::new(
                ErrorCode::DecryptionFailed,
                "the ciphertext's first line, its context or the key does not fit; nothing was decrypted",
            ));
        }
        keyring.used(&key, header.version);
        Ok(Box::new(Decrypting { opener: Opener::new(keyring.provider, keys.key()?)?, bytes: 0 }))
    }

    fn keep_line(stream: Self::Answer, line: Open) -> (Self::Answer, Option<Open>) {
        (Written::boxed(stream, line), None)
    }
}

fn takes_streams(key: &Key) -> Result<()> {
    if key.kind.family() == Family::Aes {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::OperationNotSupported,
        format!(
            "key `{}` is of type {}; streams are encrypted with AES keys only",
            key.record.name, key.kind
        ),
    ))
}

/// What one message is sealed by: its key and the commitment to it.
struct StreamKeys(Zeroizing<[u8; KEY + COMMITMENT]>);

impl StreamKeys {
    fn key(&self) -> Result<&[u8; KEY]> {
        self.0.first_chunk().ok_or_else(|| Error::internal("a stream's keys are too short"))
    }

    fn commitment(&self) -> &[u8] {
        &self.0[KEY..]
    }
}

impl Keyring {
    fn stream_keys(
        &self,
        tenant: &OpenTenant,
        key: &Key,
        version: u32,
        salt: &[u8; SALT],
        context: &[u8],
    ) -> Result<StreamKeys> {
        let material = self.version_material(tenant, key, version)?;
        let mut info = b"canis/v1/api-stream".to_vec();
        info.extend_from_slice(&key.id.0);
        info.extend_from_slice(&bound_to("canis:s1", tenant, key, version, context));
        let mut keys = StreamKeys(Zeroizing::new([0; KEY + COMMITMENT]));
        self.provider.kdf.hkdf_sha256(material.expose(), salt, &info, &mut keys.0[..])?;
        Ok(keys)
    }
}

struct Encrypting {
    /// The first line, until it has been given out.
    head: String,
    sealer: Sealer,
    bytes: u64,
}

impl Encrypting {
    fn counted(
        &mut self,
        out: &mut Vec<u8>,
        seal: impl FnOnce(&mut Sealer, &mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let before = out.len();
        out.extend_from_slice(std::mem::take(&mut self.head).as_bytes());
        seal(&mut self.sealer, out)?;
        self.bytes += (out.len() - before) as u64;
        Ok(())
    }
}

impl Stream<Streamed> for Encrypting {
    fn update(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.counted(out, |sealer, out| sealer.update(input, out))
    }

    fn finish(mut self: Box<Self>, _: &Core, _: &Caller, out: &mut Vec<u8>) -> Result<Streamed> {
        self.counted(out, |sealer, out| sealer.finish(out))?;
        Ok(Streamed { bytes: self.bytes })
    }
}

struct Decrypting {
    opener: Opener,
    bytes: u64,
}

impl Stream<Streamed> for Decrypting {
    fn update(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let before = out.len();
        self.opener.update(input, out)?;
        self.bytes += (out.len() - before) as u64;
        Ok(())
    }

    fn finish(mut self: Box<Self>, _: &Core, _: &Caller, out: &mut Vec<u8>) -> Result<Streamed> {
        let before = out.len();
        self.opener.finish(out)?;
        Ok(Streamed { bytes: self.bytes + (out.len() - before) as u64 })
    }
}
