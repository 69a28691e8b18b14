//! A CA of clients, and clients that show its certificates.
#![allow(dead_code)] // Each test file uses its own part of it.

use crate::harness::Shared;
use canis_client::{Certificate, Config};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use time::OffsetDateTime;

/// A CA of clients.
pub(crate) struct Authority(Issuer<'static, KeyPair>, pub(crate) String);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority(Issuer::new(params, key), pem)
    }

    /// A certificate of this key for so many seconds from now on.
    pub(crate) fn sign(&self, key: &KeyPair, seconds: i64) -> Vec<u8> {
        self.certify(key, seconds).der().to_vec()
    }

    pub(crate) fn certify(&self, key: &KeyPair, seconds: i64) -> rcgen::Certificate {
        self.certify_as(key, seconds, |params| {
            params.subject_alt_names = vec![rcgen::SanType::DnsName("client.example".try_into().unwrap())];
        })
    }

    /// The same with other names.
    pub(crate) fn certify_as(
        &self,
        key: &KeyPair,
        seconds: i64,
        name: impl FnOnce(&mut CertificateParams),
    ) -> rcgen::Certificate {
        let mut params = CertificateParams::default();
        params.not_before = OffsetDateTime::now_utc() - time::Duration::DAY;
        params.not_after = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
        name(&mut params);
        params.signed_by(key, &self.0).unwrap()
    }

    /// How a client connects that has a fresh key under a certificate with these names, and no token; and the certificate.
    pub(crate) fn client(
        &self,
        shared: &Shared,
        name: impl FnOnce(&mut CertificateParams),
    ) -> (Config, rcgen::Certificate) {
        let key = KeyPair::generate().unwrap();
        let certificate = self.certify_as(&key, 3600, name);
        let folder = tempfile::tempdir().unwrap();
        let (chain, private) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        std::fs::write(&chain, certificate.pem()).unwrap();
        std::fs::write(&private, key.serialize_pem()).unwrap();
        let mut config = shared.deployment.config(&shared.server);
        config.token = None;
        let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        config.certificate = Some(Certificate::read(&text(&chain), &text(&private)).unwrap());
        (config, certificate)
    }
}
