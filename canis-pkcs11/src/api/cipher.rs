//! Encryption and decryption (sections 5.8 and 5.10), which differ in direction only.

use super::output::{Out, Transfer, is_query};
use crate::mechanism::{Cipher, Mechanism};
use crate::message::Kept;
use crate::module::Module;
use crate::pending::{self, Done, Operation, Pending, Stage, work};
use crate::rv::{Instead, Result, fail};
use crate::session::Session;
use crate::token::{CipherParts, Keeper, ReadyKey, Wanted};
use canis_core::object::{CipherScheme, CipherUse, Decrypting, Encrypting};
use canis_proto::{ErrorCode, Usage};
use pkcs11_sys::*;
use zeroize::Zeroizing;

/// A direction: where sessions keep its operation, and how the core is asked.
pub(crate) trait Way: CipherUse + Sized {
    /// What the host is told about an input of a wrong length.
    const WRONG_LENGTH: CK_RV;

    /// Where sessions keep it.
    fn place(session: &mut Session) -> &mut Pending<Ciphering<Self>>;

    /// The most that comes out for an input of `len` bytes, and whether that is exact.
    fn len(scheme: CipherScheme<'_>, len: usize, block: usize) -> Option<(usize, bool)>;

    /// Works on a message in one piece.
    fn run(
        keeper: &Keeper,
        key: &ReadyKey,
        scheme: CipherScheme<'_>,
        input: &[u8],
        out: &mut [u8],
    ) -> canis_proto::Result<usize>;
}

impl Way for Encrypting {
    const WRONG_LENGTH: CK_RV = CKR_DATA_LEN_RANGE;

    fn place(session: &mut Session) -> &mut Pending<Ciphering<Self>> {
        &mut session.encrypt
    }

    fn len(scheme: CipherScheme<'_>, len: usize, block: usize) -> Option<(usize, bool)> {
        scheme.encrypted_len(len, block).map(|len| (len, true))
    }

    fn run(
        keeper: &Keeper,
        key: &ReadyKey,
        cipher: CipherScheme<'_>,
        input: &[u8],
        out: &mut [u8],
    ) -> canis_proto::Result<usize> {
        key.encrypt(keeper, cipher, input, out)
    }
}

impl Way for Decrypting {
    const WRONG_LENGTH: CK_RV = CKR_ENCRYPTED_DATA_LEN_RANGE;

    fn place(session: &mut Session) -> &mut Pending<Ciphering<Self>> {
        &mut session.decrypt
    }

    fn len(scheme: CipherScheme<'_>, len: usize, block: usize) -> Option<(usize, bool)> {
        scheme.decrypted_len(len, block)
    }

    fn run(
        keeper: &Keeper,
        key: &ReadyKey,
        cipher: CipherScheme<'_>,
        input: &[u8],
        out: &mut [u8],
    ) -> canis_proto::Result<usize> {
        key.decrypt(keeper, cipher, input, out)
    }
}

/// An encryption or decryption under way.
pub(crate) struct Ciphering<W> {
    key: ReadyKey,
    cipher: Cipher,
    parts: Parts<W>,
}

/// What has become of the parts so far.
enum Parts<W> {
    /// There are none.
    None,
    /// They wait for the rest: the cipher works on whole messages, and nothing of a plaintext leaves before all of it
    /// is authenticated.
    Kept(Kept),
    /// They are worked on as they come.
    Running(CipherParts<W>),
    /// All is done, but the host's buffer was too small for the last piece.
    Ended(Zeroizing<Vec<u8>>),
}

impl<W: Way> Operation for Ciphering<W> {
    fn place(session: &mut Session) -> &mut Pending<Self> {
        W::place(session)
    }

    fn key(&self) -> Option<&ReadyKey> {
        Some(&self.key)
    }

    fn into_key(self) -> Option<ReadyKey> {
        Some(self.key)
    }
}

/// C_EncryptInit and C_DecryptInit.
pub(crate) fn init<W: Way>(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: Result<Option<Mechanism<'_>>>,
    key: CK_OBJECT_HANDLE,
) -> Result {
    let wanted = Wanted { handle: key, usage: W::USAGE };
    let cipher = |mechanism: &Mechanism<'_>| {
        let cipher = mechanism.ciphers()?;
        let by_host = matches!(cipher, Cipher::Gcm { .. } | Cipher::GcmSized { .. });
        // The IV of C_EncryptInit is the host's; the messages of v3.0 have IVs that are made here.
        if module.strict_gcm && by_host && W::USAGE == Usage::ENCRYPT {
            return fail(CKR_MECHANISM_PARAM_INVALID);
        }
        Ok(cipher)
    };
    let make = |key, cipher| Ciphering::<W> { key, cipher, parts: Parts::None };
    pending::init(module, session, mechanism, wanted, cipher, make)
}

/// C_Encrypt and C_Decrypt.
pub(crate) fn whole<W: Way>(module: &Module, session: CK_SESSION_HANDLE, io: Result<Transfer<'_>>) -> Result {
    pending::whole(module, session, is_query(&io), |ciphering: &mut Ciphering<W>| {
        if !matches!(ciphering.parts, Parts::None) {
            return fail(CKR_OPERATION_NOT_INITIALIZED);
        }
        let Transfer { input, mut out } = io?;
        run(module.keeper()?, ciphering, &input, &mut out)
    })
}

/// C_EncryptUpdate and C_DecryptUpdate.
pub(crate) fn update<W: Way>(
    module: &Module,
    session: CK_SESSION_HANDLE,
    io: Result<Transfer<'_>>,
) -> Result {
    work(module, session, Stage::Update, |ciphering: &mut Ciphering<W>| {
        let keeper = module.keeper()?;
        let Transfer { input, mut out } = io?;
        match ciphering.started(keeper)? {
            Parts::Running(run) => {
                let Some(space) = out.space(run.update_len(input.len()))? else { return Ok(Done::Measured) };
                let Ciphering { key, parts: Parts::Running(run), .. } = ciphering else {
                    return fail(CKR_GENERAL_ERROR);
                };
                run.update(keeper, key, &input, space)
                    .instead(ErrorCode::InvalidArgument, W::WRONG_LENGTH)?;
                Ok(Done::Worked)
            }
            Parts::Kept(kept) => keep(kept, &input, &mut out),
            Parts::None | Parts::Ended(_) => fail(CKR_OPERATION_NOT_INITIALIZED),
        }
    })
}

/// C_EncryptFinal and C_DecryptFinal.
pub(crate) fn last<W: Way>(module: &Module, session: CK_SESSION_HANDLE, out: Result<Out<'_>>) -> Result {
    work(module, session, Stage::Last, |ciphering: &mut Ciphering<W>| {
        let keeper = module.keeper()?;
        let mut out = out?;
        ciphering.started(keeper)?;
        if let Parts::Running(run) = &ciphering.parts {
            if out.is_query() {
                out.wrote(run.finish_len());
                return Ok(Done::Measured);
            }
            ciphering.finish(keeper)?;
        }
        match &ciphering.parts {
            Parts::Ended(rest) => match out.space(rest.len())? {
                Some(space) => {
                    space.copy_from_slice(rest);
                    Ok(Done::Worked)
                }
                None => Ok(Done::Measured),
            },
            Parts::Kept(kept) => run(keeper, ciphering, kept.whole(), &mut out),
            Parts::None | Parts::Running(_) => fail(CKR_GENERAL_ERROR),
        }
    })
}

impl<W: Way> Ciphering<W> {
    /// The parts, once there are some.
    fn started(&mut self, keeper: &Keeper) -> Result<&mut Parts<W>> {
        if let Parts::None = self.parts {
            self.parts = match self.cipher {
                Cipher::Blocks(mode) => Parts::Running(CipherParts::start(keeper, &self.key, mode)?),
                _ => Parts::Kept(Kept::default()),
            };
        }
        Ok(&mut self.parts)
    }

    fn finish(&mut self, keeper: &Keeper) -> Result {
        let Parts::Running(run) = &mut self.parts else { return fail(CKR_GENERAL_ERROR) };
        let mut rest = Zeroizing::new(vec![0; run.finish_len()]);
        let len =
            run.finish(keeper, &self.key, &mut rest).instead(ErrorCode::InvalidArgument, W::WRONG_LENGTH)?;
        rest.truncate(len);
        self.parts = Parts::Ended(rest);
        Ok(())
    }
}

/// Keeps a part. A length query is answered with an upper bound: hosts that then make a buffer of no bytes and pass
/// NULL for it would seem to ask again.
fn keep(kept: &mut Kept, input: &[u8], out: &mut Out<'_>) -> Result<Done> {
    if out.is_query() {
        out.wrote(input.len());
        return Ok(Done::Measured);
    }
    kept.push(input)?;
    out.wrote(0);
    Ok(Done::Worked)
}

/// Works on a whole message. How long a plaintext is may show only when it is there: then a query gets the longest it
/// could be, and a buffer that is smaller than that gets the plaintext if it fits; not by a key that wants a PIN for each
/// use, since trying would use the PIN up.
fn run<W: Way>(keeper: &Keeper, ciphering: &Ciphering<W>, input: &[u8], out: &mut Out<'_>) -> Result<Done> {
    let Ciphering { key, cipher, .. } = ciphering;
    let scheme = cipher.scheme();
    let Some((longest, exact)) = W::len(scheme, input.len(), key.block_len()) else {
        return fail(W::WRONG_LENGTH);
    };
    check_announced(cipher, input.len(), longest)?;
    if exact || key.is_for_one_use() || out.is_query() || out.has_room(longest) {
        let Some(space) = out.space(longest)? else { return Ok(Done::Measured) };
        let len =
            W::run(keeper, key, scheme, input, space).instead(ErrorCode::InvalidArgument, W::WRONG_LENGTH)?;
        out.wrote(len);
        return Ok(Done::Worked);
    }
    let mut plaintext = Zeroizing::new(vec![0; longest]);
    let len = W::run(keeper, key, scheme, input, &mut plaintext)
        .instead(ErrorCode::InvalidArgument, W::WRONG_LENGTH)?;
    if let Some(space) = out.space(len)? {
        space.copy_from_slice(&plaintext[..len]);
    }
    Ok(Done::Worked)
}

/// CCM's parameter announces the length of the message (section 6.13.4); some hosts count the tag when they decrypt.
fn check_announced(cipher: &Cipher, input: usize, output: usize) -> Result {
    match cipher {
        Cipher::Ccm { len, .. } if *len != input && *len != output => fail(CKR_MECHANISM_PARAM_INVALID),
        _ => Ok(()),
    }
}
