//! C functions: messages by one key (v3.0).

use super::args::{apart, bytes, out, transfer};
use super::entry::entry;
use super::parameter::mechanism;
use crate::api::message_cipher::{self, PerMessage};
use crate::api::message_sign;
use crate::mechanism::{Row, row};
use crate::rv::{Result, fail};
use canis_core::object::{Decrypting, Encrypting, Signing, Verifying};
use pkcs11_sys::*;

/// No IV and no tag is longer.
const LONGEST: CK_ULONG = 1024;

const GCM: CK_ULONG = size_of::<CK_GCM_MESSAGE_PARAMS>() as CK_ULONG;
const CCM: CK_ULONG = size_of::<CK_CCM_MESSAGE_PARAMS>() as CK_ULONG;

/// The host's places of IV and tag, with copies of what they held. Copies, because the places may overlap with others.
struct Given {
    parameter: PerMessage,
    iv: *mut CK_BYTE,
    tag: *mut CK_BYTE,
}

impl Given {
    /// Reads CK_GCM_MESSAGE_PARAMS or CK_CCM_MESSAGE_PARAMS, which differ in size.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID.
    unsafe fn read(at: CK_VOID_PTR, len: CK_ULONG) -> Result<Given> {
        match len {
            _ if at.is_null() => fail(CKR_MECHANISM_PARAM_INVALID),
            GCM => {
                // SAFETY: the host's promise; plain numbers and pointers, valid with any bits.
                let p = unsafe { at.cast::<CK_GCM_MESSAGE_PARAMS>().read_unaligned() };
                let tag = (p.pTag, p.ulTagBits.div_ceil(8));
                // SAFETY: as above.
                unsafe {
                    Given::copy((p.pIv, p.ulIvLen), tag, (p.ulIvFixedBits, p.ivGenerator), p.ulTagBits, None)
                }
            }
            CCM => {
                // SAFETY: as above.
                let p = unsafe { at.cast::<CK_CCM_MESSAGE_PARAMS>().read_unaligned() };
                let (nonce, tag) = ((p.pNonce, p.ulNonceLen), (p.pMAC, p.ulMACLen));
                let making = (p.ulNonceFixedBits, p.nonceGenerator);
                // SAFETY: as above.
                unsafe { Given::copy(nonce, tag, making, p.ulMACLen, Some(p.ulDataLen)) }
            }
            _ => fail(CKR_MECHANISM_PARAM_INVALID),
        }
    }

    unsafe fn copy(
        iv: (*mut CK_BYTE, CK_ULONG),
        tag: (*mut CK_BYTE, CK_ULONG),
        (fixed_bits, generator): (CK_ULONG, CK_GENERATOR_FUNCTION),
        tag_len: CK_ULONG,
        data_len: Option<CK_ULONG>,
    ) -> Result<Given> {
        let copied = |(at, len): (*mut CK_BYTE, CK_ULONG)| -> Result<Vec<u8>> {
            if len > LONGEST {
                return fail(CKR_MECHANISM_PARAM_INVALID);
            }
            // SAFETY: the host's promise.
            let given = unsafe { bytes(at, len) };
            given.map(<[u8]>::to_vec).map_err(|_| CKR_MECHANISM_PARAM_INVALID.into())
        };
        let parameter =
            PerMessage { iv: copied(iv)?, fixed_bits, generator, tag: copied(tag)?, tag_len, data_len };
        Ok(Given { parameter, iv: iv.0, tag: tag.0 })
    }

    /// Gives the host what was made.
    unsafe fn write(&self) {
        for (made, at) in [(&self.parameter.iv, self.iv), (&self.parameter.tag, self.tag)] {
            if !made.is_empty() {
                // SAFETY: as many bytes were read from there.
                unsafe { at.copy_from(made.as_ptr(), made.len()) };
            }
        }
    }
}

/// Reads a parameter, gives it to `f` and, where it `makes` IV or tag, writes back what `f` made of it: who decrypts has given
/// both, perhaps from memory that is not to be written, or that the plaintext now lies in.
unsafe fn with_parameter(
    at: CK_VOID_PTR,
    len: CK_ULONG,
    makes: bool,
    f: impl FnOnce(Result<&mut PerMessage>) -> Result,
) -> Result {
    // SAFETY: the host's promise.
    match unsafe { Given::read(at, len) } {
        Ok(mut given) => {
            f(Ok(&mut given.parameter))?;
            if makes {
                // SAFETY: the host's promise.
                unsafe { given.write() };
            }
            Ok(())
        }
        Err(refused) => f(Err(refused)),
    }
}

/// The mechanism of C_MessageEncryptInit: its parameters come with the messages, and one that is given here says nothing.
unsafe fn bare_mechanism(at: *const CK_MECHANISM) -> Result<Option<&'static Row>> {
    // SAFETY: the host's promise.
    let Some(given) = (unsafe { super::args::structure(at) }) else { return Ok(None) };
    match given.ulParameterLen {
        0 | GCM | CCM => row(given.mechanism).map(Some),
        _ => fail(CKR_MECHANISM_PARAM_INVALID),
    }
}

/// Signatures have no parameter for each message.
fn no_parameter(len: CK_ULONG) -> Result {
    if len == 0 { Ok(()) } else { fail(CKR_MECHANISM_PARAM_INVALID) }
}

macro_rules! ciphers {
    ($way:ident, $makes:literal: $init:ident, $whole:ident, $begin:ident, $next:ident, $last:ident) => {
        entry! {
            fn $init(session: CK_SESSION_HANDLE, how: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) |module| {
                // SAFETY: the host's pointer.
                message_cipher::init::<$way>(module, session, unsafe { bare_mechanism(how) }, key)
            };

            fn $whole(
                session: CK_SESSION_HANDLE,
                parameter: CK_VOID_PTR,
                parameter_len: CK_ULONG,
                aad: *mut CK_BYTE,
                aad_len: CK_ULONG,
                input: *mut CK_BYTE,
                input_len: CK_ULONG,
                output: *mut CK_BYTE,
                output_len: *mut CK_ULONG,
            ) |module| {
                // SAFETY: the host's pointers.
                unsafe {
                    let aad = apart(aad, aad_len, output, output_len);
                    let io = transfer(input, input_len, output, output_len);
                    with_parameter(parameter, parameter_len, $makes, |parameter| {
                        message_cipher::whole::<$way>(module, session, parameter, aad, io)
                    })
                }
            };

            fn $begin(
                session: CK_SESSION_HANDLE,
                parameter: CK_VOID_PTR,
                parameter_len: CK_ULONG,
                aad: *mut CK_BYTE,
                aad_len: CK_ULONG,
            ) |module| {
                // SAFETY: the host's pointers.
                unsafe {
                    let aad = bytes(aad, aad_len);
                    with_parameter(parameter, parameter_len, $makes, |parameter| {
                        message_cipher::begin::<$way>(module, session, parameter, aad)
                    })
                }
            };

            fn $next(
                session: CK_SESSION_HANDLE,
                parameter: CK_VOID_PTR,
                parameter_len: CK_ULONG,
                input: *mut CK_BYTE,
                input_len: CK_ULONG,
                output: *mut CK_BYTE,
                output_len: *mut CK_ULONG,
                flags: CK_FLAGS,
            ) |module| {
                // SAFETY: the host's pointers.
                unsafe {
                    let io = transfer(input, input_len, output, output_len);
                    with_parameter(parameter, parameter_len, $makes, |parameter| {
                        message_cipher::next::<$way>(module, session, parameter, io, flags)
                    })
                }
            };

            fn $last(session: CK_SESSION_HANDLE) |module| message_cipher::last::<$way>(module, session);
        }
    };
}

ciphers!(Encrypting, true: C_MessageEncryptInit, C_EncryptMessage, C_EncryptMessageBegin, C_EncryptMessageNext, C_MessageEncryptFinal);
ciphers!(Decrypting, false: C_MessageDecryptInit, C_DecryptMessage, C_DecryptMessageBegin, C_DecryptMessageNext, C_MessageDecryptFinal);

macro_rules! signed {
    ($using:ident: $init:ident, $begin:ident, $last:ident) => {
        entry! {
            fn $init(session: CK_SESSION_HANDLE, how: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) |module| {
                // SAFETY: the host's pointer.
                message_sign::init::<$using>(module, session, unsafe { mechanism(module.legacy, how, CKF_MESSAGE_SIGN) }, key)
            };

            fn $begin(session: CK_SESSION_HANDLE, _parameter: CK_VOID_PTR, len: CK_ULONG) |module| {
                message_sign::begin::<$using>(module, session, no_parameter(len))
            };

            fn $last(session: CK_SESSION_HANDLE) |module| message_sign::last::<$using>(module, session);
        }
    };
}

signed!(Signing: C_MessageSignInit, C_SignMessageBegin, C_MessageSignFinal);
signed!(Verifying: C_MessageVerifyInit, C_VerifyMessageBegin, C_MessageVerifyFinal);

entry! {
    fn C_SignMessage(
        session: CK_SESSION_HANDLE,
        _parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        input: *mut CK_BYTE,
        input_len: CK_ULONG,
        output: *mut CK_BYTE,
        output_len: *mut CK_ULONG,
    ) |module| {
        // SAFETY: the host's pointers.
        let io = unsafe { transfer(input, input_len, output, output_len) };
        message_sign::sign_whole(module, session, no_parameter(parameter_len), io)
    };

    fn C_SignMessageNext(
        session: CK_SESSION_HANDLE,
        _parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        part: *mut CK_BYTE,
        part_len: CK_ULONG,
        output: *mut CK_BYTE,
        output_len: *mut CK_ULONG,
    ) |module| {
        // SAFETY: the host's pointers.
        let (part, place) = unsafe {
            let part = apart(part, part_len, output, output_len);
            (part, (!output_len.is_null()).then(|| out(output, output_len)))
        };
        message_sign::sign_next(module, session, no_parameter(parameter_len), part, place)
    };

    fn C_VerifyMessage(
        session: CK_SESSION_HANDLE,
        _parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        input: *mut CK_BYTE,
        input_len: CK_ULONG,
        signature: *mut CK_BYTE,
        signature_len: CK_ULONG,
    ) |module| {
        // SAFETY: the host's pointers.
        let (input, signature) = unsafe { (bytes(input, input_len), bytes(signature, signature_len)) };
        message_sign::verify_whole(module, session, no_parameter(parameter_len), input, signature)
    };

    fn C_VerifyMessageNext(
        session: CK_SESSION_HANDLE,
        _parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        part: *mut CK_BYTE,
        part_len: CK_ULONG,
        signature: *mut CK_BYTE,
        signature_len: CK_ULONG,
    ) |module| {
        // SAFETY: the host's pointers.
        let (part, signature) = unsafe {
            (bytes(part, part_len), (!signature.is_null()).then(|| bytes(signature, signature_len)))
        };
        message_sign::verify_next(module, session, no_parameter(parameter_len), part, signature)
    };
}
