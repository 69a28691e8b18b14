//! Encryption and decryption of messages by one key (v3.0, sections 5.9 and 5.11): CKM_AES_GCM and CKM_AES_CCM, each
//! message with an IV, associated data and a tag of its own.
//!
//! The ciphers work on whole messages, so the parts of one are kept until the last, which gives all of the output.

use super::cipher::Way;
use super::message_iv::Ivs;
use super::output::{Input, Out, Transfer};
use crate::mechanism::{Cipher, Form, Mechanism, Parameter, Row};
use crate::message::Kept;
use crate::module::Module;
use crate::pending::{self, Done, Operation, Pending, Stage, end, work};
use crate::rv::{Instead, Result, fail};
use crate::session::Session;
use crate::token::{ReadyKey, Wanted};
use canis_core::object::{Decrypting, Encrypting};
use canis_proto::ErrorCode;
use pkcs11_sys::*;
use zeroize::Zeroizing;

/// The parameter of one message: CK_GCM_MESSAGE_PARAMS or CK_CCM_MESSAGE_PARAMS.
pub(crate) struct PerMessage {
    /// The IV: the host's, and what was made of it.
    pub(crate) iv: Vec<u8>,
    /// How many of its first bits stay.
    pub(crate) fixed_bits: CK_ULONG,
    /// How the rest is made.
    pub(crate) generator: CK_GENERATOR_FUNCTION,
    /// The tag: given to decrypt, made by encrypting.
    pub(crate) tag: Vec<u8>,
    /// How long the tag is: in bits for GCM, in bytes for CCM.
    pub(crate) tag_len: CK_ULONG,
    /// CCM's announced length.
    pub(crate) data_len: Option<CK_ULONG>,
}

/// What the two directions do differently with IV and tag.
pub(crate) trait MessageWay: Way {
    /// Where sessions keep it.
    fn place_of_messages(session: &mut Session) -> &mut Pending<Messages<Self>>;

    /// Sees to the message's IV.
    fn prepare(module: &Module, ivs: &mut Ivs, parameter: &mut PerMessage) -> Result;

    /// Works on a whole message; `out` is as long as `input`.
    fn seal_or_open(
        module: &Module,
        key: &ReadyKey,
        cipher: &Cipher,
        input: &[u8],
        out: &mut [u8],
        tag: &mut [u8],
    ) -> Result;
}

impl MessageWay for Encrypting {
    fn place_of_messages(session: &mut Session) -> &mut Pending<Messages<Self>> {
        &mut session.message_encrypt
    }

    fn prepare(module: &Module, ivs: &mut Ivs, parameter: &mut PerMessage) -> Result {
        if module.strict_gcm && parameter.generator == CKG_NO_GENERATE {
            return fail(CKR_MECHANISM_PARAM_INVALID);
        }
        let fixed = usize::try_from(parameter.fixed_bits).map_err(|_| CKR_MECHANISM_PARAM_INVALID)?;
        ivs.next(module.provider().random, parameter.generator, fixed, &mut parameter.iv)
    }

    fn seal_or_open(
        module: &Module,
        key: &ReadyKey,
        cipher: &Cipher,
        input: &[u8],
        out: &mut [u8],
        tag: &mut [u8],
    ) -> Result {
        let mut sealed = vec![0; input.len() + tag.len()];
        Self::run(module.keeper()?, key, cipher.scheme(), input, &mut sealed)
            .instead(ErrorCode::InvalidArgument, CKR_DATA_LEN_RANGE)?;
        let (ciphertext, made) = sealed.split_at(input.len());
        out.copy_from_slice(ciphertext);
        tag.copy_from_slice(made);
        Ok(())
    }
}

impl MessageWay for Decrypting {
    fn place_of_messages(session: &mut Session) -> &mut Pending<Messages<Self>> {
        &mut session.message_decrypt
    }

    fn prepare(_: &Module, _: &mut Ivs, _: &mut PerMessage) -> Result {
        Ok(())
    }

    fn seal_or_open(
        module: &Module,
        key: &ReadyKey,
        cipher: &Cipher,
        input: &[u8],
        out: &mut [u8],
        tag: &mut [u8],
    ) -> Result {
        let sealed = [input, tag].concat();
        Self::run(module.keeper()?, key, cipher.scheme(), &sealed, out)
            .instead(ErrorCode::InvalidArgument, CKR_ENCRYPTED_DATA_LEN_RANGE)
            .instead(ErrorCode::DecryptionFailed, CKR_AEAD_DECRYPT_FAILED)?;
        Ok(())
    }
}

/// Messages being encrypted or decrypted by one key.
pub(crate) struct Messages<W> {
    key: ReadyKey,
    row: &'static Row,
    ivs: Ivs,
    /// The one that is given in parts.
    open: Option<(Cipher, Kept)>,
    way: std::marker::PhantomData<W>,
}

impl<W: MessageWay> Operation for Messages<W> {
    fn place(session: &mut Session) -> &mut Pending<Self> {
        W::place_of_messages(session)
    }
}

/// C_MessageEncryptInit and C_MessageDecryptInit; parameters come with the messages.
pub(crate) fn init<W: MessageWay>(
    module: &Module,
    session: CK_SESSION_HANDLE,
    row: Result<Option<&'static Row>>,
    key: CK_OBJECT_HANDLE,
) -> Result {
    let mechanism = row.map(|row| row.map(|row| Mechanism { row, parameter: Parameter::None }));
    let plan = |mechanism: &Mechanism<'_>| match mechanism.row.form {
        Form::Gcm | Form::Ccm => Ok(mechanism.row),
        _ => fail(CKR_MECHANISM_INVALID),
    };
    let make =
        |key, row| Messages::<W> { key, row, ivs: Ivs::default(), open: None, way: std::marker::PhantomData };
    pending::init(module, session, mechanism, Wanted { handle: key, usage: W::USAGE }, plan, make)
}

/// C_EncryptMessage and C_DecryptMessage.
pub(crate) fn whole<W: MessageWay>(
    module: &Module,
    session: CK_SESSION_HANDLE,
    parameter: Result<&mut PerMessage>,
    aad: Result<Input<'_>>,
    io: Result<Transfer<'_>>,
) -> Result {
    work(module, session, Stage::Message, |messages: &mut Messages<W>| {
        if messages.open.is_some() {
            return fail(CKR_OPERATION_ACTIVE);
        }
        let (parameter, aad, Transfer { input, mut out }) = (parameter?, aad?, io?);
        let Some(space) = out.space(input.len())? else { return Ok(Done::Measured) };
        let cipher = messages.begin(module, parameter, &aad)?;
        check_announced(&cipher, input.len())?;
        W::seal_or_open(module, &messages.key, &cipher, &input, space, &mut parameter.tag)?;
        Ok(Done::Worked)
    })
}

/// C_EncryptMessageBegin and C_DecryptMessageBegin.
pub(crate) fn begin<W: MessageWay>(
    module: &Module,
    session: CK_SESSION_HANDLE,
    parameter: Result<&mut PerMessage>,
    aad: Result<&[u8]>,
) -> Result {
    work(module, session, Stage::Message, |messages: &mut Messages<W>| {
        if messages.open.is_some() {
            return fail(CKR_OPERATION_ACTIVE);
        }
        let cipher = messages.begin(module, parameter?, aad?)?;
        messages.open = Some((cipher, Kept::default()));
        Ok(Done::Worked)
    })
}

/// C_EncryptMessageNext and C_DecryptMessageNext. All but the last part give nothing.
pub(crate) fn next<W: MessageWay>(
    module: &Module,
    session: CK_SESSION_HANDLE,
    parameter: Result<&mut PerMessage>,
    io: Result<Transfer<'_>>,
    flags: CK_FLAGS,
) -> Result {
    work(module, session, Stage::Message, |messages: &mut Messages<W>| {
        let Messages { key, open, .. } = messages;
        let Some((cipher, kept)) = open else { return fail(CKR_OPERATION_NOT_INITIALIZED) };
        let (parameter, Transfer { input, mut out }) = (parameter?, io?);
        if flags & CKF_END_OF_MESSAGE == 0 {
            return keep(kept, &input, &mut out);
        }
        let total = kept.whole().len() + input.len();
        let Some(space) = out.space(total)? else { return Ok(Done::Measured) };
        let whole = Zeroizing::new([kept.whole(), &input].concat());
        let done = check_tag(cipher, &parameter.tag)
            .and_then(|()| check_announced(cipher, total))
            .and_then(|()| W::seal_or_open(module, key, cipher, &whole, space, &mut parameter.tag));
        messages.open = None;
        done.map(|()| Done::Worked)
    })
}

/// C_MessageEncryptFinal and C_MessageDecryptFinal.
pub(crate) fn last<W: MessageWay>(module: &Module, session: CK_SESSION_HANDLE) -> Result {
    end::<Messages<W>>(module, session)
}

impl<W: MessageWay> Messages<W> {
    fn begin(&mut self, module: &Module, parameter: &mut PerMessage, aad: &[u8]) -> Result<Cipher> {
        self.cipher(parameter, aad)?;
        W::prepare(module, &mut self.ivs, parameter)?;
        self.cipher(parameter, aad)
    }

    /// The cipher of a message; its sizes are checked as those of C_EncryptInit are.
    fn cipher(&self, parameter: &PerMessage, aad: &[u8]) -> Result<Cipher> {
        let iv = &parameter.iv;
        let parameter = match parameter.data_len {
            None => Parameter::Gcm { iv, aad, tag_bits: parameter.tag_len },
            Some(data_len) => Parameter::Ccm { data_len, nonce: iv, aad, tag_len: parameter.tag_len },
        };
        Mechanism { row: self.row, parameter }.ciphers()
    }
}

fn keep(kept: &mut Kept, input: &[u8], out: &mut Out<'_>) -> Result<Done> {
    if out.is_query() {
        out.wrote(0);
        return Ok(Done::Measured);
    }
    kept.push(input)?;
    out.wrote(0);
    Ok(Done::Worked)
}

fn check_announced(cipher: &Cipher, len: usize) -> Result {
    match cipher {
        Cipher::Ccm { len: announced, .. } if *announced != len => fail(CKR_MECHANISM_PARAM_INVALID),
        _ => Ok(()),
    }
}

/// The tag of the last part must be as long as the first call said.
fn check_tag(cipher: &Cipher, tag: &[u8]) -> Result {
    let wanted = match cipher {
        Cipher::GcmSized { tag, .. } | Cipher::Ccm { tag, .. } => *tag,
        _ => canis_core::crypto::GCM_TAG,
    };
    if tag.len() == wanted { Ok(()) } else { fail(CKR_MECHANISM_PARAM_INVALID) }
}
