-- The definitions of MCP servers' tools: the one that was accepted, and the one that waits for
-- a person where the server changed it. Digests are SHA-256 of the definition beside them.

CREATE TABLE mcp_tool (
    server             TEXT   NOT NULL,
    tool               TEXT   NOT NULL,
    digest             TEXT   NOT NULL,
    definition         BYTEA  NOT NULL CHECK (LENGTH(definition) <= 262144),
    accepted_by        TEXT   NOT NULL,
    accepted_at        BIGINT NOT NULL,
    waiting_digest     TEXT,
    waiting_definition BYTEA CHECK (LENGTH(waiting_definition) <= 262144),
    waiting_since      BIGINT,
    PRIMARY KEY (server, tool),
    CHECK ((waiting_digest IS NULL) = (waiting_since IS NULL)),
    CHECK ((waiting_definition IS NULL) = (waiting_since IS NULL))
);
