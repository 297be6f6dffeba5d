import { checksummed, readChecksummed } from './checksummed.ts';
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { Proposal, ProposalReads, ProposalStatus, ProposalWrites } from '../../approvals/proposal.ts';
import type {
  RequestFilter,
  RequestReads,
  RequestStatus,
  RequestWrites,
  SigningRequest,
  Vote,
} from '../../approvals/request.ts';
import { CountersignError } from '../../errors.ts';
import type { JsonValue } from '../../jcs.ts';
import { isUniqueViolation } from './database.ts';

/** What is fixed when a request is made. JSON drops an address that is not known. */
type RequestBody = Omit<SigningRequest, 'id' | 'status' | 'source' | 'votes' | 'result' | 'note'> & {
  readonly source: { readonly address?: string; readonly mtls: boolean };
};
type ProposalBody = Omit<Proposal, 'id' | 'status' | 'votes'>;

interface RequestRow {
  id: string;
  status: RequestStatus;
  body: string;
  result: string | null;
  note: string | null;
}

interface ProposalRow {
  id: string;
  status: ProposalStatus;
  body: string;
}

const OPEN = "status IN ('pending', 'approved')";

export function requestTable(db: DatabaseSync): RequestReads & RequestWrites {
  const votes = voteTable(db, 'request');
  const byId = db.prepare('SELECT * FROM requests WHERE id = ?');
  const openOfAll = db.prepare(`SELECT count(*) AS count FROM requests WHERE ${OPEN}`);
  const openOfOne = db.prepare(`SELECT count(*) AS count FROM requests WHERE ${OPEN} AND requester_id = ?`);
  const insert = db.prepare(
    'INSERT INTO requests (id, status, requester_id, body, result, note) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const setStatus = db.prepare(
    `UPDATE requests SET status = ?, result = coalesce(?, result), note = coalesce(?, note)
     WHERE id = ? AND status IN (SELECT value FROM json_each(?))`,
  );
  const voidOpen = db.prepare(`UPDATE requests SET status = 'void', note = ? WHERE ${OPEN}`);

  const toRequest = (row: RequestRow): SigningRequest => {
    const { source, ...body } = JSON.parse(row.body) as RequestBody;
    return {
      ...body,
      id: row.id,
      status: row.status,
      source: { address: source.address, mtls: source.mtls },
      votes: votes.of(row.id),
      ...(row.note !== null && { note: row.note }),
      ...(row.result !== null && readResult(row.result)),
    };
  };

  return {
    request: (id) => {
      const row = byId.get(id) as RequestRow | undefined;
      return row === undefined ? undefined : toRequest(row);
    },

    requests: ({ status, requesterId, before, limit }: RequestFilter) =>
      selectNewest<RequestRow>(db, 'requests', { status, requester_id: requesterId }, before, limit).map(
        toRequest,
      ),

    openRequests: (requesterId) => {
      const row = requesterId === undefined ? openOfAll.get() : openOfOne.get(requesterId);
      return (row as { count: number }).count;
    },

    insertRequest: ({ id, status, votes: given, result, note, ...body }) => {
      const resultJson = result === undefined ? null : checksummed(JSON.stringify(result));
      insert.run(id, status, body.requester.id, JSON.stringify(body), resultJson, note ?? null);
      for (const vote of given) votes.add(id, vote);
    },

    addVote: (id, vote) => votes.add(id, vote),

    setRequestStatus: (id, from, to, more) => {
      const result = more?.result === undefined ? null : checksummed(JSON.stringify(more.result));
      if (setStatus.run(to, result, more?.note ?? null, id, JSON.stringify(from)).changes !== 1) {
        throw new CountersignError('conflict', `request ${id} is not ${from.join(' or ')} any more`);
      }
    },

    voidOpenRequests: (note) => Number(voidOpen.run(note).changes),
  };
}

/** Of one that was changed on disk nothing is given out but that: a list of requests is not refused for it. */
function readResult(kept: string): { readonly result: JsonValue } | { readonly note: string } {
  const text = readChecksummed(kept);
  return text === undefined
    ? { note: 'its result was changed on disk and is not given out' }
    : { result: JSON.parse(text) as JsonValue };
}

export function proposalTable(db: DatabaseSync): ProposalReads & ProposalWrites {
  const votes = voteTable(db, 'proposal');
  const byId = db.prepare('SELECT * FROM proposals WHERE id = ?');
  const insert = db.prepare('INSERT INTO proposals (id, status, body) VALUES (?, ?, ?)');
  const setStatus = db.prepare('UPDATE proposals SET status = ? WHERE id = ? AND status = ?');

  const toProposal = ({ id, status, body }: ProposalRow): Proposal => ({
    ...(JSON.parse(body) as ProposalBody),
    id,
    status,
    votes: votes.of(id),
  });

  return {
    proposal: (id) => {
      const row = byId.get(id) as ProposalRow | undefined;
      return row === undefined ? undefined : toProposal(row);
    },

    proposals: ({ status, before, limit }) =>
      selectNewest<ProposalRow>(db, 'proposals', { status }, before, limit).map(toProposal),

    insertProposal: ({ id, status, votes: given, ...body }) => {
      insert.run(id, status, JSON.stringify(body));
      for (const vote of given) votes.add(id, vote);
    },

    addProposalVote: (id, vote) => votes.add(id, vote),

    setProposalStatus: (id, from, to) => {
      if (setStatus.run(to, id, from).changes !== 1) {
        throw new CountersignError('conflict', `proposal ${id} is not ${from} any more`);
      }
    },
  };
}

interface VoteTable {
  /** In the order they were given. */
  of(id: string): readonly Vote[];
  /** Throws `conflict` for a second vote of one principal. */
  add(id: string, vote: Vote): void;
}

function voteTable(db: DatabaseSync, subject: 'request' | 'proposal'): VoteTable {
  const find = db.prepare(`SELECT vote FROM ${subject}_votes WHERE id = ? ORDER BY seq`);
  const insert = db.prepare(`INSERT INTO ${subject}_votes (id, principal_id, vote) VALUES (?, ?, ?)`);

  return {
    of: (id) => (find.all(id) as unknown as { vote: string }[]).map(({ vote }) => JSON.parse(vote) as Vote),
    add: (id, vote) => {
      try {
        insert.run(id, vote.principalId, JSON.stringify(vote));
      } catch (error) {
        throw isUniqueViolation(error)
          ? new CountersignError('conflict', `${vote.name} has voted on this ${subject} already`)
          : error;
      }
    },
  };
}

/** Rows that have these values, newest first, from the one after `before` on; nothing for a `before` that there is not. */
function selectNewest<Row>(
  db: DatabaseSync,
  table: 'requests' | 'proposals',
  values: { readonly [column: string]: string | undefined },
  before: string | undefined,
  limit: number,
): Row[] {
  const conditions = ['true'];
  const given: SQLInputValue[] = [];
  for (const [column, value] of Object.entries(values)) {
    if (value === undefined) continue;
    conditions.push(`${column} = ?`);
    given.push(value);
  }
  if (before !== undefined) {
    conditions.push(`seq < (SELECT seq FROM ${table} WHERE id = ?)`);
    given.push(before);
  }
  const sql = `SELECT * FROM ${table} WHERE ${conditions.join(' AND ')} ORDER BY seq DESC LIMIT ?`;
  return db.prepare(sql).all(...given, limit) as unknown as Row[];
}
