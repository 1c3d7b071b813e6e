-- How far a run had come, for whoever goes on with it; none once it is complete.
CREATE TABLE checkpoints (
    run INTEGER PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    written_ms INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    state BLOB NOT NULL
) STRICT;
