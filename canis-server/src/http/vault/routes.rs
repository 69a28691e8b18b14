//! Which method and path of Vault asks for which operations of CANIS.
//!
//! `LIST` is also `GET` with `?list=true`, `POST` also `PUT`. `{name}` stands for the name of a key, which may hold slashes
//! here; what follows it, as a hash function does in `sign`, is told apart where the row says so.

use crate::http::path::{Found, Paths};
use canis_proto::{OperationId, Result};
use std::sync::LazyLock;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    /// `GET`, `POST`, `LIST` or `DELETE`.
    pub(super) method: &'static str,
    /// The path; what stands in braces is taken from it.
    pub(super) path: &'static str,
    /// What answers it.
    pub(super) does: Does,
    /// What the core is asked for; nothing where the server answers by itself.
    pub(super) operations: &'static [OperationId],
}

macro_rules! routes {
    ($($method:literal $path:literal $does:ident [$($operation:ident)*];)+) => {
        /// What there is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Does { $($does,)+ }

        /// Every route.
        pub(super) const ROUTES: &[Route] = &[$(Route {
            method: $method,
            path: $path,
            does: Does::$does,
            operations: &[$(OperationId::$operation),*],
        },)+];
    };
}

routes! {
    "LIST" "/v1/transit/keys" ListOfKeys [ListKeys];
    "GET" "/v1/transit/keys/{name}" ReadKey [ShowKey PublicKey];
    "POST" "/v1/transit/keys/{name}" MakeKey [CreateKey ShowKey PublicKey];
    "DELETE" "/v1/transit/keys/{name}" DeleteKey [DisableKey DestroyKey];
    "POST" "/v1/transit/keys/{name}/config" ConfigureKey [UpdateKey PublicKey];
    "POST" "/v1/transit/keys/{name}/rotate" NextVersion [RotateKey ShowKey PublicKey];
    "POST" "/v1/transit/keys/{name}/import" BringKey [ImportKey];
    "POST" "/v1/transit/keys/{name}/import_version" BringVersion [ShowKey ImportKey];
    "GET" "/v1/transit/wrapping_key" KeyToWrapBy [WrappingKey];
    "GET" "/v1/transit/export/encryption-key/{name}" TakeEncryptionKey [ShowKey ExportKey];
    "GET" "/v1/transit/export/signing-key/{name}" TakeSigningKey [ShowKey ExportKey];
    "GET" "/v1/transit/export/hmac-key/{name}" TakeHmacKey [ShowKey ExportKey];
    "GET" "/v1/transit/export/public-key/{name}" TakePublicKey [ShowKey PublicKey];
    "POST" "/v1/transit/encrypt/{name}" Encryption [Encrypt];
    "POST" "/v1/transit/decrypt/{name}" Decryption [Decrypt];
    "POST" "/v1/transit/rewrap/{name}" Rewrapping [Rewrap];
    "POST" "/v1/transit/datakey/plaintext/{name}" DataKey [MakeDataKey];
    "POST" "/v1/transit/datakey/wrapped/{name}" WrappedDataKey [MakeDataKey];
    "POST" "/v1/transit/sign/{name}" Signature [Sign];
    "POST" "/v1/transit/verify/{name}" Verification [Verify VerifyMac];
    "POST" "/v1/transit/hmac/{name}" KeyedHash [Mac];
    "POST" "/v1/transit/hash" Hash [HashData];
    "POST" "/v1/transit/hash/{algorithm}" HashBy [HashData];
    "POST" "/v1/transit/random" RandomBytes [Random];
    "POST" "/v1/transit/random/{bytes}" SoManyRandomBytes [Random];
    "GET" "/v1/auth/token/lookup-self" LookUpSelf [ShowCredential];
    "POST" "/v1/auth/token/renew-self" RenewSelf [RenewCredential];
    "POST" "/v1/auth/token/revoke-self" RevokeSelf [ShowCredential RevokeCredential];
    "POST" "/v1/auth/token/create" MakeToken [ShowCredential CreateCredential];
    "POST" "/v1/auth/token/lookup-accessor" LookUpAccessor [ShowCredential];
    "POST" "/v1/auth/token/renew-accessor" RenewAccessor [RenewCredential];
    "POST" "/v1/auth/token/revoke-accessor" RevokeAccessor [RevokeCredential];
    "GET" "/v1/sys/health" Health [];
    "GET" "/v1/sys/seal-status" SealStatus [Status Unseal];
    "GET" "/v1/sys/init" Initialised [];
    "GET" "/v1/sys/leader" Leader [];
    "GET" "/v1/sys/mounts" Mounts [];
    "GET" "/v1/sys/internal/ui/mounts" MountsOfUi [];
    "GET" "/v1/sys/internal/ui/mounts/{path}" MountOfUi [];
}

/// The route of a method and path.
///
/// # Errors
/// As [`Paths::find`].
pub(super) fn find(method: &str, path: &str) -> Result<Found<Route>> {
    static PATHS: LazyLock<Paths<Route>> =
        LazyLock::new(|| Paths::new(ROUTES, |route| (route.method, route.path)));
    PATHS.find(method, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes;

    /// docs/vault.md lists every row as it stands here.
    #[test]
    fn every_route_is_documented() {
        let page = include_str!("../../../../docs/vault.md");
        for Route { method, path, operations, .. } in ROUTES {
            let names: Vec<_> = operations.iter().map(|id| format!("`{}`", id.row().name)).collect();
            let row = format!("| `{method}` | `{path}` | {} |", names.join(", "));
            assert!(page.contains(&row), "{row}");
        }
    }

    /// Nothing that stands here hides a path of CANIS' own, and everything the core is asked for can be asked by HTTP.
    #[test]
    fn both_surfaces_stand_side_by_side() {
        for route in ROUTES {
            let method = if route.method == "LIST" { "GET" } else { route.method };
            assert!(
                !routes::ROUTES.iter().any(|own| own.path == route.path && own.method == method),
                "{route:?}"
            );
            for id in route.operations {
                assert!(routes::ROUTES.iter().any(|own| own.operation == *id), "{}", id.row().name);
            }
        }
    }
}
