//! Private keys under a passphrase: PBES2 of PKCS#5 (RFC 8018, section 6.2) around PKCS#8, as `openssl pkcs8 -topk8` and
//! `openssl genpkey -aes256` write them.
//!
//! Taken are PBKDF2 with HMAC-SHA-1, -256, -384 or -512 and AES in CBC. CBC finds no tampering: what comes out is
//! checked as any key from outside is.

use crate::crypto::refusal::bad_private_key;
use crate::crypto::{BLOCK, BlockMode, CipherStream, Direction, Hash, Iv, Provider};
use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, Result};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Choice, Decode, DecodeValue, Encode, Sequence};
use pkcs8::PrivateKeyInfoRef;
use spki::{AlgorithmIdentifier, AlgorithmIdentifierRef};

/// The most iterations that one passphrase goes through; more is not caution but somebody's wish to keep us busy.
const MAX_ITERATIONS: u32 = 10_000_000;
/// The most in one file, which may hold several keys: some seconds of work.
const MAX_ITERATIONS_OF_FILE: u32 = 40_000_000;
/// What we use: OWASP's figure for PBKDF2-HMAC-SHA-256.
const ITERATIONS: u32 = 600_000;
/// The longest salt taken, in bytes.
const MAX_SALT: usize = 1024;

pub(super) const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const SCRYPT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11591.4.11");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const AES256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");

/// Pseudorandom functions: HMAC with these (RFC 8018, appendix B.1).
const PRFS: [(ObjectIdentifier, Hash); 4] = [
    (ObjectIdentifier::new_unwrap("1.2.840.113549.2.7"), Hash::Sha1),
    (HMAC_SHA256, Hash::Sha256),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.2.10"), Hash::Sha384),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.2.11"), Hash::Sha512),
];

/// Ciphers: AES in CBC, and the length of their keys in bytes.
const CIPHERS: [(ObjectIdentifier, usize); 3] = [
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2"), 16),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.22"), 24),
    (AES256_CBC, 32),
];

#[derive(Sequence)]
struct EncryptedPrivateKeyInfo<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    encrypted: &'a OctetStringRef,
}

#[derive(Sequence)]
struct Pbes2Params<'a> {
    kdf: AlgorithmIdentifierRef<'a>,
    cipher: AlgorithmIdentifierRef<'a>,
}

#[derive(Sequence)]
struct Pbkdf2Params<'a> {
    salt: &'a OctetStringRef,
    iterations: u32,
    #[asn1(optional = "true")]
    length: Option<u32>,
    #[asn1(optional = "true")]
    prf: Option<AlgorithmIdentifierRef<'a>>,
}

/// Whether this is an EncryptedPrivateKeyInfo.
#[must_use]
pub fn is_encrypted(der: &[u8]) -> bool {
    EncryptedPrivateKeyInfo::from_der(der).is_ok()
}

/// Opens an EncryptedPrivateKeyInfo: the PKCS#8 inside.
///
/// # Errors
/// `invalid_argument` for another scheme or absurd parameters; `decryption_failed` for a wrong passphrase.
pub fn open(provider: &Provider, der: &[u8], passphrase: &[u8]) -> Result<SecretBytes> {
    let (algorithm, encrypted) = taken_apart(der)?;
    if algorithm.oid != PBES2 {
        return Err(bad_private_key(
            "it is encrypted by a scheme before PBES2; convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc`",
        ));
    }
    let opened = open_scheme(provider, &algorithm, encrypted, passphrase, &mut Iterations::of_file())?;
    // One wrong passphrase in 256 gives bytes whose padding is right by chance.
    PrivateKeyInfoRef::from_der(opened.expose()).map_err(|_| wrong_passphrase())?;
    Ok(opened)
}

/// Scheme and ciphertext of an EncryptedPrivateKeyInfo.
pub(super) fn taken_apart(der: &[u8]) -> Result<(AlgorithmIdentifierRef<'_>, &[u8])> {
    let info = EncryptedPrivateKeyInfo::from_der(der)
        .map_err(|_| bad_private_key("it is no EncryptedPrivateKeyInfo DER"))?;
    Ok((info.algorithm, info.encrypted.as_bytes()))
}

/// Opens what is encrypted by PBES2 of these parameters.
pub(super) fn open_scheme(
    provider: &Provider,
    algorithm: &AlgorithmIdentifierRef<'_>,
    encrypted: &[u8],
    passphrase: &[u8],
    left: &mut Iterations,
) -> Result<SecretBytes> {
    let parameters: Pbes2Params<'_> = algorithm
        .parameters
        .map(inner)
        .ok_or_else(|| bad_private_key("the parameters of its encryption are missing"))??;
    let (iv, length) = cipher(&parameters.cipher)?;
    let key = derive(provider, &parameters.kdf, passphrase, length, left)?;
    run(provider, &key, iv, Direction::Decrypt, encrypted).map_err(|_| wrong_passphrase())
}

/// How much work a file may still ask for.
pub(super) struct Iterations(u32);

impl Iterations {
    /// What every file begins with.
    pub(super) fn of_file() -> Self {
        Iterations(MAX_ITERATIONS_OF_FILE)
    }

    /// Counts a derivation with this salt.
    pub(super) fn take(&mut self, iterations: u32, salt: &[u8]) -> Result<()> {
        if iterations > MAX_ITERATIONS || salt.len() > MAX_SALT {
            return Err(bad_private_key(&format!(
                "its passphrase is to go through more than {MAX_ITERATIONS} iterations or {MAX_SALT} bytes of salt"
            )));
        }
        self.0 = self.0.checked_sub(iterations).ok_or_else(|| {
            bad_private_key(&format!("it asks for more than {MAX_ITERATIONS_OF_FILE} iterations in all"))
        })?;
        Ok(())
    }
}

/// One answer, whether the passphrase or the ciphertext is another.
pub(super) fn wrong_passphrase() -> Error {
    Error::new(ErrorCode::DecryptionFailed, "the passphrase is not the key's, or the file is damaged")
}

/// Encrypts a PKCS#8 under a passphrase: EncryptedPrivateKeyInfo DER, which every OpenSSL from 1.0 on opens.
///
/// # Errors
/// `internal` without random bytes.
pub fn seal(provider: &Provider, pkcs8: &[u8], passphrase: &[u8]) -> Result<Vec<u8>> {
    let (mut salt, mut iv) = ([0; 16], [0; BLOCK]);
    provider.random.fill(&mut salt)?;
    provider.random.fill(&mut iv)?;
    let key =
        SecretBytes::filled(32, |out| provider.kdf.pbkdf2(Hash::Sha256, passphrase, &salt, ITERATIONS, out))?;
    let encrypted = run(provider, &key, iv, Direction::Encrypt, pkcs8)?;
    encode(&salt, &iv, encrypted.expose()).map_err(|_| Error::internal("PBES2 could not be encoded"))
}

fn encode(salt: &[u8], iv: &[u8], encrypted: &[u8]) -> der::Result<Vec<u8>> {
    let prf = Some(AlgorithmIdentifier { oid: HMAC_SHA256, parameters: Some(AnyRef::NULL) });
    let kdf = Pbkdf2Params { salt: OctetStringRef::new(salt)?, iterations: ITERATIONS, length: None, prf }
        .to_der()?;
    let iv = OctetStringRef::new(iv)?.to_der()?;
    let scheme = Pbes2Params {
        kdf: AlgorithmIdentifier { oid: PBKDF2, parameters: Some(AnyRef::from_der(&kdf)?) },
        cipher: AlgorithmIdentifier { oid: AES256_CBC, parameters: Some(AnyRef::from_der(&iv)?) },
    }
    .to_der()?;
    let algorithm = AlgorithmIdentifier { oid: PBES2, parameters: Some(AnyRef::from_der(&scheme)?) };
    EncryptedPrivateKeyInfo { algorithm, encrypted: OctetStringRef::new(encrypted)? }.to_der()
}

pub(super) fn inner<'a, T: Choice<'a> + DecodeValue<'a>>(parameters: AnyRef<'a>) -> Result<T> {
    parameters.decode_as().map_err(|_| bad_private_key("the parameters of its encryption are no DER"))
}

/// The IV and the length of the key.
fn cipher(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<([u8; BLOCK], usize)> {
    let (_, length) = CIPHERS
        .into_iter()
        .find(|(oid, _)| *oid == algorithm.oid)
        .ok_or_else(|| bad_private_key("it is not encrypted by AES in CBC"))?;
    let iv: Option<&OctetStringRef> = algorithm.parameters.map(inner).transpose()?;
    let iv = iv.and_then(|iv| iv.as_bytes().try_into().ok());
    Ok((iv.ok_or_else(|| bad_private_key("its IV has not 16 bytes"))?, length))
}

fn derive(
    provider: &Provider,
    algorithm: &AlgorithmIdentifierRef<'_>,
    passphrase: &[u8],
    length: usize,
    left: &mut Iterations,
) -> Result<SecretBytes> {
    let parameters: Pbkdf2Params<'_> = match algorithm.parameters {
        Some(parameters) if algorithm.oid == PBKDF2 => inner(parameters)?,
        _ if algorithm.oid == SCRYPT => {
            return Err(bad_private_key(
                "its passphrase goes through scrypt; convert it with `openssl pkcs8 -topk8`",
            ));
        }
        _ => return Err(bad_private_key("its passphrase does not go through PBKDF2")),
    };
    let hash = match &parameters.prf {
        None => Hash::Sha1,
        Some(prf) => PRFS
            .into_iter()
            .find(|(oid, _)| *oid == prf.oid)
            .map(|(_, hash)| hash)
            .ok_or_else(|| bad_private_key("its PBKDF2 uses no HMAC of SHA-1, -256, -384 or -512"))?,
    };
    let salt = parameters.salt.as_bytes();
    left.take(parameters.iterations, salt)?;
    if parameters.length.is_some_and(|asked| asked as usize != length) {
        return Err(bad_private_key("the length of its key is not that of its cipher"));
    }
    SecretBytes::filled(length, |out| provider.kdf.pbkdf2(hash, passphrase, salt, parameters.iterations, out))
}

fn run(
    provider: &Provider,
    key: &SecretBytes,
    iv: [u8; BLOCK],
    direction: Direction,
    input: &[u8],
) -> Result<SecretBytes> {
    let cipher = provider.cipher.aes(key.expose())?;
    let mut stream = CipherStream::new(&*cipher, BlockMode::CbcPad { iv: Iv::new(iv) }, direction)?;
    let mut out = SecretBytes::zeroed(input.len() + BLOCK);
    let begun = stream.update(input, out.expose_mut())?;
    let ended = stream.finish(&mut out.expose_mut()[begun..])?;
    Ok(out.truncated(begun + ended))
}
