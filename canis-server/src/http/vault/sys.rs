//! `sys/seal-status`, `sys/leader`, and the one mount that there is.

use super::answer::Given;
use super::ask::Ask;
use canis_proto::message::Status;
use canis_proto::sealing::Unseal;
use canis_proto::{Error, ErrorCode, Result};
use serde_json::{Value as Json, json};

/// How far the store is from being open, for anybody.
pub(super) async fn seal_status(ask: &Ask<'_>) -> Result<Given> {
    let status = ask.call(&Status).await?;
    // To look at shares that were given; nothing is brought.
    let look = Unseal { kind: "".into(), secret: (&b""[..]).into(), module: "".into(), reset: false };
    let shares = match status.sealed {
        true => Some(ask.call(&look).await?),
        false => None,
    };
    let (given, threshold) = shares.map_or((0, 0), |shares| (shares.given, shares.threshold));
    Ok(Given::Bare(
        200,
        json!({"type": "shamir", "initialized": true, "sealed": status.sealed, "t": threshold, "n": threshold,
            "progress": given, "nonce": "", "version": env!("CARGO_PKG_VERSION"), "build_date": "", "migration": false,
            "cluster_name": "canis", "cluster_id": status.store, "recovery_seal": false, "storage_type": "canis"}),
    ))
}

/// There is one server, as far as Vault's programs ask.
pub(super) fn leader() -> Given {
    Given::Bare(
        200,
        json!({"ha_enabled": false, "is_self": false, "leader_address": "", "leader_cluster_address": "",
        "performance_standby": false, "performance_standby_last_remote_wal": 0}),
    )
}

fn transit() -> Json {
    json!({"type": "transit", "description": "keys of CANIS", "accessor": "transit_canis", "local": false,
        "seal_wrap": false, "external_entropy_access": false, "options": null, "uuid": "", "plugin_version": "",
        "running_plugin_version": "", "running_sha256": "", "deprecation_status": "",
        "config": {"default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": false}})
}

/// Vault's older programs look for mounts beside `data`, the newer ones in it.
pub(super) fn mounts() -> Given {
    let mounts = json!({"transit/": transit()});
    Given::Bare(
        200,
        json!({"request_id": "", "lease_id": "", "renewable": false, "lease_duration": 0,
        "data": mounts, "transit/": transit(), "wrap_info": null, "warnings": null, "auth": null}),
    )
}

pub(super) fn mounts_of_ui() -> Given {
    Given::Data(json!({"secret": {"transit/": transit()}, "auth": {}}))
}

/// The mount that a path lies in.
pub(super) fn mount_of_ui(path: &str) -> Result<Given> {
    if path != "transit" && !path.starts_with("transit/") {
        let why = "preflight capability check returned 403: there is one mount here, transit/";
        return Err(Error::new(ErrorCode::PermissionDenied, why));
    }
    let mut mount = transit();
    mount["path"] = json!("transit/");
    Ok(Given::Data(mount))
}
