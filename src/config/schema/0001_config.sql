-- The configuration centre's tables, in the shape of Nacos 2.5.1 (semantics.md 3.2), with these differences:
--  * Ids are given by apply, so that they are the same on every node; times are milliseconds.
--  * Long columns come last: SQLite walks past them to reach what follows.
--  * content_length: bytes of content, known without reading it. ext_info of the current rows: what the history row of
--    the next change takes over.
--  * config_info_gray.gray_rule is the expression alone (addresses, or the tag); type, version and priority follow from
--    the name. type: as readers are told.
--  * Capacity tables are missing: usage is counted from the rows.

CREATE TABLE config_info (
    id INTEGER PRIMARY KEY,
    data_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL DEFAULT '',
    md5 TEXT NOT NULL,
    gmt_create INTEGER NOT NULL,
    gmt_modified INTEGER NOT NULL,
    content_length INTEGER NOT NULL,
    type TEXT NOT NULL,
    app_name TEXT NOT NULL DEFAULT '',
    src_user TEXT,
    src_ip TEXT,
    c_desc TEXT,
    c_use TEXT,
    effect TEXT,
    encrypted_data_key TEXT NOT NULL DEFAULT '',
    ext_info TEXT NOT NULL,
    c_schema TEXT,
    content TEXT NOT NULL
) STRICT;
-- By key, and a tenant's configs for searches, which look at names first.
CREATE UNIQUE INDEX config_info_key ON config_info (tenant_id, data_id, group_id);

CREATE TABLE config_info_gray (
    id INTEGER PRIMARY KEY,
    data_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL DEFAULT '',
    gray_name TEXT NOT NULL,
    gray_rule TEXT NOT NULL,
    md5 TEXT NOT NULL,
    gmt_create INTEGER NOT NULL,
    gmt_modified INTEGER NOT NULL,
    content_length INTEGER NOT NULL,
    type TEXT NOT NULL,
    app_name TEXT NOT NULL DEFAULT '',
    src_user TEXT,
    src_ip TEXT,
    encrypted_data_key TEXT NOT NULL DEFAULT '',
    ext_info TEXT NOT NULL,
    content TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX config_info_gray_key ON config_info_gray (tenant_id, data_id, group_id, gray_name);

-- config_tags of a config (id: config_info.id), for searches; nid keeps the order they were sent in.
CREATE TABLE config_tags_relation (
    nid INTEGER PRIMARY KEY,
    id INTEGER NOT NULL,
    tag_name TEXT NOT NULL,
    tag_type TEXT NOT NULL DEFAULT '',
    data_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL DEFAULT '',
    UNIQUE (id, tag_name, tag_type)
) STRICT;
CREATE INDEX config_tags_relation_tag ON config_tags_relation (tenant_id, tag_name);

-- One row per change. id: of the config or gray version; nid: the order of all changes.
CREATE TABLE his_config_info (
    nid INTEGER PRIMARY KEY,
    id INTEGER NOT NULL,
    data_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL DEFAULT '',
    app_name TEXT NOT NULL DEFAULT '',
    md5 TEXT NOT NULL,
    gmt_create INTEGER NOT NULL,
    gmt_modified INTEGER NOT NULL,
    src_user TEXT,
    src_ip TEXT,
    op_type TEXT NOT NULL,
    encrypted_data_key TEXT NOT NULL DEFAULT '',
    publish_type TEXT NOT NULL DEFAULT 'formal',
    gray_name TEXT NOT NULL DEFAULT '',
    ext_info TEXT NOT NULL,
    content TEXT NOT NULL
) STRICT;
-- The only index that a publish writes to at a random place, so it is kept short: by key would be five times as long,
-- and with 100,000 configs the pages of it cost more than all else of a publish (measured: 34 against 22 microseconds).
CREATE INDEX his_config_info_id ON his_config_info (id);
-- What is too old.
CREATE INDEX his_config_info_time ON his_config_info (gmt_modified);

-- Which ids a config and its gray versions have had: its history, also that of lives which have ended, is that of these.
CREATE TABLE config_lives (
    tenant_id TEXT NOT NULL,
    data_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    id INTEGER NOT NULL,
    ended_ms INTEGER,
    PRIMARY KEY (tenant_id, data_id, group_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX config_lives_ended ON config_lives (ended_ms) WHERE ended_ms IS NOT NULL;

-- The highest ids that rows which are gone have had: no id is given twice.
CREATE TABLE config_ids (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    last_id INTEGER NOT NULL,
    last_nid INTEGER NOT NULL
) STRICT;
INSERT INTO config_ids (only, last_id, last_nid) VALUES (1, 0, 0);
