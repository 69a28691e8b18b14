//! `canis status`.

use crate::args::Connection;
use crate::{connect, show};
use canis_proto::Result;
use canis_proto::message::Status;
use serde_json::json;

pub(crate) fn run(connection: &Connection, json: bool) -> Result<()> {
    let status = connect::open(connection)?.call(&Status)?;
    if json {
        return show::json(&json!({
            "version": status.version,
            "store": status.store,
            "sealed": status.sealed,
            "reason": status.reason,
            "provider": status.provider,
            "audit": status.audit,
            "audit_copies": status.audit_copies,
            "rows": status.rows,
        }));
    }
    let mut lines = vec![
        ("version", status.version),
        ("store", status.store),
        ("sealed", status.sealed.to_string()),
        ("provider", status.provider),
    ];
    if status.sealed {
        lines.push(("reason", status.reason));
    }
    if !status.audit.is_empty() {
        lines.push(("audit", status.audit));
    }
    if !status.audit_copies.is_empty() {
        lines.push(("audit copies", status.audit_copies));
    }
    if !status.rows.is_empty() {
        lines.push(("store rows", status.rows));
    }
    show::pairs(&lines)
}
