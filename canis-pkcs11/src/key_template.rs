//! What a template says about a key: its type and size, and for C_CreateObject the numbers that it is made of.

use crate::attribute::number;
use crate::curve::{named, point, point_len};
use crate::object::{kind_number, parameter_set};
use crate::rv::{Result, fail};
use crate::template::Template;
use crate::version_3_2::*;
use canis_core::crypto::private_parts::{Part, PrivateParts, RsaParts};
use canis_core::crypto::public_parts::PublicParts;
use canis_core::object::MAX_SECRET;
use canis_core::secret::SecretBytes;
use canis_proto::{Family, KeyType};
use pkcs11_sys::*;
use zeroize::Zeroizing;

/// Types of generic secrets beside CKK_GENERIC_SECRET: what the key is for by the host's own word. They are kept and
/// shown as they were given.
const NAMED_SECRETS: [CK_KEY_TYPE; 12] = [
    CKK_MD5_HMAC,
    CKK_SHA_1_HMAC,
    CKK_SHA224_HMAC,
    CKK_SHA256_HMAC,
    CKK_SHA384_HMAC,
    CKK_SHA512_HMAC,
    CKK_SHA3_224_HMAC,
    CKK_SHA3_256_HMAC,
    CKK_SHA3_384_HMAC,
    CKK_SHA3_512_HMAC,
    CKK_HKDF,
    CKK_SHA512_256_HMAC,
];

/// The family of keys that a CKK_… number stands for, if CANIS has such keys.
pub(crate) fn family_of(number: CK_KEY_TYPE) -> Option<Family> {
    match number {
        CKK_AES => Some(Family::Aes),
        CKK_RSA => Some(Family::Rsa),
        CKK_EC => Some(Family::Ec),
        CKK_EC_EDWARDS => Some(Family::Edwards),
        CKK_EC_MONTGOMERY => Some(Family::Montgomery),
        CKK_ML_DSA => Some(Family::MlDsa),
        CKK_SLH_DSA => Some(Family::SlhDsa),
        CKK_ML_KEM => Some(Family::MlKem),
        CKK_DES => Some(Family::Des),
        CKK_DES2 | CKK_DES3 => Some(Family::TripleDes),
        CKK_GENERIC_SECRET => Some(Family::Generic),
        named if NAMED_SECRETS.contains(&named) => Some(Family::Generic),
        _ => None,
    }
}

/// Whether a CKK_… number is that of a type; generic secrets have several.
pub(crate) fn stands_for(number: CK_KEY_TYPE, kind: Option<KeyType>) -> bool {
    match kind {
        Some(KeyType::Generic) => family_of(number) == Some(Family::Generic),
        Some(kind) => number == kind_number(kind),
        None => false,
    }
}

/// The family that CKA_KEY_TYPE names.
///
/// # Errors
/// CKR_TEMPLATE_INCOMPLETE; CKR_ATTRIBUTE_VALUE_INVALID for a type that CANIS does not have.
fn family(template: &Template<'_>) -> Result<Family> {
    let kind = number(template.needed(CKA_KEY_TYPE)?)?;
    family_of(kind).ok_or_else(|| CKR_ATTRIBUTE_VALUE_INVALID.into())
}

/// The type of a public key, and the key in SubjectPublicKeyInfo.
pub(crate) fn public_key(template: &Template<'_>) -> Result<(KeyType, Vec<u8>)> {
    let family = family(template)?;
    let parts = match family {
        Family::Rsa => PublicParts::Rsa {
            modulus: significant(template.needed(CKA_MODULUS)?).to_vec(),
            exponent: significant(template.needed(CKA_PUBLIC_EXPONENT)?).to_vec(),
        },
        Family::MlDsa | Family::MlKem | Family::SlhDsa => {
            let kind = of_parameter_set(family, template)?;
            PublicParts::PostQuantum { kind, key: template.needed(CKA_VALUE)?.to_vec() }
        }
        Family::Aes | Family::Generic | Family::Des | Family::TripleDes | Family::Hybrid => {
            return fail(CKR_ATTRIBUTE_VALUE_INVALID);
        }
        Family::Ec | Family::Edwards | Family::Montgomery => {
            point_on(curve(family, template)?, template.needed(CKA_EC_POINT)?)?
        }
    };
    let spki = parts.to_spki().map_err(|_| CKR_ATTRIBUTE_VALUE_INVALID)?;
    let (kind, _) = PublicParts::from_spki(&spki).map_err(|_| CKR_ATTRIBUTE_VALUE_INVALID)?;
    match template.filled(CKA_PUBLIC_KEY_INFO) {
        Some(info) if info != spki => fail(CKR_TEMPLATE_INCONSISTENT),
        _ => Ok((kind, spki)),
    }
}

/// A private key's type and parts, and its public half in SubjectPublicKeyInfo if the template names one.
pub(crate) fn private_key(template: &Template<'_>) -> Result<(KeyType, PrivateParts, Vec<u8>)> {
    match family(template)? {
        Family::Rsa => rsa_private(template),
        family @ (Family::Ec | Family::Edwards | Family::Montgomery) => {
            let curve = curve(family, template)?;
            let value = template.needed(CKA_VALUE)?;
            let parts = match family {
                Family::Ec => PrivateParts::Ec { curve, scalar: part(value) },
                _ => PrivateParts::Seed { kind: curve, seed: part(point(value, 32)?) },
            };
            let claimed = match template.filled(CKA_EC_POINT) {
                Some(value) => point_on(curve, value)?.to_spki().map_err(|_| CKR_ATTRIBUTE_VALUE_INVALID)?,
                None => Vec::new(),
            };
            Ok((curve, parts, claimed_public(template, claimed)?))
        }
        family @ Family::SlhDsa => {
            let kind = of_parameter_set(family, template)?;
            let whole = Some(part(template.needed(CKA_VALUE)?));
            let parts = PrivateParts::PostQuantum { kind, seed: None, expanded: whole };
            Ok((kind, parts, claimed_public(template, Vec::new())?))
        }
        family @ (Family::MlDsa | Family::MlKem) => {
            let kind = of_parameter_set(family, template)?;
            let (seed, expanded) = (template.filled(CKA_SEED), template.filled(CKA_VALUE));
            if seed.is_none() && expanded.is_none() {
                return fail(CKR_TEMPLATE_INCOMPLETE);
            }
            let (seed, expanded) = (seed.map(part), expanded.map(part));
            let parts = PrivateParts::PostQuantum { kind, seed, expanded };
            Ok((kind, parts, claimed_public(template, Vec::new())?))
        }
        Family::Aes | Family::Generic | Family::Des | Family::TripleDes | Family::Hybrid => {
            fail(CKR_ATTRIBUTE_VALUE_INVALID)
        }
    }
}

fn rsa_private(template: &Template<'_>) -> Result<(KeyType, PrivateParts, Vec<u8>)> {
    let number = |kind| template.filled(kind).map(part);
    let parts = RsaParts {
        modulus: significant(template.needed(CKA_MODULUS)?).to_vec(),
        public_exponent: significant(template.needed(CKA_PUBLIC_EXPONENT)?).to_vec(),
        private_exponent: part(template.needed(CKA_PRIVATE_EXPONENT)?),
        prime_1: number(CKA_PRIME_1),
        prime_2: number(CKA_PRIME_2),
        exponent_1: number(CKA_EXPONENT_1),
        exponent_2: number(CKA_EXPONENT_2),
        coefficient: number(CKA_COEFFICIENT),
    };
    let public = PublicParts::Rsa { modulus: parts.modulus.clone(), exponent: parts.public_exponent.clone() };
    let spki = public.to_spki().map_err(|_| CKR_ATTRIBUTE_VALUE_INVALID)?;
    let (kind, _) = PublicParts::from_spki(&spki).map_err(|_| CKR_ATTRIBUTE_VALUE_INVALID)?;
    Ok((kind, PrivateParts::Rsa(parts), claimed_public(template, spki)?))
}

/// CKA_PUBLIC_KEY_INFO must not contradict the public half that the other attributes give.
fn claimed_public(template: &Template<'_>, spki: Vec<u8>) -> Result<Vec<u8>> {
    match template.filled(CKA_PUBLIC_KEY_INFO) {
        Some(info) if spki.is_empty() => Ok(info.to_vec()),
        Some(info) if info != spki => fail(CKR_TEMPLATE_INCONSISTENT),
        _ => Ok(spki),
    }
}

/// A secret key's type and value.
pub(crate) fn secret_key(template: &Template<'_>) -> Result<(KeyType, PrivateParts)> {
    let number = number(template.needed(CKA_KEY_TYPE)?)?;
    let value = template.needed(CKA_VALUE)?;
    let kind = family_of(number).and_then(|family| KeyType::of_secret(family, value.len()));
    let Some(kind) = kind.filter(|kind| stands_for(number, Some(*kind))) else {
        return fail(CKR_ATTRIBUTE_VALUE_INVALID);
    };
    Ok((kind, PrivateParts::Secret { kind, value: SecretBytes::copied_from(value) }))
}

/// The type of a family's keys that CKA_PARAMETER_SET names.
///
/// # Errors
/// CKR_TEMPLATE_INCOMPLETE; CKR_PARAMETER_SET_NOT_SUPPORTED.
fn of_parameter_set(family: Family, template: &Template<'_>) -> Result<KeyType> {
    let wanted = Some(number(template.needed(CKA_PARAMETER_SET)?)?);
    let mut of_family = KeyType::ALL.iter().filter(|kind| kind.family() == family);
    let kind = of_family.find(|kind| parameter_set(**kind) == wanted);
    kind.copied().ok_or_else(|| CKR_PARAMETER_SET_NOT_SUPPORTED.into())
}

/// The curve that a template names, of a key of this family.
fn curve(family: Family, template: &Template<'_>) -> Result<KeyType> {
    let curve = named(template.needed(CKA_EC_PARAMS)?)?;
    if curve.family() == family { Ok(curve) } else { fail(CKR_TEMPLATE_INCONSISTENT) }
}

fn point_on(curve: KeyType, value: &[u8]) -> Result<PublicParts> {
    let bytes_32 = || -> Result<[u8; 32]> {
        point(value, 32)?.try_into().map_err(|_| CKR_ATTRIBUTE_VALUE_INVALID.into())
    };
    match curve.family() {
        Family::Edwards => Ok(PublicParts::Edwards { point: bytes_32()? }),
        Family::Montgomery => Ok(PublicParts::Montgomery { point: bytes_32()? }),
        _ => Ok(PublicParts::Ec { curve, point: point(value, point_len(curve))?.to_vec() }),
    }
}

fn part(bytes: &[u8]) -> Part {
    Zeroizing::new(bytes.to_vec())
}

/// The type of pair that a template for C_GenerateKeyPair, its public half, asks for.
///
/// # Errors
/// CKR_TEMPLATE_INCOMPLETE, CKR_KEY_SIZE_RANGE, or what is wrong with the curve.
pub(crate) fn pair_to_generate(family: Family, template: &Template<'_>) -> Result<KeyType> {
    match family {
        Family::Rsa => {
            // Another exponent than F4 would have to be generated differently; nobody asks for one.
            if template.bytes(CKA_PUBLIC_EXPONENT).is_some_and(|e| significant(e) != [1, 0, 1]) {
                return fail(CKR_ATTRIBUTE_VALUE_INVALID);
            }
            match number(template.needed(CKA_MODULUS_BITS)?)? {
                2048 => Ok(KeyType::Rsa2048),
                3072 => Ok(KeyType::Rsa3072),
                4096 => Ok(KeyType::Rsa4096),
                6144 => Ok(KeyType::Rsa6144),
                8192 => Ok(KeyType::Rsa8192),
                _ => fail(CKR_KEY_SIZE_RANGE),
            }
        }
        Family::MlDsa | Family::MlKem | Family::SlhDsa => of_parameter_set(family, template),
        Family::Aes | Family::Generic | Family::Des | Family::TripleDes | Family::Hybrid => {
            fail(CKR_TEMPLATE_INCONSISTENT)
        }
        Family::Ec | Family::Edwards | Family::Montgomery => {
            let curve = named(template.needed(CKA_EC_PARAMS)?)?;
            if curve.family() == family { Ok(curve) } else { fail(CKR_CURVE_NOT_SUPPORTED) }
        }
    }
}

/// The type and length of the secret key that a template for C_GenerateKey asks for; a mechanism that makes keys of one
/// size, as those of DES do, is not told it.
///
/// # Errors
/// CKR_TEMPLATE_INCOMPLETE, CKR_KEY_SIZE_RANGE.
pub(crate) fn secret_to_generate(
    family: Family,
    (least, most): (CK_ULONG, CK_ULONG),
    template: &Template<'_>,
) -> Result<(KeyType, usize)> {
    let len = if least == most { least } else { number(template.needed(CKA_VALUE_LEN)?)? };
    let len = usize::try_from(len).map_err(|_| CKR_KEY_SIZE_RANGE)?;
    let kind = KeyType::of_secret(family, len).filter(|_| (1..=MAX_SECRET).contains(&len));
    kind.map(|kind| (kind, len)).ok_or_else(|| CKR_KEY_SIZE_RANGE.into())
}

/// What kind of secret key a template for C_UnwrapKey or C_DeriveKey asks for, and of which length if it says so. The
/// length of an AES key is known when it is there; until then any AES type stands for all. DES has a type for each length.
///
/// # Errors
/// CKR_TEMPLATE_INCONSISTENT for another class or a type that no secret key has; CKR_KEY_SIZE_RANGE.
pub(crate) fn secret_wanted(template: &Template<'_>) -> Result<(KeyType, Option<usize>)> {
    if template.number(CKA_CLASS)?.is_some_and(|class| class != CKO_SECRET_KEY) {
        return fail(CKR_TEMPLATE_INCONSISTENT);
    }
    let len = template.number(CKA_VALUE_LEN)?.filter(|len| *len != 0);
    let len = len.map(usize::try_from).transpose().map_err(|_| CKR_KEY_SIZE_RANGE)?;
    let kind = template.number(CKA_KEY_TYPE)?.unwrap_or(CKK_GENERIC_SECRET);
    if let Some(kind) =
        [KeyType::Des, KeyType::Des2, KeyType::Des3].into_iter().find(|des| kind_number(*des) == kind)
    {
        return Ok((kind, Some(kind.bytes())));
    }
    match (family_of(kind), len) {
        (Some(Family::Aes), None | Some(16 | 24 | 32)) => Ok((KeyType::Aes256, len)),
        (Some(Family::Generic), _) if len.is_none_or(|len| len <= MAX_SECRET) => Ok((KeyType::Generic, len)),
        (Some(Family::Aes | Family::Generic), _) => fail(CKR_KEY_SIZE_RANGE),
        _ => fail(CKR_TEMPLATE_INCONSISTENT),
    }
}

/// What family of private keys a template for C_UnwrapKey asks for; any of its types stands for all.
///
/// # Errors
/// CKR_TEMPLATE_INCOMPLETE; CKR_TEMPLATE_INCONSISTENT for a type that no private key has.
pub(crate) fn private_wanted(template: &Template<'_>) -> Result<KeyType> {
    match family_of(number(template.needed(CKA_KEY_TYPE)?)?) {
        Some(Family::Rsa) => Ok(KeyType::Rsa2048),
        Some(Family::Ec) => Ok(KeyType::EcdsaP256),
        Some(Family::Edwards) => Ok(KeyType::Ed25519),
        Some(Family::Montgomery) => Ok(KeyType::X25519),
        Some(Family::MlDsa) => Ok(KeyType::MlDsa44),
        Some(Family::SlhDsa) => Ok(KeyType::SlhDsaSha2128f),
        Some(Family::MlKem) => Ok(KeyType::MlKem512),
        _ => fail(CKR_TEMPLATE_INCONSISTENT),
    }
}

/// A big-endian number without leading zeros.
fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
