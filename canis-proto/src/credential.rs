//! Requests and answers about credentials: bearer tokens, and client certificates that stand for a caller. (A *token* of
//! PKCS#11 is something else, see `slot`.)

use crate::answer::answer;
use crate::message::request;
use crate::value::Value;
use crate::{Capabilities, Capability, Interval};
use std::borrow::Cow;
use zeroize::Zeroize;

/// The longest name of a credential, in bytes.
pub const MAX_CREDENTIAL_NAME: usize = 255;

request! {
    /// Makes a credential for a tenant: a bearer token, or what a client certificate stands for.
    CreateCredential => CredentialMade {
        /// The tenant's label; the caller's own tenant if empty.
        tenant: Cow<'a, str>, default, |v| v.as_ref();
        /// What it may do; nothing that the caller may not.
        capabilities: Capabilities, capabilities, |v| names(*v);
        /// A name for people.
        name: Cow<'a, str>, default, |v| v.as_ref();
        /// When it ends.
        lifetime: Interval, interval, |v| v.to_string();
        /// The client certificate, PEM or DER; a bearer token is drawn if there is none.
        certificate: Cow<'a, [u8]>, default, |v| v.as_ref();
    }
}

request! {
    /// Lists a tenant's credentials.
    ListCredentials => CredentialList {
        /// The tenant's label; the caller's own tenant if empty.
        tenant: Cow<'a, str>, default, |v| v.as_ref();
    }
}

request! {
    /// Takes a credential away; connections that use it are refused from the next request on.
    RevokeCredential => CredentialRevoked {
        /// Its id.
        id: Cow<'a, str>, required, |v| v.as_ref();
    }
}

answer! {
    /// A credential that was made. Its token is wiped when dropped.
    CredentialMade {
        /// What is known of it from now on.
        credential: CredentialInfo, credential, |v| v.to_map();
        /// The bearer token, shown this once; none for a certificate.
        token: Option<String>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
    }
}

impl Drop for CredentialMade {
    fn drop(&mut self) {
        self.token.zeroize();
    }
}

answer! {
    /// What is known of a credential. Times are microseconds since 1970-01-01 UTC.
    CredentialInfo {
        /// Its id.
        id: String, required, |v| v.as_str();
        /// `token` or `certificate`.
        kind: String, required, |v| v.as_str();
        /// The name.
        name: String, required, |v| v.as_str();
        /// What it may do.
        capabilities: Capabilities, capabilities, |v| names(*v);
        /// When it was made.
        created_at: i64, required, |v| *v;
        /// When it ends, if it does.
        expires_at: Option<i64>, optional, |v| v.map_or(Value::Null, Value::from);
        /// Of a certificate: SHA-256 of its SubjectPublicKeyInfo.
        spki_sha256: Option<Vec<u8>>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
    }
}

answer! {
    /// The credentials of a tenant.
    CredentialList {
        /// The oldest first.
        credentials: Vec<CredentialInfo>, credentials, |v| Value::Array(v.iter().map(|c| Value::Map(c.to_map())).collect());
    }
}

answer! {
    /// The result of `credential.revoke`.
    CredentialRevoked {
        /// The credential's id.
        id: String, required, |v| v.as_str();
    }
}

fn names(capabilities: Capabilities) -> Value<'static> {
    let granted = Capability::ALL.into_iter().filter(|capability| capabilities.allows(*capability));
    Value::Array(granted.map(|capability| Value::from(capability.name())).collect())
}
