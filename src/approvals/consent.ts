import type { AccessReads, Principal } from '../access/principals.ts';
import type { Role } from '../access/roles.ts';
import { CountersignError } from '../errors.ts';
import type { KeyService } from '../signer/keys.ts';
import type { Approved } from '../signer/sign-entry.ts';
import { intentHashOf } from './book.ts';
import { quorumOf, standing } from './quorum.ts';
import type { RequestReads, SigningRequest } from './request.ts';
import { requestStatus, type PolicySource } from './status.ts';

export interface ConsentParts {
  readonly reads: RequestReads & Pick<AccessReads, 'principal'>;
  readonly policy: PolicySource;
  readonly keys: Pick<KeyService, 'get' | 'version'>;
  /** Milliseconds since 1970, of a clock that never goes back: what has expired stays so. */
  readonly now: () => number;
}

/** Whether what was consented to holds now, when it is to be carried out. */
export class Consent {
  readonly #parts: ConsentParts;

  constructor(parts: ConsentParts) {
    this.#parts = parts;
  }

  /** Throws `not_found`, or `conflict` for a request that is not approved. */
  approved(id: string): SigningRequest {
    const { reads, policy, now } = this.#parts;
    const request = reads.request(id);
    if (request === undefined) throw new CountersignError('not_found', `there is no request ${id}`);
    const status = requestStatus(request, policy.current().hash, now());
    if (status !== 'approved') throw new CountersignError('conflict', `the request is ${status}`);
    return request;
  }

  /**
   * Who asked, and what was given, as both stand now.
   *
   * @param role that the requester has to have still
   */
  check(request: SigningRequest, role: Role): { readonly requester: Principal; readonly approved: Approved } {
    const { keys } = this.#parts;
    const { key, intentHash } = request;
    if (intentHashOf(request) !== intentHash) {
      throw new CountersignError('unprocessable', 'the stored request is not what was approved');
    }
    const requester = this.#requireRequester(request, role);
    const now = keys.get(key.name);
    if (now.id !== key.id || keys.version(now, key.version).address !== key.address) {
      throw new CountersignError('not_found', `key ${key.name} is another key now`);
    }
    return { requester, approved: this.#requireQuorums(request) };
  }

  #requireRequester({ requester: { id, name } }: SigningRequest, role: Role): Principal {
    const principal = this.#parts.reads.principal(id);
    if (principal?.state === 'enabled' && principal.roles.includes(role)) return principal;
    const verb = role === 'signer' ? 'sign' : 'do this';
    throw new CountersignError('forbidden', `the requester, ${name}, may not ${verb} any more`);
  }

  /** Approvers may have lost their role since. */
  #requireQuorums({ id, approvals, votes, requester }: SigningRequest): Approved {
    const counted = standing(votes, (principalId) => this.#parts.reads.principal(principalId));
    const unmet = approvals.filter((approval) => !quorumOf(approval, counted, requester.id).met);
    if (approvals.length === 0 || unmet.length > 0) {
      throw new CountersignError(
        'approval_required',
        `approvers have lost their role since (${unmet.map(({ name }) => name).join(', ')}): ask for it again`,
      );
    }
    return {
      requestId: id,
      approvals: new Set(approvals.map(({ name }) => name)),
      approvers: counted.filter(({ verdict }) => verdict === 'approve').map(({ name }) => name),
    };
  }
}
