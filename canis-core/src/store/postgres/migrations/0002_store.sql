-- What else a store holds: the columns that keys have besides, and the other tables. `ordinal` is the order in which rows
-- were made.
ALTER TABLE kms_keys
    ADD COLUMN state TEXT NOT NULL,
    ADD COLUMN due_at TIMESTAMPTZ,
    ADD COLUMN revision BIGINT NOT NULL,
    ADD COLUMN sealed BYTEA NOT NULL,
    ADD COLUMN ordinal BIGINT GENERATED ALWAYS AS IDENTITY;
-- Pages of names are in the order of their bytes, whatever language the database speaks.
CREATE INDEX idx_kms_keys_page ON kms_keys (tenant_id, name COLLATE "C");
CREATE INDEX idx_kms_keys_due ON kms_keys (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    body BYTEA NOT NULL
);
CREATE TABLE root_slots (
    id UUID PRIMARY KEY,
    kind TEXT NOT NULL,
    revision BIGINT NOT NULL,
    body BYTEA NOT NULL,
    ordinal BIGINT GENERATED ALWAYS AS IDENTITY
);
CREATE TABLE tenants (
    id UUID PRIMARY KEY,
    name TEXT NOT NULL,
    slot INT NOT NULL UNIQUE,
    revision BIGINT NOT NULL,
    sealed BYTEA NOT NULL
);
CREATE TABLE pins (
    id UUID PRIMARY KEY,
    tenant_id UUID NOT NULL REFERENCES tenants(id),
    role SMALLINT NOT NULL,
    revision BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    UNIQUE (tenant_id, role)
);
CREATE TABLE tokens (
    id UUID PRIMARY KEY,
    tenant_id UUID NOT NULL REFERENCES tenants(id),
    revision BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    ordinal BIGINT GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX idx_tokens_tenant ON tokens (tenant_id);
CREATE TABLE policies (
    id UUID PRIMARY KEY,
    tenant_id UUID NOT NULL REFERENCES tenants(id),
    kind SMALLINT NOT NULL,
    name TEXT NOT NULL,
    revision BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    UNIQUE (tenant_id, kind, name)
);
CREATE TABLE key_uses (
    key_id UUID NOT NULL,
    version INT NOT NULL,
    uses BIGINT NOT NULL,
    last_used_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (key_id, version)
);
CREATE TABLE objects (
    id UUID PRIMARY KEY,
    tenant_id UUID NOT NULL REFERENCES tenants(id),
    class SMALLINT NOT NULL,
    private BOOLEAN NOT NULL,
    label BYTEA NOT NULL,
    cka_id BYTEA NOT NULL,
    key_id UUID,
    version INT NOT NULL,
    family SMALLINT NOT NULL,
    revision BIGINT NOT NULL,
    body BYTEA NOT NULL,
    seal BYTEA NOT NULL,
    ordinal BIGINT GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX idx_objects_class ON objects (tenant_id, class);
-- Labels and identifiers may be longer than what an index of PostgreSQL holds.
CREATE INDEX idx_objects_label ON objects USING hash (label);
CREATE INDEX idx_objects_cka_id ON objects USING hash (cka_id);
CREATE INDEX idx_objects_key ON objects (key_id);
CREATE INDEX idx_objects_family ON objects (tenant_id, family);
CREATE TABLE value_roles (
    id UUID PRIMARY KEY,
    tenant_id UUID NOT NULL REFERENCES tenants(id),
    revision BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    ordinal BIGINT GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX idx_value_roles_tenant ON value_roles (tenant_id);
CREATE TABLE kv_entries (
    id UUID PRIMARY KEY,
    tenant_id UUID NOT NULL REFERENCES tenants(id),
    lookup UUID NOT NULL,
    revision BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    private_key BYTEA NOT NULL,
    UNIQUE (tenant_id, lookup)
);
CREATE TABLE idempotency (
    id UUID PRIMARY KEY,
    tenant_id UUID NOT NULL REFERENCES tenants(id),
    expires_at TIMESTAMPTZ NOT NULL,
    sealed BYTEA NOT NULL,
    ordinal BIGINT GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX idx_idempotency_tenant ON idempotency (tenant_id);
CREATE INDEX idx_idempotency_expires ON idempotency (expires_at);
CREATE TABLE accumulators (
    id UUID PRIMARY KEY,
    revision BIGINT NOT NULL,
    sealed BYTEA NOT NULL
);
CREATE TABLE outbox (
    writer UUID NOT NULL,
    number BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (writer, number)
);
CREATE TABLE audit_heads (
    writer UUID PRIMARY KEY,
    ended BOOLEAN NOT NULL,
    sealed BYTEA NOT NULL
);

-- How often the store was changed, and its credentials: what every server looks at several times a second.
CREATE TABLE moments (
    single BOOLEAN PRIMARY KEY DEFAULT true CHECK (single),
    changes BIGINT NOT NULL DEFAULT 0,
    credentials BIGINT NOT NULL DEFAULT 0
);
INSERT INTO moments DEFAULT VALUES;
