//! Every operation that is no application's of PKCS#11, each so that it succeeds.

use super::Script;
use base64ct::{Base64, Encoding};
use canis_proto::value::{Map, Value};
use canis_proto::{KeyType, OperationId as O};
use serde_json::Value as Json;

/// What the caller cannot do himself.
pub(crate) struct Others<'a> {
    /// Asks as somebody else for the destruction of this key, which waits for approvals, and gives the request's id.
    pub(crate) wait_for: Box<dyn FnMut(&str) -> String + 'a>,
    /// The credential of the store's root.
    pub(crate) root: Vec<u8>,
}

/// What stands before the 32 bytes of a private key in PKCS#8 (RFC 8410, section 7).
const ED25519: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

fn args() -> Map<'static> {
    Map::new()
}

fn text(value: impl Into<String>) -> Value<'static> {
    Value::Text(value.into().into())
}

fn bytes(value: &[u8]) -> Value<'static> {
    Value::from(value.to_vec())
}

fn decoded(value: &Json) -> Vec<u8> {
    Base64::decode_vec(value.as_str().unwrap()).unwrap()
}

impl Script<'_> {
    pub(crate) fn asks_for_everything(&mut self, others: &mut Others<'_>) {
        self.makes_keys();
        self.uses_keys();
        self.brings_keys();
        self.ends_keys();
        self.keeps_entries();
        self.keeps_slots();
        self.keeps_credentials();
        self.keeps_policies();
        self.keeps_approvals(others);
        self.keeps_tenants();
        self.keeps_roots(&others.root);
        self.keeps_the_store(&others.root);
    }

    fn name(&self, name: &str) -> Map<'static> {
        args().with("name", text(self.named(name)))
    }

    /// Something that must not be found in the log.
    fn secret(&mut self, what: &str) -> Vec<u8> {
        let secret = format!("{what} of {} that nobody may read", self.prefix).into_bytes();
        self.log.hide(what, &secret);
        secret
    }

    fn hide(&mut self, what: &str, value: &Json) {
        let secret = decoded(value);
        self.log.hide(what, &secret);
    }

    fn hide_token(&mut self, answer: &Json) {
        let token = answer["token"].as_str().unwrap().to_owned();
        self.log.hide("a token", token.as_bytes());
    }

    fn makes_keys(&mut self) {
        let kinds = [("aes", KeyType::Aes256), ("pair", KeyType::EcdsaP256), ("agree", KeyType::X25519)];
        for (name, kind) in kinds.into_iter().chain([("mac", KeyType::Generic), ("asleep", KeyType::Ed25519)])
        {
            let asleep = name == "asleep";
            let mut made = self.name(name).with("kind", text(kind.name())).with("activate", !asleep);
            if kind == KeyType::Generic {
                made = made.with("length", 32u32);
            }
            self.asks(O::CreateKey, made);
        }
        let before = self.name("aes").with("min_encryption_version", 1u32);
        self.asks(O::UpdateKey, before);
        let name = self.name("aes");
        self.asks(O::RotateKey, name);
        for (operation, name) in [
            (O::ActivateKey, "asleep"),
            (O::ShowKey, "aes"),
            (O::PublicKey, "pair"),
            (O::DisableKey, "asleep"),
            (O::EnableKey, "asleep"),
        ] {
            let name = self.name(name);
            self.asks(operation, name);
        }
        self.asks(O::ListKeys, args());
        let nobodys = self.name("nobodys");
        let line = self.is_refused(O::ShowKey, nobodys, "key_not_found");
        assert_eq!(line["on"], format!("kms/keys/{}", self.named("nobodys")).as_str());
    }

    fn uses_keys(&mut self) {
        let (plaintext, context, message) =
            (self.secret("plaintext"), self.secret("context"), self.secret("message"));
        let aes = self.name("aes").with("context", bytes(&context));
        let sealed = self.asks(O::Encrypt, aes.clone().with("plaintext", bytes(&plaintext)));
        let ciphertext = text(sealed["ciphertext"].as_str().unwrap());
        self.asks(O::Decrypt, aes.clone().with("ciphertext", ciphertext.clone()));
        self.asks(O::Rewrap, aes.clone().with("ciphertexts", vec![ciphertext]));
        let made = self.asks(O::MakeDataKey, aes.with("length", 32u32));
        self.hide("a data key", &made["plaintext"]);
        let pair = self.name("pair").with("message", bytes(&message));
        let signed = self.asks(O::Sign, pair.clone());
        let signature = text(signed["signature"].as_str().unwrap());
        self.asks(O::Verify, pair.with("signature", signature));
        let keyed = self.name("mac").with("message", bytes(&message));
        let made = self.asks(O::Mac, keyed.clone());
        self.asks(O::VerifyMac, keyed.with("mac", text(made["mac"].as_str().unwrap())));
        let agree = self.name("agree");
        let public = self.asks(O::PublicKey, agree.clone());
        let agree = agree.with("peer", bytes(&decoded(&public["spki"]))).with("info", bytes(&context));
        let derived = self.asks(O::Derive, agree.with("length", 32u32));
        self.hide("a derived key", &derived["key"]);
        let shared = self.name("kem");
        self.asks(O::CreateKey, shared.clone().with("kind", text("ml-kem-768")));
        let made = self.asks(O::Encapsulate, shared.clone());
        self.hide("a shared secret", &made["secret"]);
        self.asks(O::Decapsulate, shared.with("ciphertext", text(made["ciphertext"].as_str().unwrap())));
        let random = self.asks(O::Random, args().with("length", 24u32));
        self.hide("random bytes", &random["bytes"]);
        self.asks(O::HashData, args().with("data", bytes(&message)));
        if !self.batched {
            let item = self.name("aes").with("plaintext", bytes(&plaintext)).with("op", text("encrypt"));
            self.asks(O::Batch, args().with("operations", vec![Value::Map(item)]));
        }
    }

    fn brings_keys(&mut self) {
        self.asks(O::WrappingKey, args());
        let (plaintext, aad) = (self.secret("plaintext"), self.secret("aad"));
        let material = [self.prefix.as_bytes(), b"-----material-that-is-secret-----"].concat()[..32].to_vec();
        self.log.hide("imported material", &material);
        let brought = self.name("brought").with("kind", text("aes256-gcm")).with("format", text("raw"));
        let brought = brought.with("material", bytes(&material)).with("exportable", true);
        self.asks(O::ImportKey, brought.with("allow_plaintext_backup", true));
        let named = self.name("brought").with("aad", bytes(&aad));
        let sealed = self.asks(O::EncryptAesGcm, named.clone().with("plaintext", bytes(&plaintext)));
        let sealed = ["iv", "ciphertext", "tag"]
            .iter()
            .fold(named, |args, field| args.with(*field, bytes(&decoded(&sealed[*field]))));
        self.asks(O::DecryptAesGcm, sealed);
        let out = self.name("brought").with("format", text("raw"));
        self.asks(O::ExportKey, out);
    }

    fn ends_keys(&mut self) {
        let name = self.name("asleep");
        self.asks(O::DisableKey, name.clone());
        self.asks(O::DestroyKey, name.clone().with("delay", text("30d")));
        self.asks(O::CancelDestroyKey, name.clone());
        self.asks(O::DestroyKey, name);
    }

    fn keeps_entries(&mut self) {
        let id = String::from_utf8(self.secret("an entry's identifier")).unwrap();
        let secret = self.secret("an entry's private half");
        let id = args().with("id", text(id));
        let halves = id.clone().with("public_key", bytes(b"public")).with("private_key", bytes(&secret));
        self.asks(O::PutEntry, halves);
        self.asks(O::GetEntry, id.clone().with("private", true));
        self.asks(O::ListEntries, args());
        self.asks(O::DeleteEntry, id);
    }

    fn keeps_slots(&mut self) {
        let (so_pin, pin) = (self.secret("so"), self.secret("pin"));
        let material =
            [self.prefix.as_bytes(), b"-----slot's-material-is-secret-----"].concat()[..32].to_vec();
        self.log.hide("a slot's material", &material);
        let slot = args().with("token", text(self.named("slot")));
        self.asks(O::InitSlot, slot.clone().with("so_pin", bytes(&so_pin)).with("pin", bytes(&pin)));
        self.asks(O::ListSlots, args());
        self.asks(O::UnlockSlot, slot.clone().with("so_pin", bytes(&so_pin)).with("pin", bytes(&pin)));
        let named = args().with("token", text("default")).with("pin", bytes(&pin));
        self.asks(O::SetSlotPin, named.clone());
        let object =
            named.clone().with("label", text(self.named("object"))).with("id", bytes(self.prefix.as_bytes()));
        let private = object.with("kind", text("ed25519")).with("format", text("pkcs8"));
        self.asks(O::ImportToSlot, private.with("material", bytes(&[&ED25519[..], &material].concat())));
        let object = named.with("label", text(self.named("object"))).with("what", text("public-key"));
        self.asks(O::ExportFromSlot, object);
        self.asks(O::DeleteSlot, slot);
    }

    fn keeps_credentials(&mut self) {
        let made = args().with("capabilities", vec![text("read")]).with("lifetime", text("30d"));
        let made = self.asks(O::CreateCredential, made.with("renewable", true));
        self.hide_token(&made);
        let id = args().with("id", text(made["credential"]["id"].as_str().unwrap()));
        self.asks(O::ListCredentials, args());
        self.asks(O::ShowCredential, id.clone());
        self.asks(O::RenewCredential, id.clone());
        self.asks(O::RevokeCredential, id);
    }

    fn keeps_policies(&mut self) {
        let rule = text("path \"kms/keys/nobodys\" { capabilities = [\"read\"] }");
        let name = self.name("policy");
        self.asks(O::PutPolicy, name.clone().with("text", rule));
        self.asks(O::GetPolicy, name.clone());
        self.asks(O::ListPolicies, args());
        self.asks(
            O::ExplainPolicy,
            args().with("capability", text("read")).with("path", text("kms/keys/nobodys")),
        );
        let role = text("policies = [\"all\"]\ncertificate {\n  subject = \"CN=nobody\"\n}\n");
        self.asks(O::PutRole, name.clone().with("text", role));
        self.asks(O::GetRole, name.clone());
        self.asks(O::ListRoles, args());
        self.asks(O::DeleteRole, name.clone());
        self.asks(O::DeletePolicy, name);
    }

    fn keeps_approvals(&mut self, others: &mut Others<'_>) {
        let id = |id: &str| args().with("id", text(id));
        for operation in [O::ApproveRequest, O::DenyRequest] {
            let guarded = self.named(&format!("guarded-{}", operation as u16));
            let request = (others.wait_for)(&guarded);
            self.asks(O::ShowApproval, id(&request));
            self.asks(operation, id(&request));
        }
        let own = self.named("guarded-own");
        let kind = text("ed25519");
        self.asks(O::CreateKey, args().with("name", text(own.clone())).with("kind", kind));
        self.asks(O::DisableKey, args().with("name", text(own.clone())));
        let line = self.is_refused(O::DestroyKey, args().with("name", text(own)), "approval_required");
        self.asks(O::CancelRequest, id(line["approval"].as_str().unwrap()));
        self.asks(O::ListApprovals, args());
    }

    fn keeps_tenants(&mut self) {
        let name = self.name("tenant");
        let made = self.asks(O::CreateTenant, name.clone());
        self.hide_token(&made);
        self.asks(O::ListTenants, args());
        for operation in [O::ShowTenant, O::DisableTenant, O::EnableTenant] {
            self.asks(operation, name.clone());
        }
        self.asks(O::RekeyTenant, args().with("name", text("default")));
        self.asks(O::LimitTenant, name.clone().with("max_keys", 7u32));
        self.asks(O::DeleteTenant, name.with("force", true));
    }

    fn keeps_roots(&mut self, root: &[u8]) {
        let passphrase = self.secret("a passphrase");
        let new = args().with("kind", text("passphrase")).with("secret", bytes(&passphrase));
        self.asks(O::ListRoots, args());
        self.asks(O::AddRoot, new.clone());
        self.asks(O::TestRoot, new.clone());
        self.asks(O::RotateRoot, new.with("slot", text("passphrase")));
        self.asks(O::RemoveRoot, args().with("slot", text("passphrase")));
        let kept =
            args().with("slot", text("keyfile")).with("kind", text("keyfile")).with("secret", bytes(root));
        self.asks(
            O::RotateRootKey,
            args().with("keep", vec![Value::Map(kept)]).with("drop", Vec::<Value<'_>>::new()),
        );
    }

    fn keeps_the_store(&mut self, root: &[u8]) {
        let made = self.asks(O::CreateBackup, args().with("slot", text("keyfile")));
        let backup = args().with("backup", text(made["backup"].as_str().unwrap()));
        self.asks(O::ReadBackup, backup.with("offset", 0u32));
        self.asks(O::SearchAudit, args());
        self.asks(O::VerifyAudit, args());
        self.asks(O::Status, args());
        let credential = args().with("kind", text("keyfile")).with("secret", bytes(root));
        let made = self.asks(O::OperatorToken, credential.clone());
        self.hide_token(&made);
        if !self.batched {
            self.asks(O::SealStore, args());
            self.asks(O::Unseal, credential);
        }
    }
}
