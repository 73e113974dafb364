-- What the store itself owns. schema_version is made by migrate.c, before the first migration.

-- Where in the log the tables stand: one row, written in the transaction of what it speaks of.
CREATE TABLE applied (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    log_index INTEGER NOT NULL CHECK (log_index >= 0),
    log_term INTEGER NOT NULL CHECK (log_term >= 0)
) STRICT;
INSERT INTO applied (only, log_index, log_term) VALUES (1, 0, 0);

-- Small facts about this database as a whole, by name.
CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
