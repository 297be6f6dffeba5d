import type { JsonValue } from '../jcs.ts';
import type { Approval } from '../policy/model.ts';
import type { Vote } from './request.ts';

export const PROPOSAL_STATES = ['pending', 'accepted', 'rejected', 'expired', 'void'] as const;
export type ProposalStatus = (typeof PROPOSAL_STATES)[number];

/** A policy document that somebody wants in force. */
export interface Proposal {
  readonly id: string;
  readonly status: ProposalStatus;
  readonly proposer: { readonly id: string; readonly name: string };
  readonly revision: number;
  /** RFC 8785 JSON. */
  readonly document: string;
  readonly hash: string;
  /** Hash of the policy that it is to replace: void when another comes in force. */
  readonly parentHash: string;
  /** Test suites, as their YAML text by file name; run again on acceptance, and by every later proposal. */
  readonly suites: readonly { readonly name: string; readonly text: string }[];
  /** Tests in the suites, all of which passed when it was proposed. */
  readonly tests: number;
  /** In plain words, one change each. */
  readonly changes: readonly string[];
  /** What whoever decides should know: requests that become void, quorums that nobody can meet. */
  readonly warnings: readonly string[];
  readonly approval: Approval;
  readonly comment?: string;
  readonly votes: readonly Vote[];
  readonly createdAt: string;
  readonly expiresAt: string;
}

export interface ProposalReads {
  proposal(id: string): Proposal | undefined;
  /** Newest first. */
  proposals(filter: {
    readonly status?: ProposalStatus | undefined;
    readonly limit: number;
    readonly before?: string | undefined;
  }): Proposal[];
}

export interface ProposalWrites {
  insertProposal(proposal: Proposal): void;
  addProposalVote(id: string, vote: Vote): void;
  /** Throws `conflict` unless the proposal is in state `from`. */
  setProposalStatus(id: string, from: ProposalStatus, to: ProposalStatus): void;
}

export type ProposalJson = { readonly [name: string]: JsonValue };
