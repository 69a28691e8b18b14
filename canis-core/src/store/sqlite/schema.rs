//! The tables of `canis.dat`, format 1. Names of the user's key schema are kept; columns are added, never renamed.

/// `PRAGMA application_id`: "CANI".
pub(super) const APPLICATION_ID: i64 = 0x4341_4E49;

/// `PRAGMA user_version`: the format this code writes.
pub(super) const FORMAT: i64 = 1;

/// The same of a file that is not to be used, as its mark says (`moves`): a CANIS that knows no marks does not open it either.
pub(super) const FORMAT_AWAY: i64 = 0x4157_4159;

/// Columns that format 1 has gained since the first stores were made: table, column, definition.
pub(super) const GAINED: &[(&str, &str, &str)] =
    &[("kms_keys", "due_at", "INTEGER"), ("objects", "family", "INTEGER NOT NULL DEFAULT 255")];

/// Tables that it has gained since.
pub(super) const GAINED_TABLES: &[&str] = &[
    "value_roles",
    "key_uses",
    "kv_entries",
    "idempotency",
    "accumulators",
    "policies",
    "outbox",
    "audit_heads",
    "moves",
];

/// Every table and index, as a new store has them; those that are there already are left alone.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS meta (
    name TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS root_slots (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS tenants (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    slot INTEGER NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS pins (
    id BLOB PRIMARY KEY,
    tenant_id BLOB NOT NULL REFERENCES tenants(id),
    role INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    UNIQUE (tenant_id, role)
) STRICT;
CREATE TABLE IF NOT EXISTS tokens (
    id BLOB PRIMARY KEY,
    tenant_id BLOB NOT NULL REFERENCES tenants(id),
    revision INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS policies (
    id BLOB PRIMARY KEY,
    tenant_id BLOB NOT NULL REFERENCES tenants(id),
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    revision INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    UNIQUE (tenant_id, kind, name)
) STRICT;
CREATE TABLE IF NOT EXISTS kms_keys (
    id BLOB PRIMARY KEY,
    tenant_id BLOB NOT NULL,
    name TEXT NOT NULL,
    key_type TEXT NOT NULL,
    current_version INTEGER NOT NULL DEFAULT 1,
    min_decryption_version INTEGER NOT NULL DEFAULT 1,
    min_encryption_version INTEGER NOT NULL DEFAULT 0,
    deletion_allowed INTEGER NOT NULL DEFAULT 1,
    exportable INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    state TEXT NOT NULL,
    due_at INTEGER,
    revision INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    UNIQUE (tenant_id, name)
) STRICT;
CREATE INDEX IF NOT EXISTS idx_kms_keys_name ON kms_keys (tenant_id, name);
CREATE INDEX IF NOT EXISTS idx_kms_keys_due ON kms_keys (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS kms_key_versions (
    id BLOB PRIMARY KEY,
    key_id BLOB NOT NULL REFERENCES kms_keys(id),
    version INTEGER NOT NULL,
    encrypted_material BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (key_id, version)
) STRICT;
CREATE TABLE IF NOT EXISTS key_uses (
    key_id BLOB NOT NULL,
    version INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    PRIMARY KEY (key_id, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    id BLOB PRIMARY KEY,
    tenant_id BLOB NOT NULL REFERENCES tenants(id),
    class INTEGER NOT NULL,
    private INTEGER NOT NULL,
    label BLOB NOT NULL,
    cka_id BLOB NOT NULL,
    key_id BLOB,
    version INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    body BLOB NOT NULL,
    seal BLOB NOT NULL,
    family INTEGER NOT NULL DEFAULT 255
) STRICT;
CREATE INDEX IF NOT EXISTS idx_objects_class ON objects (tenant_id, class);
CREATE INDEX IF NOT EXISTS idx_objects_label ON objects (tenant_id, label);
CREATE INDEX IF NOT EXISTS idx_objects_cka_id ON objects (tenant_id, cka_id);
CREATE INDEX IF NOT EXISTS idx_objects_key ON objects (key_id);
CREATE INDEX IF NOT EXISTS idx_objects_family ON objects (tenant_id, family);
CREATE TABLE IF NOT EXISTS value_roles (
    id BLOB PRIMARY KEY,
    tenant_id BLOB NOT NULL REFERENCES tenants(id),
    revision INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS kv_entries (
    id BLOB PRIMARY KEY,
    tenant_id BLOB NOT NULL REFERENCES tenants(id),
    lookup BLOB NOT NULL,
    revision INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    private_key BLOB NOT NULL,
    UNIQUE (tenant_id, lookup)
) STRICT;
CREATE TABLE IF NOT EXISTS idempotency (
    id BLOB PRIMARY KEY,
    tenant_id BLOB NOT NULL REFERENCES tenants(id),
    expires_at INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS accumulators (
    id BLOB PRIMARY KEY,
    revision INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS idx_idempotency_expires ON idempotency (expires_at);
CREATE TABLE IF NOT EXISTS outbox (
    writer BLOB NOT NULL,
    number INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (writer, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_heads (
    writer BLOB PRIMARY KEY,
    ended INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS moves (
    id BLOB PRIMARY KEY,
    store BLOB NOT NULL,
    state TEXT NOT NULL,
    other TEXT NOT NULL,
    arrived INTEGER NOT NULL
) STRICT;
";
