-- Held actions and what people answered.
--
-- `binding` is a keyed digest of the agent, the action and its exact arguments. `gates`,
-- `answers` and `reach` are JSON: they are read whole and never looked into by a query.

CREATE TABLE approval (
    id            TEXT   NOT NULL PRIMARY KEY,
    agent         TEXT   NOT NULL REFERENCES agent (name),
    project       TEXT   NOT NULL REFERENCES project (name),
    session       TEXT   NOT NULL REFERENCES session (id),
    action        TEXT   NOT NULL,
    binding       TEXT   NOT NULL,
    plane         TEXT   NOT NULL,
    verb          TEXT   NOT NULL,
    resource_kind TEXT   NOT NULL,
    resource_id   TEXT   NOT NULL,
    gates         TEXT   NOT NULL,
    answers       TEXT   NOT NULL,
    reach         TEXT   NOT NULL,
    state         TEXT   NOT NULL,
    note          TEXT   NOT NULL,
    requested_at  BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    closed_at     BIGINT,
    used_by       TEXT
);

CREATE INDEX approval_live ON approval (id) WHERE closed_at IS NULL;
CREATE INDEX approval_by_agent ON approval (agent, id);
