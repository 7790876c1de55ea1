//! The tables, as migrations. One text for every database; where they differ, a fragment of the `Dialect`
//! stands in. Applied migrations never change: a new need is a new migration.

use super::database::{Dialect, Migration};

/// Every migration, oldest first.
pub const MIGRATIONS: &[Migration] = &[Migration { version: 1, name: "foundation", sql: foundation }];

// Keys are text (UUIDv7 where we make them, so that they are in order of time), times are UTC epoch
// milliseconds, JSON is text. Indexes are few: partial ones over what is live, held or failed.
fn foundation(dialect: &Dialect) -> String {
    let Dialect { without_rowid, bytes, .. } = dialect;
    format!(
        r#"
-- What runs are pinned to: a flow with its inputs, or a connector, as it was written.
CREATE TABLE definitions (
    hash TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- One row per flow: how far its trigger has read, and when it is due.
CREATE TABLE triggers (
    flow TEXT NOT NULL PRIMARY KEY,
    definition TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    generation BIGINT NOT NULL,
    baseline_at BIGINT,
    baseline_value TEXT,
    seeded BIGINT NOT NULL,
    value TEXT,
    covered_until BIGINT,
    deep_at BIGINT,
    due_at BIGINT,
    polled_at BIGINT,
    failures BIGINT NOT NULL,
    error TEXT,
    exchange TEXT,
    updated_at BIGINT NOT NULL
);
CREATE INDEX triggers_due ON triggers (due_at) WHERE state = 'enabled';

-- One reading of a trigger's window, page by page; it outlives a crash.
CREATE TABLE walks (
    id TEXT NOT NULL PRIMARY KEY,
    flow TEXT NOT NULL,
    generation BIGINT NOT NULL,
    definition TEXT NOT NULL,
    mode TEXT NOT NULL,
    state TEXT NOT NULL,
    since TEXT,
    lower_at BIGINT,
    page TEXT,
    pages BIGINT NOT NULL,
    listed BIGINT NOT NULL,
    started BIGINT NOT NULL,
    server_at BIGINT,
    newest TEXT,
    not_ready_at BIGINT,
    opened_at BIGINT NOT NULL,
    loosened BIGINT NOT NULL
);
CREATE INDEX walks_flow ON walks (flow);

-- The keys that a trigger has seen.
CREATE TABLE ledger (
    flow TEXT NOT NULL,
    generation BIGINT NOT NULL,
    key TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (flow, generation, key)
) {without_rowid};

-- One execution of a flow for one item. Its next step is in its own row: `frames` and `due_at`.
CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY,
    flow TEXT NOT NULL,
    definition TEXT NOT NULL,
    state TEXT NOT NULL,
    position BIGINT NOT NULL,
    due_at BIGINT,
    slot TEXT,
    walk TEXT,
    item_key TEXT,
    item TEXT,
    frames TEXT,
    error TEXT,
    retry_of TEXT,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT
) {without_rowid};
CREATE INDEX runs_due ON runs (flow, due_at, position) WHERE state IN ('queued', 'running');
CREATE INDEX runs_held ON runs (walk, position) WHERE state = 'held';
CREATE INDEX runs_attention ON runs (state, id) WHERE state IN ('failed', 'unknown');

-- The journal: one row per attempt of a step.
CREATE TABLE steps (
    run TEXT NOT NULL,
    key TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    scope TEXT NOT NULL,
    step TEXT,
    form TEXT NOT NULL,
    state TEXT NOT NULL,
    input TEXT,
    output TEXT,
    error TEXT,
    exchange TEXT,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (run, key, attempt)
) {without_rowid};

-- Values too large for a row.
CREATE TABLE blobs (
    id TEXT NOT NULL PRIMARY KEY,
    run TEXT NOT NULL,
    body {bytes} NOT NULL
);
CREATE INDEX blobs_run ON blobs (run);

-- Which record at a provider belongs to which step, where that had to be looked up.
CREATE TABLE matches (
    target TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    run TEXT NOT NULL,
    key TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    PRIMARY KEY (target, provider_id)
) {without_rowid};

-- What a person should know: gaps, missed schedules, connections that want attention.
CREATE TABLE notices (
    id TEXT NOT NULL PRIMARY KEY,
    flow TEXT,
    connection TEXT,
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    details TEXT,
    at BIGINT NOT NULL
);

-- How the accounts are; their fields are in the settings.
CREATE TABLE connections (
    name TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL,
    reason TEXT,
    checked_at BIGINT,
    updated_at BIGINT NOT NULL
);

-- Limits that a service says are reached: all of the rate limits that outlives a restart.
CREATE TABLE blocks (
    name TEXT NOT NULL PRIMARY KEY,
    connector TEXT NOT NULL,
    connection TEXT,
    blocked_until BIGINT NOT NULL
);
"#
    )
}
