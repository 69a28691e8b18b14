//! Message digests (section 5.12).

use super::attributes::Reading;
use super::output::{Out, Transfer, is_query};
use crate::mechanism::Mechanism;
use crate::module::Module;
use crate::pending::{self, Done, Operation, Pending, Stage, begin, cancel_by_init, work};
use crate::rv::{Result, fail};
use crate::session::Session;
use canis_core::crypto::{Hash, Hasher, MAX_DIGEST, Provider};
use pkcs11_sys::*;

/// A digest under way; `parts` is there once C_DigestUpdate was called.
pub(crate) struct Digesting {
    provider: &'static Provider,
    hash: Hash,
    parts: Option<Box<dyn Hasher>>,
}

impl Operation for Digesting {
    fn place(session: &mut Session) -> &mut Pending<Self> {
        &mut session.digest
    }
}

impl Digesting {
    /// A digest of nothing yet.
    pub(crate) fn new(provider: &'static Provider, hash: Hash) -> Self {
        Digesting { provider, hash, parts: None }
    }

    /// A copy that goes on from here.
    pub(crate) fn fork(&self) -> Self {
        let parts = self.parts.as_ref().map(|parts| parts.fork());
        Digesting { provider: self.provider, hash: self.hash, parts }
    }

    fn hasher(&mut self) -> &mut Box<dyn Hasher> {
        self.parts.get_or_insert_with(|| self.provider.digest.start(self.hash))
    }
}

/// C_DigestInit.
pub(crate) fn init(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: Result<Option<Mechanism<'_>>>,
) -> Result {
    if let Ok(None) = mechanism {
        return cancel_by_init::<Digesting>(module, session);
    }
    begin(
        module,
        session,
        |_| (),
        |()| {
            let Some(mechanism) = mechanism? else { return fail(CKR_ARGUMENTS_BAD) };
            Ok(Digesting::new(module.provider(), mechanism.digests()?))
        },
    )
}

/// C_Digest.
pub(crate) fn whole(module: &Module, session: CK_SESSION_HANDLE, io: Result<Transfer<'_>>) -> Result {
    pending::whole(module, session, is_query(&io), |digest: &mut Digesting| {
        if digest.parts.is_some() {
            return fail(CKR_OPERATION_NOT_INITIALIZED);
        }
        let Transfer { input, mut out } = io?;
        let Some(space) = out.space(digest.hash.len())? else { return Ok(Done::Measured) };
        let mut value = [0; MAX_DIGEST];
        let len = digest.provider.digest.hash(digest.hash, &input, &mut value);
        space.copy_from_slice(&value[..len]);
        Ok(Done::Worked)
    })
}

/// C_DigestUpdate.
pub(crate) fn update(module: &Module, session: CK_SESSION_HANDLE, part: Result<&[u8]>) -> Result {
    work(module, session, Stage::Update, |digest: &mut Digesting| {
        digest.hasher().update(part?);
        Ok(Done::Worked)
    })
}

/// C_DigestKey (section 5.12.4): of secret keys whose value may be read. Of one that is sensitive not even a hash leaves
/// the core, since a short value could be guessed from it.
pub(crate) fn key(module: &Module, session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE) -> Result {
    work(module, session, Stage::Update, |digest: &mut Digesting| {
        let add = |object: &Reading<'_>| {
            if object.value(CKA_CLASS)?.as_slice() != CKO_SECRET_KEY.to_ne_bytes() {
                return fail(CKR_KEY_INDIGESTIBLE);
            }
            digest.hasher().update(object.value(CKA_VALUE)?.as_slice());
            Ok(())
        };
        match Reading::with(module, session, key, add) {
            Ok(()) => Ok(Done::Worked),
            Err(why) if why.rv == CKR_ATTRIBUTE_SENSITIVE => fail(CKR_KEY_INDIGESTIBLE),
            Err(why) if why.rv == CKR_OBJECT_HANDLE_INVALID => fail(CKR_KEY_HANDLE_INVALID),
            Err(why) => Err(why),
        }
    })
}

/// C_DigestFinal.
pub(crate) fn last(module: &Module, session: CK_SESSION_HANDLE, out: Result<Out<'_>>) -> Result {
    work(module, session, Stage::Last, |digest: &mut Digesting| {
        let mut out = out?;
        let Some(space) = out.space(digest.hash.len())? else { return Ok(Done::Measured) };
        let mut value = [0; MAX_DIGEST];
        let len = digest.hasher().finish(&mut value);
        space.copy_from_slice(&value[..len]);
        Ok(Done::Worked)
    })
}
