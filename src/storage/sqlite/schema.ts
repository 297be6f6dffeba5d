/** Numbered migrations; each runs once, in order, and is never edited after a release. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE seal (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    config TEXT NOT NULL,
    keyring BLOB NOT NULL
  ) STRICT;

  CREATE TABLE root_terms (
    term INTEGER PRIMARY KEY CHECK (term >= 1),
    created_at TEXT NOT NULL,
    encryptions INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE rewrap_jobs (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL) STRICT;

  CREATE TABLE log_keys (
    version INTEGER PRIMARY KEY,
    public_key TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at TEXT NOT NULL
  ) STRICT;

  CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    tags TEXT NOT NULL,
    created_at TEXT NOT NULL,
    primary_version INTEGER NOT NULL,
    exportable INTEGER NOT NULL DEFAULT 0 CHECK (exportable IN (0, 1)),
    canary INTEGER NOT NULL DEFAULT 0 CHECK (canary IN (0, 1)),
    rotation TEXT
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE key_versions (
    key_id TEXT NOT NULL REFERENCES keys (id),
    version INTEGER NOT NULL CHECK (version >= 1),
    address TEXT NOT NULL UNIQUE,
    public_key TEXT NOT NULL,
    state TEXT NOT NULL,
    origin TEXT NOT NULL,
    created_at TEXT NOT NULL,
    last_used_at TEXT,
    superseded_at TEXT,
    compromised_at TEXT,
    destroy_at TEXT,
    destroyed_at TEXT,
    state_reason TEXT,
    state_changed_at TEXT,
    sealed BLOB NOT NULL,
    PRIMARY KEY (key_id, version)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE rotations (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    key_id TEXT NOT NULL REFERENCES keys (id),
    key_name TEXT NOT NULL,
    state TEXT NOT NULL,
    open INTEGER NOT NULL CHECK (open IN (0, 1)),
    revision INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX rotations_open ON rotations (key_id) WHERE open = 1;
  CREATE INDEX rotations_of_key ON rotations (key_name, seq);
  CREATE INDEX rotations_by_state ON rotations (state, seq);

  CREATE TABLE nonces (
    key_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    chain_id TEXT NOT NULL,
    nonce TEXT NOT NULL,
    digest TEXT NOT NULL,
    effects TEXT NOT NULL,
    max_fee TEXT NOT NULL,
    max_priority_fee TEXT NOT NULL,
    cancel INTEGER NOT NULL,
    charges TEXT NOT NULL,
    PRIMARY KEY (key_id, version, chain_id, nonce)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE limit_usage (
    limit_name TEXT NOT NULL,
    scope TEXT NOT NULL,
    ends INTEGER NOT NULL,
    starts INTEGER NOT NULL,
    amount TEXT NOT NULL,
    PRIMARY KEY (limit_name, scope, ends, starts)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX limit_usage_by_end ON limit_usage (ends);

  CREATE TABLE denied_digests (
    digest TEXT NOT NULL,
    key_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    entry INTEGER NOT NULL,
    PRIMARY KEY (digest, key_id)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE requests (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    requester_id TEXT NOT NULL,
    body TEXT NOT NULL,
    result TEXT,
    note TEXT
  ) STRICT;
  CREATE INDEX requests_by_status ON requests (status, seq);
  CREATE INDEX requests_of_requester ON requests (requester_id, seq);
  CREATE INDEX requests_open ON requests (requester_id) WHERE status IN ('pending', 'approved');

  CREATE TABLE request_votes (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL REFERENCES requests (id),
    principal_id TEXT NOT NULL,
    vote TEXT NOT NULL,
    UNIQUE (id, principal_id)
  ) STRICT;

  CREATE TABLE proposals (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX proposals_by_status ON proposals (status, seq);

  CREATE TABLE proposal_votes (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL REFERENCES proposals (id),
    principal_id TEXT NOT NULL,
    vote TEXT NOT NULL,
    UNIQUE (id, principal_id)
  ) STRICT;

  CREATE TABLE idempotency (
    principal_id TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    entry INTEGER NOT NULL,
    answer TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (principal_id, name)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX idempotency_by_age ON idempotency (created_at);

  CREATE TABLE principals (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    roles TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE credentials (
    id TEXT PRIMARY KEY,
    principal_id TEXT NOT NULL REFERENCES principals (id),
    secret_hash BLOB,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    cidrs TEXT NOT NULL,
    revoked_at TEXT,
    kind TEXT NOT NULL DEFAULT 'token',
    match TEXT,
    rotated_from TEXT,
    canary INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX credentials_of_principal ON credentials (principal_id);
  CREATE INDEX credentials_by_match ON credentials (match) WHERE match IS NOT NULL;

  CREATE TABLE totp (
    principal_id TEXT PRIMARY KEY REFERENCES principals (id),
    sealed BLOB NOT NULL,
    confirmed_at TEXT,
    last_step INTEGER,
    created_at TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE policies (
    revision INTEGER PRIMARY KEY,
    document TEXT NOT NULL,
    hash TEXT NOT NULL,
    parent_hash TEXT,
    suites TEXT NOT NULL,
    loaded_at TEXT NOT NULL
  ) STRICT;

  CREATE TABLE audit_entries (
    idx INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL,
    principal TEXT,
    key_name TEXT,
    operation TEXT,
    effect TEXT,
    leaf_hash BLOB NOT NULL,
    entry BLOB NOT NULL
  ) STRICT;

  CREATE TABLE audit_blocks (
    field TEXT NOT NULL,
    value TEXT NOT NULL,
    block INTEGER NOT NULL,
    bits BLOB NOT NULL,
    PRIMARY KEY (field, value, block)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE audit_nodes (
    level INTEGER NOT NULL CHECK (level >= 1),
    idx INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (level, idx)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE audit_data (sha256 BLOB PRIMARY KEY, data BLOB NOT NULL) STRICT;

  CREATE TABLE audit_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    size INTEGER NOT NULL,
    frontier BLOB NOT NULL,
    time TEXT NOT NULL
  ) STRICT;

  CREATE TABLE checkpoints (
    size INTEGER PRIMARY KEY,
    note TEXT NOT NULL,
    cosigned INTEGER NOT NULL DEFAULT 0 CHECK (cosigned IN (0, 1))
  ) STRICT;
  CREATE INDEX checkpoints_cosigned ON checkpoints (size) WHERE cosigned = 1;

  CREATE TABLE sink_cursors (name TEXT PRIMARY KEY, next INTEGER NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE split_views (
    seq INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    size INTEGER NOT NULL,
    root TEXT NOT NULL,
    message TEXT NOT NULL,
    time TEXT NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0 CHECK (acknowledged IN (0, 1)),
    UNIQUE (source, size, root)
  ) STRICT;
  `,
  `
  CREATE TABLE padded_nonces (
    key_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    chain_id TEXT NOT NULL,
    -- Decimal, with leading zeros: the order of the text is that of the numbers.
    nonce TEXT NOT NULL CHECK (length(nonce) = 20),
    digest TEXT NOT NULL,
    effects TEXT NOT NULL,
    max_fee TEXT NOT NULL,
    max_priority_fee TEXT NOT NULL,
    cancel INTEGER NOT NULL,
    charges TEXT NOT NULL,
    PRIMARY KEY (key_id, version, chain_id, nonce)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO padded_nonces
    SELECT key_id, version, chain_id, substr('00000000000000000000' || nonce, -20),
           digest, effects, max_fee, max_priority_fee, cancel, charges
    FROM nonces;
  DROP TABLE nonces;
  ALTER TABLE padded_nonces RENAME TO nonces;
  `,
  `
  -- A key keeps its name: what keys are listed by stands beside it, in the order of the lists.
  CREATE TABLE key_tags (
    tag TEXT NOT NULL,
    key_name TEXT NOT NULL,
    PRIMARY KEY (tag, key_name)
  ) STRICT, WITHOUT ROWID;
  INSERT OR IGNORE INTO key_tags SELECT json_each.value, name FROM keys, json_each(keys.tags);
  CREATE INDEX keys_scheduled ON keys (name) WHERE rotation IS NOT NULL;

  ALTER TABLE key_versions ADD COLUMN key_name TEXT NOT NULL DEFAULT '';
  UPDATE key_versions SET key_name = (SELECT name FROM keys WHERE id = key_id);
  -- Nearly all are enabled.
  CREATE INDEX key_versions_by_state ON key_versions (state, key_name) WHERE state <> 'enabled';
  `,
  `
  -- What was charged for a nonce, without the names of its members: it is a good part of what a signature writes.
  UPDATE nonces SET charges = (
    SELECT json_group_array(json_array(
      value ->> 'limit', value ->> 'scope', value ->> 'start', value ->> 'end', value ->> 'amount'))
    FROM json_each(charges))
  WHERE charges <> '[]';
  `,
];
