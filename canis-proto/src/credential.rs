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
        /// The names of policies whose rules hold for it; what they deny beats the capabilities.
        policies: Vec<Cow<'a, str>>, some_texts, |v| texts(v);
        /// The networks that it is good from, as policies write them; from anywhere if there are none.
        networks: Vec<Cow<'a, str>>, some_texts, |v| texts(v);
        /// How many connections it opens; as many as one likes if 0.
        uses: u32, default, |v| *v;
        /// The client certificate, PEM or DER, that must be shown beside the token.
        bound_to: Cow<'a, [u8]>, default, |v| v.as_ref();
        /// Whether it can be renewed, each time for its lifetime.
        renewable: bool, default, |v| *v;
    }
}

request! {
    /// Lists a tenant's credentials.
    ListCredentials => CredentialList {
        /// The tenant's label; the caller's own tenant if empty.
        tenant: Cow<'a, str>, default, |v| v.as_ref();
    }
}

impl CreateCredential<'_> {
    /// A bearer token of the caller's own tenant with these capabilities.
    #[must_use]
    pub fn new(capabilities: Capabilities) -> Self {
        CreateCredential {
            tenant: "".into(),
            capabilities,
            name: "".into(),
            lifetime: Interval::default(),
            certificate: (&b""[..]).into(),
            policies: Vec::new(),
            networks: Vec::new(),
            uses: 0,
            bound_to: (&b""[..]).into(),
            renewable: false,
        }
    }
}

request! {
    /// Asks what is known of a credential.
    ShowCredential => CredentialInfo {
        /// Its id; the caller's own credential if empty.
        id: Cow<'a, str>, default, |v| v.as_ref();
    }
}

request! {
    /// Gives a renewable credential its lifetime once more, from now on.
    RenewCredential => CredentialInfo {
        /// Its id; the caller's own credential if empty.
        id: Cow<'a, str>, default, |v| v.as_ref();
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
        /// The names of its policies.
        policies: Vec<String>, some_strings, |v| texts(v);
        /// The networks that it is good from; from anywhere if there are none.
        networks: Vec<String>, some_strings, |v| texts(v);
        /// How many more connections it opens, if that is limited.
        uses_left: Option<u32>, optional, |v| v.map_or(Value::Null, Value::from);
        /// SHA-256 of the SubjectPublicKeyInfo of the certificate that must be shown beside it.
        bound_to: Option<Vec<u8>>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
        /// Whether it can be renewed.
        renewable: bool, default, |v| *v;
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

fn texts<T: AsRef<str>>(texts: &[T]) -> Value<'_> {
    Value::Array(texts.iter().map(|text| Value::from(text.as_ref())).collect())
}

fn names(capabilities: Capabilities) -> Value<'static> {
    let granted = Capability::ALL.into_iter().filter(|capability| capabilities.allows(*capability));
    Value::Array(granted.map(|capability| Value::from(capability.name())).collect())
}
