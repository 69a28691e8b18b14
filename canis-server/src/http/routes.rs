//! Which method and path asks for which operation. `{name}` stands for one argument, which may hold slashes.

use canis_proto::OperationId;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub(crate) method: &'static str,
    /// The path; an argument's name in braces stands for its value.
    pub(crate) path: &'static str,
    /// What is asked for.
    pub(crate) operation: OperationId,
}

impl Route {
    /// Whether the other arguments stand in the query rather than in a body.
    pub(crate) fn takes_query(&self) -> bool {
        matches!(self.method, "GET" | "DELETE")
    }

    /// The status of an answer that is no error: what was made is `201 Created`.
    pub(crate) fn success(&self) -> u16 {
        use OperationId as O;
        match self.operation {
            O::CreateKey
            | O::ImportKey
            | O::CreateCredential
            | O::CreateTenant
            | O::OperatorToken
            | O::InitSlot
            | O::AddRoot => 201,
            _ => 200,
        }
    }
}

macro_rules! routes {
    ($($method:literal $path:literal $operation:ident;)+) => {
        /// Every route.
        pub(crate) const ROUTES: &[Route] =
            &[$(Route { method: $method, path: $path, operation: OperationId::$operation },)+];
    };
}

routes! {
    "GET" "/v1/kms/keys" ListKeys;
    "POST" "/v1/kms/keys/{name}" CreateKey;
    "GET" "/v1/kms/keys/{name}" ShowKey;
    "PATCH" "/v1/kms/keys/{name}" UpdateKey;
    "DELETE" "/v1/kms/keys/{name}" DestroyKey;
    "POST" "/v1/kms/keys/{name}/rotate" RotateKey;
    "POST" "/v1/kms/keys/{name}/activate" ActivateKey;
    "POST" "/v1/kms/keys/{name}/enable" EnableKey;
    "POST" "/v1/kms/keys/{name}/disable" DisableKey;
    "POST" "/v1/kms/keys/{name}/destroy" DestroyKey;
    "POST" "/v1/kms/keys/{name}/restore" CancelDestroyKey;
    "GET" "/v1/kms/keys/{name}/public" PublicKey;
    "GET" "/v1/kms/keys/{name}/export" ExportKey;
    "POST" "/v1/kms/keys/{name}/export" ExportKey;
    "POST" "/v1/kms/keys/{name}/import" ImportKey;
    "GET" "/v1/kms/wrapping-key" WrappingKey;
    "POST" "/v1/kms/encrypt/{name}" Encrypt;
    "POST" "/v1/kms/decrypt/{name}" Decrypt;
    "POST" "/v1/kms/rewrap/{name}" Rewrap;
    "POST" "/v1/kms/datakey/{name}" MakeDataKey;
    "POST" "/v1/kms/sign/{name}" Sign;
    "POST" "/v1/kms/verify/{name}" Verify;
    "POST" "/v1/kms/mac/{name}" Mac;
    "POST" "/v1/kms/verify-mac/{name}" VerifyMac;
    "POST" "/v1/kms/derive/{name}" Derive;
    "POST" "/v1/kms/encapsulate/{name}" Encapsulate;
    "POST" "/v1/kms/decapsulate/{name}" Decapsulate;
    "POST" "/v1/kms/aes-gcm/encrypt/{name}" EncryptAesGcm;
    "POST" "/v1/kms/aes-gcm/decrypt/{name}" DecryptAesGcm;
    "POST" "/v1/kms/random" Random;
    "POST" "/v1/kms/hash" HashData;
    "POST" "/v1/kms/batch" Batch;
    "GET" "/v1/kv" ListEntries;
    "GET" "/v1/kv/{id}" GetEntry;
    "PUT" "/v1/kv/{id}" PutEntry;
    "DELETE" "/v1/kv/{id}" DeleteEntry;
    "GET" "/v1/sys/status" Status;
    "POST" "/v1/sys/unseal" Unseal;
    "POST" "/v1/sys/seal" SealStore;
    "POST" "/v1/sys/operator-token" OperatorToken;
    "GET" "/v1/sys/credentials" ListCredentials;
    "POST" "/v1/sys/credentials" CreateCredential;
    "DELETE" "/v1/sys/credentials/{id}" RevokeCredential;
    "GET" "/v1/sys/credentials/{id}" ShowCredential;
    "POST" "/v1/sys/credentials/{id}/renew" RenewCredential;
    "GET" "/v1/sys/own-credential" ShowCredential;
    "POST" "/v1/sys/own-credential/renew" RenewCredential;
    "GET" "/v1/sys/policies" ListPolicies;
    "GET" "/v1/sys/policies/{name}" GetPolicy;
    "PUT" "/v1/sys/policies/{name}" PutPolicy;
    "DELETE" "/v1/sys/policies/{name}" DeletePolicy;
    "GET" "/v1/sys/roles" ListRoles;
    "GET" "/v1/sys/roles/{name}" GetRole;
    "PUT" "/v1/sys/roles/{name}" PutRole;
    "DELETE" "/v1/sys/roles/{name}" DeleteRole;
    "GET" "/v1/sys/approvals" ListApprovals;
    "GET" "/v1/sys/approvals/{id}" ShowApproval;
    "POST" "/v1/sys/approvals/{id}/approve" ApproveRequest;
    "POST" "/v1/sys/approvals/{id}/deny" DenyRequest;
    "POST" "/v1/sys/approvals/{id}/cancel" CancelRequest;
    "POST" "/v1/sys/explain" ExplainPolicy;
    "GET" "/v1/tenants" ListTenants;
    "POST" "/v1/tenants/{name}" CreateTenant;
    "GET" "/v1/tenants/{name}" ShowTenant;
    "PATCH" "/v1/tenants/{name}" LimitTenant;
    "DELETE" "/v1/tenants/{name}" DeleteTenant;
    "POST" "/v1/tenants/{name}/disable" DisableTenant;
    "POST" "/v1/tenants/{name}/enable" EnableTenant;
    "GET" "/v1/sys/audit" SearchAudit;
    "POST" "/v1/sys/audit/verify" VerifyAudit;
    "GET" "/v1/sys/roots" ListRoots;
    "POST" "/v1/sys/roots" AddRoot;
    "POST" "/v1/sys/roots/test" TestRoot;
    "POST" "/v1/sys/roots/{slot}/rotate" RotateRoot;
    "DELETE" "/v1/sys/roots/{slot}" RemoveRoot;
    "POST" "/v1/sys/root-key/rotate" RotateRootKey;
    "POST" "/v1/sys/tenants/{name}/rekey" RekeyTenant;
    "POST" "/v1/sys/backups" CreateBackup;
    "GET" "/v1/sys/backups/{backup}" ReadBackup;
    "GET" "/v1/sys/slots" ListSlots;
    "POST" "/v1/sys/slots/{token}" InitSlot;
    "DELETE" "/v1/sys/slots/{token}" DeleteSlot;
    "POST" "/v1/sys/slots/{token}/pin" SetSlotPin;
    "POST" "/v1/sys/slots/{token}/unlock" UnlockSlot;
    "POST" "/v1/sys/slots/{token}/import" ImportToSlot;
    "POST" "/v1/sys/slots/{token}/export" ExportFromSlot;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::path;
    use canis_proto::operation::TABLE;
    use canis_proto::schema::{FieldKind, arguments, described};

    /// R80: the table of operations and this door agree. Those of PKCS#11 applications are described elsewhere and are not
    /// for a door without applications.
    #[test]
    fn every_operation_has_a_route() {
        for row in TABLE {
            let routed = ROUTES.iter().any(|route| route.operation == row.id);
            assert_eq!(routed, row.wire && described(row.id).is_some(), "{}", row.name);
        }
    }

    /// docs/http.md lists every route.
    #[test]
    fn every_route_is_documented() {
        let page = include_str!("../../../docs/http.md");
        for Route { method, path, operation } in ROUTES {
            let row = format!("| `{method}` | `{path}` | `{}` |", operation.row().name);
            assert!(page.contains(&row), "{row}");
        }
    }

    /// What stands in braces is an argument of the operation that is text, and no two routes are one.
    #[test]
    fn placeholders_are_arguments() {
        for route in ROUTES {
            let named: Vec<_> = route.path.split('/').filter_map(path::placeholder).collect();
            assert!(named.len() <= 1, "{}", route.path);
            for name in named {
                let field = arguments(route.operation).iter().find(|field| field.name == name);
                let kind = field.unwrap_or_else(|| panic!("{} {name}", route.path)).kind;
                assert!(matches!(kind, FieldKind::Text), "{} {name}", route.path);
            }
            let same = ROUTES.iter().filter(|other| (other.method, other.path) == (route.method, route.path));
            assert_eq!(same.count(), 1, "{} {}", route.method, route.path);
        }
    }
}
