-- The tables and the index of the key engine, as its design gives them.
CREATE TABLE kms_keys (
    id UUID PRIMARY KEY,
    tenant_id UUID NOT NULL,
    name TEXT NOT NULL,
    key_type TEXT NOT NULL,
    current_version INT NOT NULL DEFAULT 1,
    min_decryption_version INT NOT NULL DEFAULT 1,
    min_encryption_version INT NOT NULL DEFAULT 0,
    deletion_allowed BOOLEAN NOT NULL DEFAULT true,
    exportable BOOLEAN NOT NULL DEFAULT false,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    deleted_at TIMESTAMPTZ,
    UNIQUE(tenant_id, name)
);

CREATE TABLE kms_key_versions (
    id UUID PRIMARY KEY,
    key_id UUID REFERENCES kms_keys(id),
    version INT NOT NULL,
    encrypted_material BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    UNIQUE(key_id, version)
);

CREATE INDEX idx_kms_keys_name ON kms_keys(tenant_id, name);
