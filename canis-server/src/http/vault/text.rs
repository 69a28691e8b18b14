//! Ciphertexts, signatures and MACs as Vault writes them, `vault:v<version>:<base64>`, and as CANIS does,
//! `canis:v1:<key>:<version>:<base64>`: the same bytes, so that either surface takes what the other has made.

use canis_proto::{Error, KeyName, Result};

/// What CANIS wrote, in Vault's form; and the version.
pub(super) fn to_vault(text: &str) -> Result<(String, u32)> {
    let mut parts = text.split(':').skip(3);
    let (version, base64) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let number = version.parse().map_err(|_| Error::internal("a text form without its version"))?;
    Ok((format!("vault:v{version}:{base64}"), number))
}

/// What Vault's form says of a key's ciphertext, in CANIS' form. Exactly three fields.
///
/// # Errors
/// `invalid_argument`, `invalid_name`.
pub(super) fn from_vault(what: &str, name: &str, text: &str) -> Result<String> {
    let refused = || Error::invalid(format!("invalid {what}: it must be vault:v<version>:<base64>"));
    let parts: Vec<&str> = text.split(':').collect();
    let ["vault", version, base64] = parts[..] else { return Err(refused()) };
    let version = version.strip_prefix('v').ok_or_else(refused)?;
    // Decimal and without a leading zero, as the core insists; what else it says would speak of another form.
    let plain =
        !version.is_empty() && !version.starts_with('0') && version.bytes().all(|b| b.is_ascii_digit());
    if !plain || base64.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return Err(refused());
    }
    Ok(format!("canis:v1:{}:{version}:{base64}", KeyName::parse(name)?))
}

/// The last field in base64url without padding (RFC 7515, section 2), as Vault writes signatures for JWS.
pub(super) fn to_url(text: &str) -> String {
    let (head, base64) = text.rsplit_once(':').unwrap_or_default();
    format!("{head}:{}", base64.trim_end_matches('=').replace('+', "-").replace('/', "_"))
}

/// The way back.
pub(super) fn from_url(text: &str) -> String {
    let (head, base64) = text.rsplit_once(':').unwrap_or(("", text));
    let padding = "=".repeat((4 - base64.len() % 4) % 4);
    format!("{head}:{}{padding}", base64.replace('-', "+").replace('_', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let (vault, version) = to_vault("canis:v1:a/b:12:AP8+Lw==").unwrap();
        assert_eq!((&*vault, version), ("vault:v12:AP8+Lw==", 12));
        assert_eq!(from_vault("ciphertext", "a/b", &vault).unwrap(), "canis:v1:a/b:12:AP8+Lw==");
        assert_eq!(to_url("vault:v1:AP8+/w=="), "vault:v1:AP8-_w");
        assert_eq!(from_url("vault:v1:AP8-_w"), "vault:v1:AP8+/w==");
    }

    /// A name or a field cannot bring a colon with it that moves the others.
    #[test]
    fn three_fields() {
        for text in [
            "",
            "vault",
            "vault:v1",
            "vault:1:AA==",
            "vault:v0:AA==",
            "vault:v01:AA==",
            "vault:v:AA==",
            "vault:v+1:AA==",
            "vault:v1:AA==:x",
            "canis:v1:a:1:AA==",
            "vault:v1:AA==\n",
            "Vault:v1:AA==",
        ] {
            assert!(from_vault("ciphertext", "a", text).is_err(), "{text:?}");
        }
        assert!(from_vault("ciphertext", "a:2", "vault:v1:AA==").is_err());
    }
}
