import type { JsonValue } from '../jcs.ts';
import type { Proposal, ProposalJson, ProposalStatus } from './proposal.ts';
import { progressOf } from './quorum.ts';
import type { Vote } from './request.ts';
import { voteToJson } from './voting.ts';

/** What people see of a proposal. */
export function proposalToJson(
  proposal: Proposal,
  status: ProposalStatus,
  standing: readonly Vote[],
): ProposalJson {
  const { id, proposer, revision, hash, parentHash, document, suites, tests, changes, warnings } = proposal;
  const { comment, approval, votes, createdAt, expiresAt } = proposal;
  return {
    id,
    status,
    proposer: {
      id: proposer.id,
      name: proposer.name,
    },
    revision,
    hash,
    parentHash,
    document: JSON.parse(document) as JsonValue,
    changes,
    warnings,
    suites: suites.map(({ name, text }) => ({
      name,
      text,
    })),
    tests: {
      passed: tests,
      failed: 0,
    },
    ...(comment !== undefined && { comment }),
    approval: { ...progressOf([approval], status === 'pending' ? standing : votes, proposer.id) },
    votes: votes.map(voteToJson),
    createdAt,
    expiresAt,
  };
}
