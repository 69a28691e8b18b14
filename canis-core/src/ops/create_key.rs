//! `key.create`: a key with its first version, and the objects that show it to PKCS#11.

use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::crypto::{Hash, MAX_DIGEST, Provider, des_keys, from_outside};
use crate::format;
use crate::keyring::Keyring;
use crate::keyring::key_record::{KeyRecord, Source};
use crate::keyring::key_rules::refuse_legacy;
use crate::keyring::seal::fresh_id;
use crate::keyring::tenant::OpenTenant;
use crate::object::{Class, Content, KeyFacts, MAX_SECRET, NO_MECHANISM, Object};
use crate::secret::SecretBytes;
use crate::store::Change;
use canis_proto::answer::KeyInfo;
use canis_proto::message::CreateKey;
use canis_proto::{Error, ErrorCode, Family, Id, KeyName, KeyState, KeyType, Result, Usage};

impl Run for CreateKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::of_type(self.kind)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<KeyInfo> {
        let name = KeyName::parse(&self.name)?;
        refuse_legacy(self.kind)?;
        let tenant = keyring.tenant(caller.tenant()?)?;
        keyring.refuse_taken(&tenant, &name)?;
        let now = keyring.clock.now_micros();
        let record = new_record(&self, &name, now)?;
        let made = NewMaterial::draw(keyring.provider, self.kind, secret_len(&self)?)?;
        let id = keyring.keep_key(&tenant, &record, self.kind, &made, now)?;
        let key = keyring.key_by_id(&tenant, id)?;
        keyring.info(&tenant, &key)
    }
}

/// What operations of the API use keys of a type for; keys are wrapped and unwrapped on their way out and in. Nothing is
/// derived from AES keys, whose material leads to the keys of ciphertexts.
fn usable(kind: KeyType) -> Usage {
    let api = Usage::ENCRYPT.with(Usage::DECRYPT).with(Usage::SIGN).with(Usage::VERIFY);
    let derives = if kind.family() == Family::Aes { Usage::NONE } else { Usage::DERIVE };
    let wraps = Usage::WRAP.with(Usage::UNWRAP);
    kind.possible_usage().intersect(api.with(derives).with(wraps))
}

fn new_record(request: &CreateKey<'_>, name: &KeyName, now: i64) -> Result<KeyRecord> {
    let usage = usage_of(request.kind, request.usage)?;
    let state = if request.activate { KeyState::Active } else { KeyState::Created };
    let mut record = KeyRecord {
        state: state as u8,
        deletion_allowed: request.deletion_allowed,
        exportable: request.exportable,
        allow_plaintext_backup: request.allow_plaintext_backup,
        ..KeyRecord::new(name.to_string(), request.kind, usage, now)
    };
    record.rotate_every(request.interval, now)?;
    record.retain(request.retain_versions)?;
    Ok(record)
}

/// The usage asked for, or the type's own.
pub(super) fn usage_of(kind: KeyType, asked: Option<Usage>) -> Result<Usage> {
    let possible = usable(kind);
    match asked {
        None => Ok(kind.default_usage()),
        Some(usage) if usage != Usage::NONE && possible.allows(usage) => Ok(usage),
        Some(_) => Err(Error::invalid(format!(
            "a key of type {kind} is made for one or more of: {}",
            possible.names().collect::<Vec<_>>().join(", ")
        ))),
    }
}

impl Keyring {
    /// Writes a new key with its first version and the objects that show it; gives its id.
    pub(super) fn keep_key(
        &self,
        tenant: &OpenTenant,
        record: &KeyRecord,
        kind: KeyType,
        made: &NewMaterial,
        now: i64,
    ) -> Result<Id> {
        let id = fresh_id(self.provider)?;
        let mut changes = vec![
            tenant.expected(),
            Change::Put(self.key_row(tenant, id, 1, record)?),
            Change::Put(self.version_row(tenant, id, kind, 1, &made.material, now)?),
        ];
        for mut content in api_objects(self.provider, record, kind, id, &made.spki) {
            if !kind.is_asymmetric() {
                content.note_secret(self.provider, kind, made.material.expose())?;
            }
            let object = Object {
                id: fresh_id(self.provider)?,
                revision: 1,
                session: None,
                key: Some((id, 1)),
                content,
            };
            changes.push(Change::Put(self.object_row(tenant.id, &object)?));
        }
        changes.extend(self.key_limit(tenant.id)?);
        self.store.commit(&changes)?;
        Ok(id)
    }

    /// Finds a taken name before anything slow is done; the commit finds it again.
    pub(super) fn refuse_taken(&self, tenant: &OpenTenant, name: &KeyName) -> Result<()> {
        match self.store.key_by_name(tenant.id, name.as_str())? {
            None => Ok(()),
            Some(_) => Err(Error::new(ErrorCode::KeyExists, format!("a key named `{name}` exists already"))),
        }
    }
}

/// Key material on its way into an object.
pub(super) struct NewMaterial {
    /// The type of the key.
    pub(super) kind: KeyType,
    /// PKCS#8, or the secret key's bytes.
    pub(super) material: SecretBytes,
    /// The public half; empty for secret keys.
    pub(super) spki: Vec<u8>,
}

/// The length of a generic secret that nobody has given a length, in bytes.
const SECRET_LEN: usize = 32;

/// The length asked for; only generic secrets have one that can be chosen.
fn secret_len(request: &CreateKey<'_>) -> Result<usize> {
    match (request.length, request.kind.family()) {
        (0, _) => Ok(SECRET_LEN),
        (length, Family::Generic) => Ok(usize::try_from(length).unwrap_or(usize::MAX)),
        (..) => Err(Error::invalid(format!("keys of type {} have one length; leave it out", request.kind))),
    }
}

impl NewMaterial {
    /// Draws a key; `len` is the length of a generic secret in bytes.
    pub(super) fn draw(provider: &Provider, kind: KeyType, len: usize) -> Result<Self> {
        if !kind.is_asymmetric() {
            let len = if kind == KeyType::Generic { len } else { kind.bytes() };
            check_len(kind, len)?;
            let material = SecretBytes::filled(len, |out| draw_secret(provider, kind, out))?;
            return Ok(NewMaterial { kind, material, spki: Vec::new() });
        }
        let material = provider.keys.generate(kind)?;
        let spki = provider.keys.private(kind, material.expose())?.public_spki().to_vec();
        Ok(NewMaterial { kind, material, spki })
    }

    /// Takes material that was not drawn here: PKCS#8 DER of a key pair, or the bytes of a secret key.
    ///
    /// # Errors
    /// `invalid_argument` for material that is not of `kind`, or whose numbers do not belong together.
    pub(super) fn given(provider: &Provider, kind: KeyType, material: SecretBytes) -> Result<Self> {
        if kind.is_asymmetric() {
            let spki = from_outside::check_private(provider, kind, material.expose())?;
            let material = format::shortest(kind, material)?;
            return Ok(NewMaterial { kind, material, spki });
        }
        check_len(kind, material.len())?;
        Ok(NewMaterial { kind, material, spki: Vec::new() })
    }
}

/// Random bytes that are a key of this type.
fn draw_secret(provider: &Provider, kind: KeyType, out: &mut [u8]) -> Result<()> {
    loop {
        provider.random.fill(out)?;
        if !kind.is_legacy() {
            return Ok(());
        }
        des_keys::set_parity(out);
        if !des_keys::is_weak(out) {
            return Ok(());
        }
    }
}

/// Whether a secret key of this type can have so many bytes.
fn check_len(kind: KeyType, len: usize) -> Result<()> {
    let lengths = match kind.family() {
        Family::Generic => 1..=MAX_SECRET,
        _ => kind.bytes()..=kind.bytes(),
    };
    if lengths.contains(&len) {
        return Ok(());
    }
    let (least, most) = (lengths.start(), lengths.end());
    Err(Error::invalid(format!("a key of type {kind} has {least} to {most} bytes, not {len}")))
}

/// What PKCS#11 shows of a key made through the API: its name as label, and one CKA_ID for both halves.
fn api_objects(provider: &Provider, record: &KeyRecord, kind: KeyType, key: Id, spki: &[u8]) -> Vec<Content> {
    let id = if spki.is_empty() { key.0.to_vec() } else { key_identifier(provider, spki) };
    let usage = Usage::from_bits(record.usage).unwrap_or_default();
    let local = record.source == Source::Here;
    let secret_half = Usage::DECRYPT.with(Usage::SIGN).with(Usage::UNWRAP).with(Usage::DERIVE);
    let content = |class, private, usage| Content {
        class,
        private,
        modifiable: true,
        copyable: true,
        destroyable: true,
        label: record.name.clone().into_bytes(),
        id: id.clone(),
        key: Some(KeyFacts {
            kind,
            usage,
            trusted: false,
            sensitive: private && !record.allow_plaintext_backup,
            always_sensitive: private && local && !record.allow_plaintext_backup,
            extractable: !private || record.exportable,
            never_extractable: private && local && !record.exportable,
            local,
            always_authenticate: false,
            wrap_with_trusted: false,
            by_api: true,
            from_kdf: false,
            mechanism: NO_MECHANISM,
            spki: spki.to_vec(),
        }),
        attributes: Vec::new(),
    };
    if record.source == Source::PublicHalf {
        vec![content(Class::PublicKey, false, usage)]
    } else if kind.is_asymmetric() {
        vec![
            content(Class::PrivateKey, true, usage.intersect(secret_half)),
            content(Class::PublicKey, false, usage.without(secret_half)),
        ]
    } else {
        vec![content(Class::SecretKey, true, usage)]
    }
}

/// CKA_ID of a pair: the first 20 bytes of SHA-256 over the SubjectPublicKeyInfo.
pub(super) fn key_identifier(provider: &Provider, spki: &[u8]) -> Vec<u8> {
    let mut digest = [0; MAX_DIGEST];
    provider.digest.hash(Hash::Sha256, spki, &mut digest);
    digest[..20].to_vec()
}
