//! The HSM's signatures on files of the log: asked for beside the log, so that no line waits for an HSM. What a file was
//! signed by stands in its last line, or in a later line of the same writer.

use super::line::Line;
use super::log::Log;
use super::writer::own_line;
use crate::keyring::audit_key::HsmSignature;
use canis_proto::value::Value;
use canis_proto::{Id, Result};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// How many files may wait for an HSM; older ones stay with the store's own signature.
pub(super) const WAITING: usize = 64;

/// What has an HSM sign a digest; `None` if the store has none.
pub(super) type Signer = dyn Fn(&[u8; 32]) -> Result<Option<HsmSignature>> + Send + Sync;

/// A file, and what the HSM said to it.
pub(super) type ByHsm = (Ended, Result<HsmSignature>);

/// A file that was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// Its number.
    pub(super) file: u32,
    /// The SHA-256 that its last line names.
    pub(super) sha256: [u8; 32],
}

/// What the HSM signs for a file: it is bound to its place.
pub(super) fn digest(store: Id, writer: Id, ended: Ended) -> [u8; 32] {
    let said = Value::Array(vec![
        Value::from("canis/v1/audit-segment"),
        Value::from(&store.0[..]),
        Value::from(&writer.0[..]),
        Value::from(ended.file),
        Value::from(&ended.sha256[..]),
    ]);
    Sha256::digest(said.encode()).into()
}

impl Log {
    /// From now on files are signed by `signer`, too: those that are full when [`Log::sign_ended`] is called, the last one by
    /// [`Log::end`].
    pub fn sign_by(
        &self,
        signer: impl Fn(&[u8; 32]) -> Result<Option<HsmSignature>> + Send + Sync + 'static,
    ) {
        // The first one stays: only who made the log calls this.
        let _ = self.signer.set(Box::new(signer));
    }

    /// Has the HSM make its key now, so that no commit of the end is left for it.
    ///
    /// # Errors
    /// Why it could not.
    pub fn meet_hsm(&self) -> Result<()> {
        let nothing = Ended { file: 0, sha256: [0; 32] };
        self.ask_hsm(nothing).transpose().map(drop)
    }

    /// Whether files were ended that the HSM has not signed yet. Waits for nobody.
    #[must_use]
    pub fn waits_for_hsm(&self) -> bool {
        self.unsigned.load(Ordering::Acquire)
    }

    /// Has the HSM sign the files that were ended. For a thread that may wait.
    ///
    /// # Errors
    /// Why it could not; the files wait on.
    pub fn sign_ended(&self) -> Result<()> {
        loop {
            let Some(next) = self.writer().unsigned.first().copied() else { return Ok(()) };
            // No lock is held while the HSM is asked.
            let Some(signed) = self.ask_hsm(next).transpose()? else { return Ok(()) };
            let mut line = own_line("audit.sign", self.keys());
            line.number("file", next.file.into());
            line.hex("sha256", &next.sha256);
            told(&mut line, &signed);
            self.take([line.end::<()>(&Ok(()), self.now())])?;
            let mut writer = self.writer();
            writer.unsigned.retain(|one| *one != next);
            self.unsigned.store(!writer.unsigned.is_empty(), Ordering::Release);
        }
    }

    /// What the HSM says to a file; `None` in a store without one.
    pub(super) fn ask_hsm(&self, ended: Ended) -> Option<Result<HsmSignature>> {
        let signer = self.signer.get()?;
        signer(&digest(self.place.store_id, self.place.writer, ended)).transpose()
    }

    /// Notes that an HSM has a key for the log.
    pub(crate) fn note_key(&self, public: &[u8]) -> Result<()> {
        let mut line = own_line("audit.key", self.keys());
        line.hex("hsm_public", public);
        self.take([line.end::<()>(&Ok(()), self.now())])
    }
}

/// Says whether a public key has signed a digest with this signature.
pub(crate) type Check<'a> = dyn Fn(&[u8], &[u8; 32], &[u8]) -> bool + 'a;

/// The keys by which HSMs sign the log of a store.
pub(crate) struct HsmKeys<'a> {
    pub(crate) store: Id,
    /// SubjectPublicKeyInfo DER.
    pub(crate) publics: Vec<Vec<u8>>,
    /// Whether such a key has signed a digest.
    pub(crate) check: &'a Check<'a>,
}

/// Whom the files of one writer were signed by, as far as they were read.
#[derive(Default)]
pub(super) struct Signatures {
    /// By number: the SHA-256 that its last line names, and whether an HSM signed it.
    ended: BTreeMap<u32, ([u8; 32], bool)>,
}

impl Signatures {
    /// Notes a file that the store's own key has signed.
    pub(super) fn ended(&mut self, ended: Ended) {
        self.ended.insert(ended.file, (ended.sha256, false));
    }

    /// Looks at what an HSM signed: the file that this line ends, or the one that it names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(
        &mut self,
        hsm: Option<&HsmKeys<'_>>,
        line: &[u8],
        writer: Id,
        ending: Option<u32>,
    ) -> std::result::Result<(), &'static str> {
        const NOTHING: &str = "it says of no file of this writer that an HSM signed it";
        let line: serde_json::Value = serde_json::from_slice(line).map_err(|_| NOTHING)?;
        let (Some(signature), Some(public)) = (hex(&line["hsm_signature"]), hex(&line["hsm_public"])) else {
            return if ending.is_some() { Ok(()) } else { Err(NOTHING) };
        };
        let named = line["file"].as_u64().and_then(|file| u32::try_from(file).ok());
        let (file, signed) =
            ending.or(named).and_then(|at| Some((at, self.ended.get_mut(&at)?))).ok_or(NOTHING)?;
        let ended = Ended { file, sha256: signed.0 };
        let Some(hsm) = hsm else { return Ok(()) };
        if !hsm.publics.contains(&public) {
            return Err("it names an HSM's key that is none of this store's");
        }
        if !(hsm.check)(&public, &digest(hsm.store, writer, ended), &signature) {
            return Err("what it calls the HSM's signature is none");
        }
        signed.1 = true;
        Ok(())
    }

    /// How many files an HSM has signed, and how many the store's own key alone.
    pub(super) fn counts(&self) -> (u64, u64) {
        let by_hsm = self.ended.values().filter(|(_, by_hsm)| *by_hsm).count() as u64;
        (by_hsm, self.ended.len() as u64 - by_hsm)
    }
}

/// What is said in hexadecimal digits.
fn hex(value: &serde_json::Value) -> Option<Vec<u8>> {
    base16ct::mixed::decode_vec(value.as_str()?).ok()
}

/// Says what the HSM has signed by.
pub(super) fn told(line: &mut Line, signed: &HsmSignature) {
    line.hex("hsm_signature", &signed.signature);
    line.hex("hsm_public", &signed.public);
}
