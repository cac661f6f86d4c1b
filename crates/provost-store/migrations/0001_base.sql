-- Who exists and what is live, the index of the ledger's events, and the SQL journal.
--
-- Times: BIGINT, microseconds since 1970-01-01T00:00:00Z. Ids and names: their text form.
-- Digests: TEXT, lower-case hexadecimal.

CREATE TABLE project (
    name        TEXT   NOT NULL PRIMARY KEY,
    bodies      TEXT   NOT NULL,
    sealed_keys BYTEA  NOT NULL,
    created_at  BIGINT NOT NULL
);

CREATE TABLE agent (
    name       TEXT   NOT NULL PRIMARY KEY,
    project    TEXT   NOT NULL REFERENCES project (name),
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);

CREATE TABLE human (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    role       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    removed_at BIGINT
);

CREATE UNIQUE INDEX human_by_name ON human (name) WHERE removed_at IS NULL;

-- idle_max is a duration in microseconds.
CREATE TABLE session (
    id           TEXT   NOT NULL PRIMARY KEY,
    agent        TEXT   NOT NULL REFERENCES agent (name),
    project      TEXT   NOT NULL REFERENCES project (name),
    opened_by    TEXT   NOT NULL,
    started_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    idle_max     BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    end_reason   TEXT,
    CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);

CREATE INDEX session_live ON session (id) WHERE ended_at IS NULL;
CREATE INDEX session_by_agent ON session (agent, id);
CREATE INDEX session_by_project ON session (project, id);

-- The holder is exactly one of agent, session and human.
CREATE TABLE credential (
    id           TEXT   NOT NULL PRIMARY KEY,
    agent        TEXT   REFERENCES agent (name),
    session      TEXT   REFERENCES session (id),
    human        TEXT   REFERENCES human (id),
    label        TEXT   NOT NULL,
    sha256       TEXT   NOT NULL UNIQUE,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    revoked_at   BIGINT,
    CHECK (
        CASE WHEN agent IS NULL THEN 0 ELSE 1 END
        + CASE WHEN session IS NULL THEN 0 ELSE 1 END
        + CASE WHEN human IS NULL THEN 0 ELSE 1 END = 1
    )
);

CREATE INDEX credential_of_agent ON credential (agent) WHERE agent IS NOT NULL;
CREATE INDEX credential_of_session ON credential (session) WHERE session IS NOT NULL;
CREATE INDEX credential_of_human ON credential (human) WHERE human IS NOT NULL;

CREATE TABLE run_state (
    scope  TEXT   NOT NULL PRIMARY KEY,
    state  TEXT   NOT NULL,
    reason TEXT   NOT NULL,
    set_by TEXT   NOT NULL,
    set_at BIGINT NOT NULL
);

-- The event index: one row for each ledger entry. It names agents and projects without
-- referring to their tables, because it is rebuilt from the ledger alone.
CREATE TABLE event (
    position BIGINT PRIMARY KEY,
    at       BIGINT NOT NULL,
    kind     TEXT   NOT NULL,
    action   TEXT,
    agent    TEXT,
    project  TEXT,
    session  TEXT,
    plane    TEXT,
    verb     TEXT,
    resource TEXT,
    result   TEXT
);

CREATE INDEX event_by_action ON event (action) WHERE action IS NOT NULL;

-- Which blocks of 256 positions have an event of an agent, project, session or rare kind.
-- A word is `agent/NAME`, `project/NAME`, `session/ID` or `kind/KIND`.
CREATE TABLE event_block (
    word  TEXT   NOT NULL,
    block BIGINT NOT NULL,
    PRIMARY KEY (word, block)
) /* SQLite: WITHOUT ROWID */;

-- For the audit, which reads the ledger and this table side by side.
CREATE INDEX event_block_in_order ON event_block (block);

-- Intents without an outcome: few, and asked for at every start.
CREATE TABLE open_intent (
    action   TEXT   NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL
);

-- One row: the newest signed checkpoint. Evidence against a ledger cut back on disk.
CREATE TABLE checkpoint (
    id   BIGINT PRIMARY KEY CHECK (id = 1),
    size BIGINT NOT NULL,
    note TEXT   NOT NULL
);

-- The journal, where SQL is the journal.
CREATE TABLE ledger_entry (
    position BIGINT PRIMARY KEY,
    entry    BYTEA NOT NULL
);
