//! Who comes in by a role: bearers of certificates and of JWTs, and users of this host.
//!
//! Why this is safe here: who asks has proved his certificate by a handshake, his user to the kernel, or his token by its
//! issuer's signature. Only who decides over the host binds any of these to a tenant but the first, so that no tenant
//! gets hold of another's callers; and somebody whom roles of several tenants are about is nobody.

use crate::caller::{Admission, Caller};
use crate::identity::{CertificateNames, Seen, UnixPeer};
use crate::keyring::Keyring;
use crate::origin::Proof;
use canis_proto::{Error, ErrorCode, Id, Result};
use sha2::{Digest, Sha256};

/// The longest text by which the log calls somebody, in bytes.
const CALLED: usize = 256;

impl Keyring {
    /// The bearer of a JWT.
    pub(super) fn bearer_of_jwt(&self, token: &str) -> Result<Caller> {
        let refused = || Error::new(ErrorCode::Unauthenticated, "the token is unknown, expired or malformed");
        let claims = self.jwt_claims(token.trim_end()).ok_or_else(refused)?;
        let who = [claims.issuer.as_str(), claims.subject.as_str()];
        let called = format!("{} at {}", claims.subject, claims.issuer);
        let caller = self.admitted(&Seen::Jwt(&claims), Proof::Jwt, &who, &called)?.ok_or_else(refused)?;
        Ok(caller.until(Some(claims.ends())))
    }

    /// The bearer of a certificate that is not bound by its key.
    pub(super) fn bearer_by_names(&self, certificate: &[u8]) -> Result<Option<Caller>> {
        // What cannot be read in one way is nobody's name.
        let Ok(names) = CertificateNames::of(certificate) else { return Ok(None) };
        let mut who = vec![names.issuer.as_str(), names.subject.as_str()];
        who.extend(names.uris.iter().chain(&names.dns).map(String::as_str));
        self.admitted(&Seen::Certificate(&names), Proof::Certificate, &who, names.called())
    }

    /// A user of this host.
    pub(super) fn peer(&self, peer: &UnixPeer) -> Result<Caller> {
        let number = peer.uid.to_string();
        let called = peer.user.as_deref().unwrap_or(&number);
        self.admitted(&Seen::Unix(peer), Proof::Peer, &[&number], called)?.ok_or_else(|| {
            let why = "no role is about this user of the host; connect with a token, or have an administrator write one";
            Error::new(ErrorCode::Unauthenticated, why)
        })
    }

    /// Whom the roles of one tenant make of whoever is seen.
    fn admitted(&self, seen: &Seen<'_>, proof: Proof, who: &[&str], called: &str) -> Result<Option<Caller>> {
        let mut found = None;
        for tenant in self.store.tenants()? {
            let roles = self.roles_of(tenant.id)?;
            let about: Vec<_> = roles.about(seen).collect();
            let Some(rights) = self.combined(tenant.id, about.iter().copied())? else { continue };
            roles.refuse_unknown()?;
            let names: Vec<_> = about.iter().map(|kept| kept.name.as_str()).collect();
            let admission = Admission { roles: names.join(","), subject: cut(called).to_owned() };
            let identity = identity(tenant.id, proof, who);
            let standing = self.standing(tenant.id)?;
            standing.refuse_disabled()?;
            let caller =
                Caller::bearer(identity, tenant.id, rights, proof).within(&standing).admitted(admission);
            if found.replace(caller).is_some() {
                let why = "roles of several tenants are about you; their administrators have to settle that";
                return Err(Error::new(ErrorCode::Unauthenticated, why));
            }
        }
        Ok(found)
    }
}

/// Who it is among the callers of its tenant: the same for each certificate or token of the same name.
fn identity(tenant: Id, proof: Proof, who: &[&str]) -> Id {
    let mut hash = Sha256::new();
    hash.update(b"canis/v1/identity");
    hash.update(tenant.as_bytes());
    for part in [proof.name()].iter().chain(who) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    Id::from_random(id)
}

fn cut(text: &str) -> &str {
    let end =
        text.char_indices().map(|(at, one)| at + one.len_utf8()).take_while(|end| *end <= CALLED).last();
    &text[..end.unwrap_or(0)]
}
