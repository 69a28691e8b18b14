//! Mechanisms that sign and verify: what they do, and their parameters checked.

use super::{Mechanism, Parameter, Work, hash_named, length, mgf_hash};
use crate::rv::{Result, fail};
use crate::version_3_2::*;
use canis_core::crypto::ml_dsa::MAX_CONTEXT;
use canis_core::crypto::{Hash, SignScheme};
use canis_core::object::{MacScheme, MacWith, PostQuantumUse, SignWith};
use canis_proto::Family;
use pkcs11_sys::*;

/// A kind of signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signature {
    Pkcs1,
    Pss,
    Raw,
    Ecdsa,
    Eddsa,
    /// By ML-DSA or SLH-DSA, of a message, or of the digest that the mechanism makes of it.
    PostQuantum(Family),
    /// The same of a digest that the host made.
    HashPostQuantum(Family),
}

/// How much of a MAC is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    Whole,
    /// As much as the parameter says.
    General,
}

/// The shortest piece of a MAC that is made or taken, in bytes: NIST SP 800-107, section 5.3.3, wants 32 bits or more.
const LEAST_MAC: usize = 4;

/// The largest salt that fits an 8192-bit modulus is its 1024 bytes less digest and two (RFC 8017, section 9.1.1).
const LARGEST_SALT: usize = 1024 - 2;

/// How to make or check a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signer {
    /// The hash applied to the host's message first.
    pub(crate) hash: Option<Hash>,
    /// What is done then.
    pub(crate) scheme: Scheme,
}

/// What the core is asked for, for as long as an operation lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Pair(SignScheme),
    Mac(MacScheme),
    /// By ML-DSA or SLH-DSA.
    PostQuantum {
        family: Family,
        /// The hash that made what is signed, here or at the host's.
        hash: Option<Hash>,
        context: Box<[u8]>,
        deterministic: bool,
    },
}

impl Scheme {
    /// The same in the core's words.
    pub(crate) fn told(&self) -> SignWith<'_> {
        match self {
            Scheme::Pair(scheme) => SignWith::Pair(*scheme),
            Scheme::Mac(scheme) => SignWith::Mac(*scheme),
            Scheme::PostQuantum { family, hash, context, deterministic } => {
                let how = PostQuantumUse { hash: *hash, context, deterministic: *deterministic };
                if *family == Family::SlhDsa { SignWith::SlhDsa(how) } else { SignWith::MlDsa(how) }
            }
        }
    }
}

impl Mechanism<'_> {
    /// How this mechanism signs.
    ///
    /// # Errors
    /// CKR_MECHANISM_INVALID if it does not, CKR_MECHANISM_PARAM_INVALID for a parameter that CANIS cannot fulfil.
    pub(crate) fn signs(&self) -> Result<Signer> {
        for work in self.row.works {
            match *work {
                Work::Sign(hash, signature) => {
                    return Ok(Signer { hash, scheme: self.scheme(hash, signature)? });
                }
                Work::Mac(with, extent) => {
                    return Ok(Signer { hash: None, scheme: Scheme::Mac(self.mac(with, extent)?) });
                }
                _ => {}
            }
        }
        fail(CKR_MECHANISM_INVALID)
    }

    /// How this mechanism makes signatures that give back what they sign: RSA without a hash.
    ///
    /// # Errors
    /// CKR_MECHANISM_INVALID if it does not.
    pub(crate) fn recovers(&self) -> Result<SignScheme> {
        match self.signs()? {
            Signer {
                hash: None,
                scheme: Scheme::Pair(scheme @ (SignScheme::RsaPkcs1 | SignScheme::RsaRaw)),
            } => Ok(scheme),
            _ => fail(CKR_MECHANISM_INVALID),
        }
    }

    fn scheme(&self, hash: Option<Hash>, signature: Signature) -> Result<Scheme> {
        Ok(Scheme::Pair(match (signature, &self.parameter) {
            (Signature::Pkcs1, _) => SignScheme::RsaPkcs1,
            (Signature::Raw, _) => SignScheme::RsaRaw,
            (Signature::Ecdsa, _) => SignScheme::Ecdsa,
            (Signature::Eddsa, Parameter::None | Parameter::Eddsa { prehash: false, context: [] }) => {
                SignScheme::Ed25519
            }
            (Signature::Pss, Parameter::Pss { hash: named, mgf, salt }) => {
                let (named, salt) = (hash_named(*named)?, length(*salt)?);
                if hash.is_some_and(|own| own != named) || salt > LARGEST_SALT - named.len() {
                    return fail(CKR_MECHANISM_PARAM_INVALID);
                }
                SignScheme::RsaPss { hash: named, mgf: mgf_hash(*mgf)?, salt }
            }
            (Signature::PostQuantum(family), Parameter::None) => {
                return post_quantum(family, hash, CKH_HEDGE_PREFERRED, &[]);
            }
            (Signature::PostQuantum(family), Parameter::Context { hedge, context, hash: None }) => {
                return post_quantum(family, hash, *hedge, context);
            }
            (
                Signature::HashPostQuantum(family),
                Parameter::Context { hedge, context, hash: Some(named) },
            ) => {
                return post_quantum(family, Some(hash_named(*named)?), *hedge, context);
            }
            _ => return fail(CKR_MECHANISM_PARAM_INVALID),
        }))
    }

    fn mac(&self, with: MacWith, extent: Extent) -> Result<MacScheme> {
        let len = match (extent, &self.parameter) {
            (Extent::Whole, _) => with.tag_len(),
            (Extent::General, Parameter::Length(len)) => length(*len)?,
            _ => return fail(CKR_MECHANISM_PARAM_INVALID),
        };
        if (LEAST_MAC..=with.tag_len()).contains(&len) {
            Ok(MacScheme { with, len })
        } else {
            fail(CKR_MECHANISM_PARAM_INVALID)
        }
    }
}

/// ML-DSA or SLH-DSA as its parameter wants it (section 6.67.5). What is hedged where that is preferred is hedged here.
///
/// # Errors
/// CKR_MECHANISM_PARAM_INVALID for a context string that is too long, another hedge, or a hash that is weaker than SHA-224.
fn post_quantum(family: Family, hash: Option<Hash>, hedge: CK_HEDGE_TYPE, context: &[u8]) -> Result<Scheme> {
    let deterministic = match hedge {
        CKH_HEDGE_PREFERRED | CKH_HEDGE_REQUIRED => false,
        CKH_DETERMINISTIC_REQUIRED => true,
        _ => return fail(CKR_MECHANISM_PARAM_INVALID),
    };
    if context.len() > MAX_CONTEXT || hash == Some(Hash::Sha1) {
        return fail(CKR_MECHANISM_PARAM_INVALID);
    }
    Ok(Scheme::PostQuantum { family, hash, context: context.into(), deterministic })
}

#[cfg(test)]
mod tests {
    use super::super::row;
    use super::*;

    fn pss(kind: CK_MECHANISM_TYPE, hash: CK_MECHANISM_TYPE, salt: CK_ULONG) -> Result<Signer> {
        Mechanism { row: row(kind)?, parameter: Parameter::Pss { hash, mgf: CKG_MGF1_SHA256, salt } }.signs()
    }

    #[test]
    fn pss_must_agree_with_itself() {
        assert_eq!(pss(CKM_SHA256_RSA_PKCS_PSS, CKM_SHA256, 32).unwrap().hash, Some(Hash::Sha256));
        assert_eq!(pss(CKM_RSA_PKCS_PSS, CKM_SHA384, 48).unwrap().hash, None);
        for wrong in [
            pss(CKM_SHA256_RSA_PKCS_PSS, CKM_SHA384, 48),
            pss(CKM_RSA_PKCS_PSS, CKM_AES_GCM, 32),
            pss(CKM_RSA_PKCS_PSS, CKM_SHA256, 991),
            pss(CKM_RSA_PKCS_PSS, CKM_SHA256, CK_ULONG::MAX),
        ] {
            assert_eq!(wrong.unwrap_err().rv, CKR_MECHANISM_PARAM_INVALID);
        }
    }

    #[test]
    fn macs_are_not_cut_to_nothing() {
        let general = |kind, len| {
            Mechanism { row: row(kind).unwrap(), parameter: Parameter::Length(len) }.signs().map_err(|f| f.rv)
        };
        let scheme = |with, len| Scheme::Mac(MacScheme { with, len });
        let hmac = MacWith::Hmac(Hash::Sha256);
        assert_eq!(general(CKM_SHA256_HMAC_GENERAL, 4).unwrap().scheme, scheme(hmac, 4));
        assert_eq!(general(CKM_AES_CMAC_GENERAL, 16).unwrap().scheme, scheme(MacWith::Cmac(Family::Aes), 16));
        for (kind, len) in [
            (CKM_SHA256_HMAC_GENERAL, 3),
            (CKM_SHA256_HMAC_GENERAL, 33),
            (CKM_AES_CMAC_GENERAL, 17),
            (CKM_DES3_CMAC_GENERAL, 9),
        ] {
            assert_eq!(general(kind, len), Err(CKR_MECHANISM_PARAM_INVALID));
        }
    }

    #[test]
    fn post_quantum_signatures_are_bound_to_their_parameter() {
        let signs = |kind, parameter| {
            Mechanism { row: row(kind).unwrap(), parameter }.signs().map(|s| s.scheme).map_err(|f| f.rv)
        };
        let context = |hedge, context, hash| Parameter::Context { hedge, context, hash };
        let (long, longest) = ([7; MAX_CONTEXT + 1], [7; MAX_CONTEXT]);
        for (family, [pure, host, sha256, sha512]) in [
            (Family::MlDsa, [CKM_ML_DSA, CKM_HASH_ML_DSA, CKM_HASH_ML_DSA_SHA256, CKM_HASH_ML_DSA_SHA512]),
            (
                Family::SlhDsa,
                [CKM_SLH_DSA, CKM_HASH_SLH_DSA, CKM_HASH_SLH_DSA_SHA256, CKM_HASH_SLH_DSA_SHA512],
            ),
        ] {
            let whole = |hash, context: &[u8], deterministic| {
                Ok(Scheme::PostQuantum { family, hash, context: context.into(), deterministic })
            };
            assert_eq!(signs(pure, Parameter::None), whole(None, b"", false));
            assert_eq!(signs(pure, context(0, &longest, None)), whole(None, &longest, false));
            assert_eq!(signs(pure, context(2, b"x", None)), whole(None, b"x", true));
            let made = Some(Hash::Sha512);
            assert_eq!(signs(sha512, context(1, b"", None)), whole(made, b"", false));
            assert_eq!(signs(host, context(1, b"", Some(CKM_SHA512))), whole(made, b"", false));
            for (kind, parameter) in [
                (pure, context(0, &long, None)),
                (pure, context(3, b"", None)),
                (host, Parameter::None),
                (host, context(0, b"", Some(CKM_SHA_1))),
                (host, context(0, b"", Some(CKM_MD5))),
                (host, context(0, b"", Some(pure))),
                (sha256, context(0, &long, None)),
            ] {
                assert_eq!(signs(kind, parameter), Err(CKR_MECHANISM_PARAM_INVALID));
            }
        }
    }
}
