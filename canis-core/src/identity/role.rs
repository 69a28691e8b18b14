//! What a role says, and whether it is about somebody.

use super::glob::Glob;
use super::peer::{CertificateNames, UnixPeer};
use crate::jwt::{Claims, value_texts};
use canis_proto::Capabilities;

/// A role: whom it is about, and what they get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    /// The names of the policies whose rules hold for them.
    pub(crate) policies: Vec<String>,
    /// What they may do on every path that no rule denies.
    pub(crate) capabilities: Capabilities,
    /// Whom it is about: those of each of these.
    pub(crate) bindings: Vec<Binding>,
}

/// Who somebody is seen to be.
pub(crate) enum Seen<'a> {
    /// By the certificate that the handshake has shown to be theirs.
    Certificate(&'a CertificateNames),
    /// By what the kernel says of the process at the other end.
    Unix(&'a UnixPeer),
    /// By a token whose signature, time and issuer were found right.
    Jwt(&'a Claims),
}

/// One block of a role. All that stands in it must hold; of a list, one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// Bearers of client certificates.
    Certificate(OfCertificate),
    /// Processes of this host.
    Unix(OfUnix),
    /// Bearers of JWTs.
    Jwt(OfJwt),
    /// PKCS#11 applications at the tenant's token: it narrows what they may.
    Pin,
}

/// Which certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OfCertificate {
    pub(super) subject: Vec<Glob>,
    pub(super) issuer: Vec<Glob>,
    pub(super) uri: Vec<Glob>,
    pub(super) dns: Vec<Glob>,
    pub(super) sha256: Vec<[u8; 32]>,
}

/// Which users of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OfUnix {
    pub(super) uid: Vec<u32>,
    pub(super) gid: Vec<u32>,
    pub(super) user: Vec<Glob>,
}

/// Which JWTs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OfJwt {
    pub(super) issuer: Vec<String>,
    pub(super) audience: Vec<String>,
    pub(super) subject: Vec<Glob>,
    pub(super) claims: Vec<(String, Vec<Glob>)>,
}

impl Role {
    /// Whether it is about whoever is seen.
    pub(crate) fn fits(&self, seen: &Seen<'_>) -> bool {
        self.bindings.iter().any(|binding| match (binding, seen) {
            (Binding::Certificate(wanted), Seen::Certificate(names)) => wanted.fits(names),
            (Binding::Unix(wanted), Seen::Unix(peer)) => wanted.fits(peer),
            (Binding::Jwt(wanted), Seen::Jwt(claims)) => wanted.fits(claims),
            _ => false,
        })
    }

    /// Whether it narrows PKCS#11 applications.
    pub(crate) fn is_of_pins(&self) -> bool {
        self.bindings.contains(&Binding::Pin)
    }

    /// Whether it lets somebody in.
    pub(crate) fn lets_in(&self) -> bool {
        self.bindings.iter().any(|binding| *binding != Binding::Pin)
    }
}

impl Binding {
    /// What its block is called.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Binding::Certificate(_) => "certificate",
            Binding::Unix(_) => "unix",
            Binding::Jwt(_) => "jwt",
            Binding::Pin => "pin",
        }
    }
}

impl OfCertificate {
    fn fits(&self, names: &CertificateNames) -> bool {
        holds(&self.subject, |glob| glob.matches(&names.subject))
            && holds(&self.issuer, |glob| glob.matches(&names.issuer))
            && holds(&self.uri, |glob| names.uris.iter().any(|uri| glob.matches(uri)))
            && holds(&self.dns, |glob| names.dns.iter().any(|name| glob.matches(name)))
            && holds(&self.sha256, |wanted| *wanted == names.sha256)
    }
}

impl OfUnix {
    fn fits(&self, peer: &UnixPeer) -> bool {
        holds(&self.uid, |uid| *uid == peer.uid)
            && holds(&self.gid, |gid| *gid == peer.gid)
            && holds(&self.user, |glob| peer.user.as_deref().is_some_and(|user| glob.matches(user)))
    }
}

impl OfJwt {
    fn fits(&self, claims: &Claims) -> bool {
        let claim = |(name, wanted): &(String, Vec<Glob>)| {
            let told = value_texts(claims.other(name));
            told.iter().any(|text| wanted.iter().any(|glob| glob.matches(text)))
        };
        self.issuer.contains(&claims.issuer)
            && self.audience.iter().any(|audience| claims.audience.contains(audience))
            && holds(&self.subject, |glob| glob.matches(&claims.subject))
            && self.claims.iter().all(claim)
    }
}

/// Whether one of what is wanted is so, if anything is wanted.
fn holds<T>(wanted: &[T], is: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(is)
}
