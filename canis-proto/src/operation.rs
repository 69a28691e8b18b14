//! The one table of operations. Every door, every policy decision and every audit line takes its words from here.

use crate::capability::Capability;

/// How long an operation may take; the server decides by it where a call runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Microseconds once the key is in memory; runs where the request was read.
    Short,
    /// A write to the store, a private RSA operation, a key generation, an Argon2: runs on the bounded pool.
    Long,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which operation.
    pub id: OperationId,
    /// Its name at every door.
    pub name: &'static str,
    /// What the caller must be granted; `None` for what anybody connected may ask.
    pub capability: Option<Capability>,
    /// How long it may take.
    pub cost: Cost,
    /// Whether CANISP carries it. The others are asked by the PKCS#11 module in its own process.
    pub wire: bool,
}

macro_rules! operations {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $name:literal, $capability:expr, $cost:ident, $wire:literal;)+) => {
        /// Every operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum OperationId { $($(#[doc = $doc])+ $variant = $number,)+ }

        /// The table.
        pub const TABLE: &[Row] = &[$(Row {
            id: OperationId::$variant,
            name: $name,
            capability: $capability,
            cost: Cost::$cost,
            wire: $wire,
        },)+];

        impl OperationId {
            /// The operation's row.
            #[must_use]
            pub const fn row(self) -> Row {
                match self { $(OperationId::$variant => Row {
                    id: self, name: $name, capability: $capability, cost: Cost::$cost, wire: $wire,
                },)+ }
            }

            /// The operation of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<OperationId> {
                match name { $($name => Some(OperationId::$variant),)+ _ => None }
            }
        }
    };
}

use Capability as C;
operations! {
    /// The state of server and store.
    Status = 1, "status", None, Short, true;
    /// Make a key.
    CreateKey = 2, "key.create", Some(C::Create), Long, true;
    /// List keys.
    ListKeys = 3, "key.list", Some(C::List), Long, true;
    /// A key's metadata.
    ShowKey = 4, "key.show", Some(C::Read), Long, true;
    /// A version's public key.
    PublicKey = 5, "key.public", Some(C::Read), Long, true;
    /// Encrypt.
    Encrypt = 6, "encrypt", Some(C::Encrypt), Short, true;
    /// Decrypt.
    Decrypt = 7, "decrypt", Some(C::Decrypt), Short, true;
    /// Sign.
    Sign = 8, "sign", Some(C::Sign), Short, true;
    /// Verify.
    Verify = 9, "verify", Some(C::Verify), Short, true;
    /// Encrypt ciphertexts anew under the current version. Also needs `encrypt`.
    Rewrap = 90, "rewrap", Some(C::Decrypt), Long, true;
    /// Make a data key.
    MakeDataKey = 91, "datakey", Some(C::Encrypt), Short, true;
    /// Compute a MAC.
    Mac = 92, "mac", Some(C::Sign), Short, true;
    /// Check a MAC.
    VerifyMac = 93, "verify-mac", Some(C::Verify), Short, true;
    /// Derive bytes from a key.
    Derive = 94, "derive", Some(C::Decrypt), Short, true;
    /// Random bytes.
    Random = 95, "random", Some(C::Read), Short, true;
    /// Hash data.
    HashData = 96, "hash", Some(C::Read), Short, true;
    /// Encrypt by AES-GCM as others do, with an imported key.
    EncryptAesGcm = 97, "aes-gcm.encrypt", Some(C::Encrypt), Long, true;
    /// Decrypt what others have encrypted by AES-GCM, with an imported key.
    DecryptAesGcm = 98, "aes-gcm.decrypt", Some(C::Decrypt), Long, true;
    /// Make a secret, and the ciphertext by which the key's holder comes to it too.
    Encapsulate = 202, "encapsulate", Some(C::Encrypt), Short, true;
    /// Give the secret that a ciphertext holds.
    Decapsulate = 203, "decapsulate", Some(C::Decrypt), Short, true;
    /// Change a key's configuration.
    UpdateKey = 80, "key.update", Some(C::Update), Long, true;
    /// Make a created key usable.
    ActivateKey = 81, "key.activate", Some(C::Update), Long, true;
    /// Let a key decrypt and verify only.
    DisableKey = 82, "key.disable", Some(C::Delete), Long, true;
    /// Make a disabled key usable again.
    EnableKey = 83, "key.enable", Some(C::Update), Long, true;
    /// Destroy a disabled key, now or later.
    DestroyKey = 84, "key.destroy", Some(C::Delete), Long, true;
    /// Take a planned destruction back.
    CancelDestroyKey = 85, "key.cancel-destroy", Some(C::Delete), Long, true;
    /// Give a key a new version.
    RotateKey = 86, "key.rotate", Some(C::Rotate), Long, true;
    /// Do what is due: rotations and planned destructions; asked by the server's own timer.
    RunDue = 87, "key.run-due", Some(C::Admin), Long, false;
    /// The public key under which the tenant's customers wrap keys; made when it is first asked for.
    WrappingKey = 100, "key.wrapping-key", Some(C::Import), Long, true;
    /// Bring a key in, wrapped or in plain.
    ImportKey = 101, "key.import", Some(C::Import), Long, true;
    /// Take a key out, wrapped or in plain.
    ExportKey = 102, "key.export", Some(C::Export), Long, true;
    /// Write an entry of the key-value store. Also needs `update` to replace one.
    PutEntry = 120, "kv.put", Some(C::Import), Long, true;
    /// Read an entry. Also needs `export` for its private half.
    GetEntry = 121, "kv.get", Some(C::Read), Long, true;
    /// List entries.
    ListEntries = 122, "kv.list", Some(C::List), Long, true;
    /// Delete an entry.
    DeleteEntry = 123, "kv.delete", Some(C::Delete), Long, true;
    /// Run many operations. Each needs what it needs alone.
    Batch = 124, "batch", None, Long, true;
    /// The slots and their tokens.
    ListSlots = 110, "slot.list", Some(C::Admin), Long, true;
    /// Make a token in the empty slot.
    InitSlot = 111, "slot.init", Some(C::Admin), Long, true;
    /// Set a token's user PIN as who decides over the store.
    SetSlotPin = 112, "slot.set-pin", Some(C::Admin), Long, true;
    /// Set a token's user PIN as its security officer.
    UnlockSlot = 113, "slot.unlock", Some(C::Admin), Long, true;
    /// Bring a key and a certificate into a token.
    ImportToSlot = 114, "slot.import", Some(C::Admin), Long, true;
    /// Give a public key or a certificate of a token.
    ExportFromSlot = 115, "slot.export", Some(C::Admin), Long, true;
    /// Remove a token with everything on it.
    DeleteSlot = 116, "slot.delete", Some(C::Admin), Long, true;
    /// Make a bearer token, or bind a client certificate.
    CreateCredential = 140, "credential.create", Some(C::Admin), Long, true;
    /// The tenant's tokens and certificates.
    ListCredentials = 141, "credential.list", Some(C::Admin), Long, true;
    /// Take a token or a certificate's rights away; another's than one's own takes `admin`.
    RevokeCredential = 142, "credential.revoke", None, Long, true;
    /// What is known of a credential; another's than one's own takes `admin`.
    ShowCredential = 199, "credential.show", None, Long, true;
    /// Give a renewable credential its lifetime once more; another's than one's own takes `admin`.
    RenewCredential = 185, "credential.renew", None, Long, true;
    /// Write a policy.
    PutPolicy = 180, "policy.put", Some(C::Admin), Long, true;
    /// Read a policy.
    GetPolicy = 181, "policy.get", Some(C::Admin), Long, true;
    /// The tenant's policies.
    ListPolicies = 182, "policy.list", Some(C::Admin), Long, true;
    /// Delete a policy.
    DeletePolicy = 183, "policy.delete", Some(C::Admin), Long, true;
    /// Ask what policies decide, and by which rule; about another's than one's own credential it takes `admin`.
    ExplainPolicy = 184, "policy.explain", None, Long, true;
    /// Write a role.
    PutRole = 186, "role.put", Some(C::Admin), Long, true;
    /// Read a role.
    GetRole = 187, "role.get", Some(C::Admin), Long, true;
    /// The tenant's roles.
    ListRoles = 188, "role.list", Some(C::Admin), Long, true;
    /// Delete a role.
    DeleteRole = 189, "role.delete", Some(C::Admin), Long, true;
    /// The root slots.
    ListRoots = 130, "root.list", Some(C::Admin), Long, true;
    /// Add a root slot.
    AddRoot = 131, "root.add", Some(C::Admin), Long, true;
    /// Remove a root slot.
    RemoveRoot = 132, "root.remove", Some(C::Admin), Long, true;
    /// Try a credential on the root slots.
    TestRoot = 133, "root.test", Some(C::Admin), Long, true;
    /// Wrap a slot's root key anew.
    RotateRoot = 134, "root.rotate", Some(C::Admin), Long, true;
    /// Give the store a new root key.
    RotateRootKey = 135, "root.rotate-key", Some(C::Admin), Long, true;
    /// Bring a credential to a sealed store.
    Unseal = 150, "unseal", None, Long, true;
    /// Seal the store: forget every key.
    SealStore = 151, "seal", Some(C::Admin), Long, true;
    /// Make a token for who has lost the first one, by a root's credential.
    OperatorToken = 152, "operator.token", None, Long, true;
    /// Make a tenant, and a first token for it.
    CreateTenant = 155, "tenant.create", Some(C::Admin), Long, true;
    /// The tenants there are.
    ListTenants = 156, "tenant.list", Some(C::Admin), Long, true;
    /// What is known of a tenant.
    ShowTenant = 157, "tenant.show", Some(C::Admin), Long, true;
    /// Say how much a tenant may have and ask for.
    LimitTenant = 158, "tenant.limits", Some(C::Admin), Long, true;
    /// Let nobody of a tenant do anything.
    DisableTenant = 159, "tenant.disable", Some(C::Admin), Long, true;
    /// Let a disabled tenant be used again.
    EnableTenant = 160, "tenant.enable", Some(C::Admin), Long, true;
    /// Destroy a tenant's key, and with it all that the tenant has.
    DeleteTenant = 161, "tenant.delete", Some(C::Admin), Long, true;
    /// Give a tenant a new key.
    RekeyTenant = 220, "tenant.rekey", Some(C::Admin), Long, true;
    /// Whether the audit log is what was written.
    VerifyAudit = 200, "audit.verify", Some(C::Admin), Long, true;
    /// Lines of the audit log.
    SearchAudit = 201, "audit.search", Some(C::Admin), Long, true;
    /// The requests that wait for approvals, and those that are over: one's own, and those that one may approve.
    ListApprovals = 210, "approval.list", None, Long, true;
    /// A request with all that is to be done, for who asked or may approve.
    ShowApproval = 211, "approval.show", None, Long, true;
    /// Approve a request of somebody else; needs `approve` on what it is about.
    ApproveRequest = 212, "approval.approve", None, Long, true;
    /// End a request of somebody else; needs `approve` on what it is about.
    DenyRequest = 213, "approval.deny", None, Long, true;
    /// Take one's own request back.
    CancelRequest = 214, "approval.cancel", None, Long, true;
    /// How server and store are doing, in numbers; asked at `/metrics`.
    ReadMetrics = 240, "metrics.read", Some(C::Read), Long, false;
    /// Open every row and name those that were changed by other hands; asked on the store's own host.
    VerifyStore = 31, "store.verify", Some(C::Admin), Long, false;
    /// Take the store's rows as they stand for right; asked on the store's own host.
    AcceptStore = 170, "store.accept", Some(C::Admin), Long, false;
    /// Make a backup of the store.
    CreateBackup = 171, "backup.create", Some(C::Admin), Long, true;
    /// Read a piece of it.
    ReadBackup = 172, "backup.read", Some(C::Admin), Long, true;
    /// Bring a backup into a store that is there; asked on the store's own host.
    RestoreBackup = 173, "backup.restore", Some(C::Admin), Long, false;

    /// Make a token, or wipe one (C_InitToken).
    InitToken = 32, "token.init", Some(C::Admin), Long, true;
    /// Remove a token with everything on it; asked on the store's own host.
    DeleteToken = 52, "token.delete", Some(C::Admin), Long, false;
    /// Set the user PIN as security officer (C_InitPIN).
    InitUserPin = 33, "token.init-pin", None, Long, true;
    /// Log in with a PIN (C_Login).
    Login = 34, "token.login", None, Long, true;
    /// Change one's own PIN (C_SetPIN).
    ChangePin = 47, "token.change-pin", None, Long, true;
    /// Log out (C_Logout).
    Logout = 48, "token.logout", None, Short, true;
    /// The tokens there are (C_GetSlotList, C_GetTokenInfo).
    ListTokens = 35, "token.list", None, Long, true;
    /// Who is logged in to a token (C_GetSessionInfo).
    ShowLogin = 67, "token.role", None, Short, true;
    /// End a PKCS#11 application (C_Finalize).
    EndApplication = 68, "application.end", None, Long, true;
    /// Destroy the objects of a session (C_CloseSession).
    EndSession = 66, "object.end-session", None, Short, true;
    /// Make an object from its attributes (C_CreateObject).
    CreateObject = 36, "object.create", Some(C::Create), Long, true;
    /// Make a key or a key pair and its objects (C_GenerateKey, C_GenerateKeyPair).
    GenerateObjects = 37, "object.generate", Some(C::Create), Long, true;
    /// Find objects by label, id and class (C_FindObjects).
    FindObjects = 38, "object.find", Some(C::Read), Long, true;
    /// Read an object (C_GetAttributeValue).
    ReadObject = 39, "object.read", Some(C::Read), Long, true;
    /// Change an object's attributes (C_SetAttributeValue).
    UpdateObject = 40, "object.update", Some(C::Update), Long, true;
    /// Destroy an object (C_DestroyObject).
    DestroyObject = 41, "object.destroy", Some(C::Delete), Long, true;
    /// Open an object's key for one use (C_SignInit and its like).
    OpenKey = 46, "object.open", Some(C::Read), Long, true;
    /// Let an object's key out, wrapped by another (C_WrapKey); also needs `encrypt`.
    WrapKey = 60, "object.wrap", Some(C::Export), Long, true;
    /// Bring a wrapped key in as an object (C_UnwrapKey); also needs `decrypt`.
    UnwrapKey = 61, "object.unwrap", Some(C::Import), Long, true;
    /// Make an object's key from another one (C_DeriveKey); also needs `create`.
    DeriveKey = 62, "object.derive", Some(C::Decrypt), Long, true;
    /// Make a secret by a public key, and the object that holds it (C_EncapsulateKey); also needs `create`.
    EncapsulateKey = 204, "object.encapsulate", Some(C::Encrypt), Long, true;
    /// Make the object of a secret that was made by an object's public half (C_DecapsulateKey); also needs `create`.
    DecapsulateKey = 205, "object.decapsulate", Some(C::Decrypt), Long, true;
    /// Make an object's key from a password (C_GenerateKey by PBKDF2).
    DerivePassword = 63, "object.derive-password", Some(C::Create), Long, true;
    /// Give the PIN for one use of a key (C_Login as CKU_CONTEXT_SPECIFIC).
    ConfirmUse = 64, "object.confirm", None, Long, true;
    /// Encrypt with an object's key and the caller's mechanism.
    UseToEncrypt = 42, "object.encrypt", Some(C::Encrypt), Short, true;
    /// Decrypt with an object's key and the caller's mechanism.
    UseToDecrypt = 43, "object.decrypt", Some(C::Decrypt), Short, true;
    /// Sign with an object's key and the caller's mechanism.
    UseToSign = 44, "object.sign", Some(C::Sign), Short, true;
    /// Verify with an object's key and the caller's mechanism.
    UseToVerify = 45, "object.verify", Some(C::Verify), Short, true;
    /// Verify a signature and take out of it what it signs (C_VerifyRecover).
    UseToRecover = 65, "object.recover", Some(C::Verify), Short, true;
    /// Bring a private or secret key in from its parts (C_CreateObject).
    ImportObject = 49, "object.import", Some(C::Import), Long, true;
    /// Give a key's material in plain, if it may leave so (C_GetAttributeValue).
    ExportObject = 50, "object.export", Some(C::Export), Long, true;
    /// Copy an object (C_CopyObject).
    CopyObject = 51, "object.copy", Some(C::Create), Long, true;
}

/// Something that can be asked of a keeper of keys, in its own process or over CANISP.
pub trait Operation {
    /// Its row in the table.
    const ID: OperationId;
    /// What it answers.
    type Answer;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_unique_and_resolve() {
        let mut numbers = std::collections::HashSet::new();
        for row in TABLE {
            assert_eq!(OperationId::from_name(row.name), Some(row.id));
            assert_eq!(row.id.row().name, row.name);
            assert!(numbers.insert(row.id as u16));
            assert!(!(row.id.changes() && row.id.repeats()), "{}", row.name);
            assert!(!row.id.may_begin_twice() || row.id.repeats(), "{}", row.name);
        }
    }
}
