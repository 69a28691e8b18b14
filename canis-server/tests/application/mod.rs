//! A server whose tokens have PINs, and PKCS#11 applications at it that speak CANISP.
#![allow(dead_code)] // Each test file uses its own part of it.

use crate::harness::{Deployment, Server};
use canis_client::{Client, Config};
use canis_core::crypto::SignScheme;
use canis_core::object::{Class, Content, GenerateObjects, KeyFacts, NamedKey, SignNamed, SignWith, Used};
use canis_core::secret::SecretBytes;
use canis_core::token::{InitToken, ListTokens, Login, Role, ShowLogin};
use canis_core::wire::AtToken;
use canis_proto::credential::CreateCredential;
use canis_proto::message::{WireAnswer, WireRequest};
use canis_proto::slot::SetSlotPin;
use canis_proto::{Capabilities, Capability, ErrorCode, Id, KeyType, Result, Usage};
use zeroize::Zeroizing;

pub(crate) const USER: &[u8] = b"user-pin";
pub(crate) const SO: &[u8] = b"so-pin";
/// CKM_ECDSA.
pub(crate) const ECDSA: u64 = 0x1041;
/// CKM_ECDSA_SHA256.
pub(crate) const ECDSA_SHA256: u64 = 0x1044;
/// CKM_AES_GCM.
pub(crate) const AES_GCM: u64 = 0x1087;
/// CKM_AES_ECB.
pub(crate) const AES_ECB: u64 = 0x1081;
/// CKA_ALLOWED_MECHANISMS.
pub(crate) const ALLOWED_MECHANISMS: u64 = 0x4000_0600;

/// A server whose token `default` has a user PIN, and a second token that no bearer sees.
pub(crate) struct Site {
    pub(crate) deployment: Deployment,
    pub(crate) server: Server,
    /// A bearer that may only look and verify.
    pub(crate) limited: String,
    pub(crate) limited_id: String,
    pub(crate) default: Id,
    pub(crate) other: Id,
}

impl Site {
    pub(crate) fn new() -> Self {
        let deployment = Deployment::with_keyfile();
        let server = deployment.start();
        let mut client = deployment.client(&server);
        let limited = CreateCredential {
            name: "limited".into(),
            ..CreateCredential::new(Capabilities::NONE.with(Capability::Read))
        };
        let limited = client.call(&limited).unwrap();
        client.call(&SetSlotPin { token: "default".into(), pin: USER.into() }).map(drop).unwrap();
        let (limited, limited_id) = (limited.token.clone().unwrap(), limited.credential.id.clone());
        let mut site = Site { deployment, server, limited, limited_id, default: Id::STORE, other: Id::STORE };
        let mut local = site.local(1);
        site.default = local.call(&ListTokens).unwrap()[0].id;
        site.other = local.call(&InitToken { slot: 7, label: "other", so_pin: secret(SO).into() }).unwrap();
        site
    }

    pub(crate) fn config(&self, token: &str, application: u8) -> Config {
        let mut config = self.deployment.config(&self.server);
        config.token = Some(Zeroizing::new(token.to_owned()));
        config.application = Some(Zeroizing::new([application; 32]));
        config
    }

    /// A connection of an application of the bearer who may do everything.
    pub(crate) fn host(&self, application: u8) -> Client {
        Client::connect(&self.config(&self.deployment.token, application)).unwrap()
    }

    /// The same of the server's own user, by the socket.
    pub(crate) fn local(&self, application: u8) -> Client {
        let address = format!("unix:{}", self.deployment.data().display());
        let mut config = Config::new(address, Vec::new(), "");
        config.application = Some(Zeroizing::new([application; 32]));
        Client::connect(&config).unwrap()
    }

    /// A host whose user is logged in.
    pub(crate) fn user(&self, application: u8) -> Client {
        let mut host = self.host(application);
        self.log_in(&mut host, USER).unwrap();
        host
    }

    pub(crate) fn at<'a, R>(&self, client: &mut Client, request: R) -> Result<R::Answer>
    where
        R: WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        client.call(&AtToken { token: self.default, request })
    }

    pub(crate) fn log_in(&self, client: &mut Client, pin: &[u8]) -> Result<()> {
        self.at(client, Login { role: Role::User, pin: secret(pin).into() })
    }

    pub(crate) fn role(&self, client: &mut Client) -> Option<Role> {
        self.at(client, ShowLogin).unwrap().role
    }

    /// A key pair for ECDSA.
    pub(crate) fn pair(&self, client: &mut Client, session: Option<u64>, always_authenticate: bool) -> Id {
        let mut private = content(Class::PrivateKey, KeyType::EcdsaP256);
        private.key.as_mut().unwrap().always_authenticate = always_authenticate;
        let public = Some(content(Class::PublicKey, KeyType::EcdsaP256));
        let pair = GenerateObjects { kind: KeyType::EcdsaP256, len: 0, session, secret: private, public };
        self.at(client, pair).unwrap().0
    }

    pub(crate) fn sign(&self, client: &mut Client, key: NamedKey) -> Result<Used> {
        self.at(client, SignNamed { key, scheme: SignWith::Pair(SignScheme::Ecdsa), input: &[7; 32] })
    }
}

pub(crate) fn secret(bytes: &[u8]) -> SecretBytes {
    SecretBytes::copied_from(bytes)
}

pub(crate) fn content(class: Class, kind: KeyType) -> Content {
    Content::new(class, Some(KeyFacts::new(class, kind, Vec::new())))
}

pub(crate) fn note(bytes: usize) -> Content {
    Content { attributes: vec![(0x11, vec![7; bytes])], ..Content::new(Class::Data, None) }
}

pub(crate) fn to_sign(object: Id, opening: Option<u64>) -> NamedKey {
    NamedKey { object, usage: Usage::SIGN, mechanism: ECDSA, opening }
}

pub(crate) fn code<T>(result: Result<T>) -> ErrorCode {
    result.map(drop).unwrap_err().code
}
