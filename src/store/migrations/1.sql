CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'interrupted')),
    mode TEXT NOT NULL CHECK (mode IN ('shared', 'refresh', 'private')),
    suite TEXT NOT NULL,
    suite_digest TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    started_ms INTEGER,
    completed_ms INTEGER,
    wall_ms INTEGER NOT NULL DEFAULT 0,
    -- The totals: none while the run is in progress.
    tokens_in INTEGER,
    tokens_out INTEGER,
    requests INTEGER,
    cached INTEGER,
    verdict TEXT,
    error TEXT,
    options TEXT NOT NULL,
    models TEXT,
    record TEXT
) STRICT;

CREATE INDEX runs_open ON runs (id) WHERE status IN ('pending', 'running');

-- Short columns before long ones: what lies behind a long one is read through its overflow pages.
CREATE TABLE stages (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    probe TEXT NOT NULL,
    case_index INTEGER NOT NULL,
    sample INTEGER NOT NULL,
    view TEXT NOT NULL,
    stage INTEGER NOT NULL,
    model TEXT NOT NULL,
    ended_ms INTEGER NOT NULL,
    tokens_in INTEGER,
    tokens_out INTEGER,
    latency_ms REAL NOT NULL,
    cached INTEGER NOT NULL,
    finish TEXT,
    error TEXT,
    prompt TEXT NOT NULL,
    response TEXT,
    UNIQUE (run, probe, case_index, sample, view, stage)
) STRICT;

CREATE TABLE scores (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    probe TEXT NOT NULL,
    case_index INTEGER NOT NULL,
    sample INTEGER NOT NULL,
    view TEXT NOT NULL,
    scorer_index INTEGER NOT NULL,
    scorer TEXT NOT NULL,
    value REAL,
    clamped REAL,
    error TEXT,
    UNIQUE (run, probe, case_index, sample, view, scorer_index)
) STRICT;

CREATE TABLE verdicts (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    probe TEXT NOT NULL,
    kind TEXT NOT NULL,
    verdict TEXT NOT NULL,
    score REAL,
    message TEXT NOT NULL,
    position INTEGER NOT NULL,
    UNIQUE (run, probe)
) STRICT;

-- Scope 0 is shared; any other is the id of the one run that sees it. A row of its own id, and not one of (scope, key): answers are
-- long, and would make the inner nodes of the tree long too.
CREATE TABLE responses (
    id INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    key BLOB NOT NULL CHECK (length(key) = 32),
    -- The run that wrote it; 0 for none.
    run INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    used_ms INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    tokens_in INTEGER,
    tokens_out INTEGER,
    latency_ms REAL NOT NULL,
    op TEXT NOT NULL,
    finish TEXT,
    text TEXT,
    answer BLOB NOT NULL,
    UNIQUE (scope, key)
) STRICT;

CREATE INDEX responses_by_use ON responses (scope, used_ms);
CREATE INDEX responses_by_age ON responses (scope, created_ms);

-- How much a scope holds, so that nobody need count. Kept by the triggers; a scope without responses has no row.
CREATE TABLE response_sizes (
    scope INTEGER PRIMARY KEY,
    entries INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;

CREATE TRIGGER responses_inserted AFTER INSERT ON responses BEGIN
    INSERT INTO response_sizes (scope, entries, bytes) VALUES (new.scope, 1, new.bytes)
        ON CONFLICT (scope) DO UPDATE SET entries = entries + 1, bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER responses_deleted AFTER DELETE ON responses BEGIN
    UPDATE response_sizes SET entries = entries - 1, bytes = bytes - old.bytes WHERE scope = old.scope;
    DELETE FROM response_sizes WHERE scope = old.scope AND entries = 0;
END;

CREATE TRIGGER responses_changed AFTER UPDATE OF scope, bytes ON responses BEGIN
    UPDATE response_sizes SET entries = entries - 1, bytes = bytes - old.bytes WHERE scope = old.scope;
    INSERT INTO response_sizes (scope, entries, bytes) VALUES (new.scope, 1, new.bytes)
        ON CONFLICT (scope) DO UPDATE SET entries = entries + 1, bytes = bytes + excluded.bytes;
    DELETE FROM response_sizes WHERE scope = old.scope AND entries = 0;
END;

CREATE TABLE facts (
    key BLOB PRIMARY KEY NOT NULL CHECK (length(key) = 32),
    created_ms INTEGER NOT NULL,
    used_ms INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL
) STRICT;

CREATE INDEX facts_by_use ON facts (used_ms);
CREATE INDEX facts_by_age ON facts (created_ms);
