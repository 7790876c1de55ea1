//! The tables, as migrations. One text for every database; where they differ, a fragment of the `Dialect`
//! stands in. Applied migrations never change: a new need is a new migration, which expands what is there, so
//! that programs of two versions can share a store, or says that it breaks the older ones.

use super::database::{Change, Dialect, Migration};

/// Every migration, oldest first.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "foundation", change: Change::Expands, sql: foundation },
    Migration { version: 2, name: "age of matches", change: Change::Expands, sql: age_of_matches },
    Migration { version: 3, name: "begun runs first", change: Change::Expands, sql: begun_runs_first },
];

// Keys are text (UUIDv7 where we make them, so that they are in order of time), times are UTC epoch
// milliseconds, JSON is text. Indexes are few: partial ones over what is live, held or failed.
fn foundation(dialect: &Dialect) -> String {
    let Dialect { without_rowid, bytes, collate_bytes, counting_key, .. } = dialect;
    let tables = format!(
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
    claimed_by TEXT,
    epoch BIGINT NOT NULL DEFAULT 0,
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
    root TEXT,
    replay_of TEXT,
    claimed_by TEXT,
    epoch BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT
) {without_rowid};
CREATE INDEX runs_due ON runs (flow, due_at, position) WHERE state IN ('queued', 'running');
CREATE INDEX runs_held ON runs (walk, position) WHERE state = 'held';
CREATE UNIQUE INDEX runs_retry ON runs (retry_of) WHERE retry_of IS NOT NULL;
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

-- What people are asked, and what came of it.
CREATE TABLE approvals (
    id TEXT NOT NULL PRIMARY KEY,
    run TEXT NOT NULL,
    key TEXT NOT NULL,
    flow TEXT NOT NULL,
    step TEXT NOT NULL,
    terms TEXT NOT NULL,
    state TEXT NOT NULL,
    choice TEXT,
    answer TEXT,
    answered_by TEXT,
    how TEXT,
    expires_at BIGINT,
    created_at BIGINT NOT NULL,
    decided_at BIGINT
);
CREATE INDEX approvals_run ON approvals (run);

-- Who is asked. A link's token is made when it is sent, and is not here.
CREATE TABLE approvers (
    link TEXT NOT NULL PRIMARY KEY,
    approval TEXT NOT NULL,
    position BIGINT NOT NULL,
    code TEXT NOT NULL,
    choice TEXT,
    answer TEXT,
    answered_by TEXT,
    how TEXT,
    answered_at BIGINT,
    unclear TEXT
);
CREATE INDEX approvers_approval ON approvers (approval, position);

-- Over which connection, and at which address, an approver was asked.
CREATE TABLE asked (
    connection TEXT NOT NULL,
    address TEXT NOT NULL,
    link TEXT NOT NULL,
    PRIMARY KEY (connection, address, link)
) {without_rowid};

-- Messages that an approval claimed: no flow sees them.
CREATE TABLE replies (
    connection TEXT NOT NULL,
    key TEXT NOT NULL,
    link TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (connection, key)
) {without_rowid};

-- Which record at a provider belongs to which step, where that had to be looked up.
CREATE TABLE matches (
    target TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    run TEXT NOT NULL,
    key TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    PRIMARY KEY (target, provider_id)
) {without_rowid};

-- What was looked up for requests, and until when it holds.
CREATE TABLE remembered (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    until_at BIGINT NOT NULL
){without_rowid};

-- What a person should know: gaps, missed schedules, connections that want attention.
CREATE TABLE notices (
    id TEXT NOT NULL PRIMARY KEY,
    flow TEXT,
    connection TEXT,
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    details TEXT,
    at BIGINT NOT NULL,
    raised BIGINT NOT NULL
);
CREATE INDEX notices_pending ON notices (id) WHERE raised = 0;

-- Scheduled checks of connections.
CREATE TABLE checks (
    connection TEXT NOT NULL PRIMARY KEY,
    due_at BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    alerted BIGINT NOT NULL,
    checked_at BIGINT,
    message TEXT
);

-- The key that secrets are sealed under: its id, and a value that it alone opens.
CREATE TABLE sealing_keys (
    slot BIGINT NOT NULL PRIMARY KEY CHECK (slot = 1),
    id TEXT NOT NULL,
    proof {bytes} NOT NULL,
    created_at BIGINT NOT NULL
);

-- Connections that were made with `connect`: as they would stand in the settings, without secrets.
CREATE TABLE accounts (
    name TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Their secret fields, sealed.
CREATE TABLE account_secrets (
    account TEXT NOT NULL,
    field TEXT NOT NULL,
    audience TEXT NOT NULL,
    sealing_key TEXT NOT NULL,
    body {bytes} NOT NULL,
    PRIMARY KEY (account, field)
) {without_rowid};

-- What services gave that must be renewed, sealed; by connection, of the settings or stored, and auth scheme.
-- Whoever renews holds the lease meanwhile.
CREATE TABLE tokens (
    connection TEXT NOT NULL,
    scheme TEXT NOT NULL,
    audience TEXT NOT NULL,
    sealing_key TEXT NOT NULL,
    body {bytes},
    version BIGINT NOT NULL,
    lease_holder TEXT,
    lease_until BIGINT,
    refused TEXT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (connection, scheme)
) {without_rowid};

-- Sign-ins under way on the public pages: what links, services and browsers carry is kept as hashes.
CREATE TABLE sign_ins (
    id TEXT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL,
    scheme TEXT NOT NULL,
    state TEXT,
    browser TEXT,
    sealing_key TEXT,
    body {bytes},
    outcome TEXT,
    expires_at BIGINT NOT NULL
) {without_rowid};
-- Projects as they were published, where hosts read them from here.
CREATE TABLE publications (
    version {counting_key},
    files TEXT NOT NULL,
    published_at BIGINT NOT NULL
);

-- Work that has no row of its own, and which host has it, where there may be several.
CREATE TABLE claims (
    name TEXT NOT NULL PRIMARY KEY,
    claimed_by TEXT,
    epoch BIGINT NOT NULL
);

-- How the connections are.
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
    );
    // Ids, keys and names are in the order of their bytes everywhere.
    tables.replace(" TEXT", &format!(" TEXT{collate_bytes}"))
}

// Every action that can be looked up leaves a match: those that are too old are found by their age.
fn age_of_matches(_: &Dialect) -> String {
    "CREATE INDEX matches_age ON matches (made_at)".to_owned()
}

// Runs are claimed by state, begun ones first. Older programs find theirs by this index as well.
fn begun_runs_first(_: &Dialect) -> String {
    "CREATE INDEX runs_live ON runs (flow, state, due_at, position) WHERE state IN ('queued', 'running'); \
     DROP INDEX runs_due"
        .to_owned()
}

#[cfg(test)]
mod tests;
