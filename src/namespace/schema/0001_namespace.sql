-- Namespaces as Nacos keeps them (semantics.md 3.2): kp is always '1', create_source 'nacos', times are milliseconds.
-- The default namespace has no row. An id without a row is usable all the same: rows only give names.

CREATE TABLE tenant_info (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kp TEXT NOT NULL,
    tenant_id TEXT NOT NULL DEFAULT '',
    tenant_name TEXT NOT NULL DEFAULT '',
    tenant_desc TEXT,
    create_source TEXT,
    gmt_create INTEGER NOT NULL,
    gmt_modified INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX tenant_info_key ON tenant_info (kp, tenant_id);
