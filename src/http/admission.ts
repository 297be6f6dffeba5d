import type { IncomingMessage } from 'node:http';
import type { Authenticator } from '../access/authenticator.ts';
import { CanaryUsed, Forbidden, Unauthenticated, type Caller } from '../access/credentials.ts';
import type { CanaryAlarms } from '../access/canaries.ts';
import type { Refusals } from '../access/failures.ts';
import { canonicalAddress, clientAddress } from '../access/networks.ts';
import { Locked, type Throttle } from '../access/throttle.ts';
import type { EntryActor, EntryDraft } from '../audit/entry.ts';
import { clientCertificateOf } from './client-certificate.ts';
import type { Route } from './route.ts';

export interface AdmissionParts {
  readonly authenticator: Authenticator;
  readonly throttle: Throttle;
  readonly refusals: Refusals;
  readonly canaries: CanaryAlarms;
  /** Networks of proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
}

/** One request at the door. */
export interface Visit {
  readonly requestId: string;
  /** The client's IP address. */
  readonly address: string;
}

/** Who may call what. What is refused here is in the audit log before it is answered. */
export class Admission {
  readonly #parts: AdmissionParts;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /** Throws `rate_limited` when its address has asked too often. */
  visit(req: IncomingMessage, requestId: string): Visit {
    const peer = canonicalAddress(req.socket.remoteAddress ?? '') ?? '';
    const address = clientAddress(peer, forwardedFor(req), this.#parts.trustedProxies);
    this.#parts.throttle.countRequest(address);
    return { requestId, address };
  }

  /**
   * The caller, and the same question again for later: to be asked right before what the caller wants is done. Throws
   * what `refused` takes.
   */
  async enter(
    route: Route,
    req: IncomingMessage,
    { requestId, address }: Visit,
  ): Promise<{ readonly caller: Caller; readonly admit: () => Caller }> {
    const { authenticator, throttle } = this.#parts;
    const { authorization } = req.headers;
    const certificate = clientCertificateOf(req.socket);
    const proof = await authenticator.prove({ authorization, certificate, address, requestId });
    if (proof.kind === 'token') throttle.refuseLocked(proof.credentialId, address);
    const admit = (): Caller => authorise(route, authenticator.admit(proof));
    const caller = authenticator.admit(proof);
    throttle.countCall(caller.principal.id, caller.credentialId);
    return { caller: authorise(route, caller), admit };
  }

  /** Writes what was refused, and by whom, wherever in a request it was. @returns the error to answer. */
  async refused(error: unknown, route: Route, path: string, visit: Visit): Promise<unknown> {
    const { throttle, refusals } = this.#parts;
    const where = { method: route.method, route: route.path };
    if (error instanceof Unauthenticated) {
      // First, and with nothing before it that waits: a secret that is tried meanwhile has to be counted, too.
      const { answer, locks } = throttle.countFailure(error, visit.address);
      if (error instanceof CanaryUsed) await this.#recordTheft(error, { ...where, path }, visit);
      else await this.#recordFailure(error.reason, error.credentialId, where, visit);
      if (locks) await refusals.locked(lockEntry(error, visit));
      return answer;
    }
    if (error instanceof Locked) {
      await this.#recordFailure('locked credential', error.credentialId, where, visit);
    } else if (error instanceof Forbidden) {
      await refusals.forbidden({
        kind: 'access.forbidden',
        outcome: 'denied',
        actor: actorOf(error.caller),
        requestId: visit.requestId,
        detail: { ...where, path },
      });
    }
    return error;
  }

  /** The failure as of any other credential, and the alert, in one commit: the answer comes no later. */
  async #recordTheft(
    { principal, credentialId, reason }: CanaryUsed,
    detail: { readonly method: string; readonly route: string; readonly path: string },
    visit: Visit,
  ): Promise<void> {
    const { requestId, address } = visit;
    const credential = credentialId !== undefined && { credential: credentialId };
    const actor = { principal: principal.name, principalId: principal.id, ...credential, address };
    const { method, route } = detail;
    await Promise.all([
      this.#recordFailure(reason, credentialId, { method, route }, visit),
      this.#parts.canaries.credentialUsed({ actor, requestId, detail }),
    ]);
  }

  async #recordFailure(
    reason: string,
    credential: string | undefined,
    where: { readonly method: string; readonly route: string },
    { requestId, address }: Visit,
  ): Promise<void> {
    await this.#parts.refusals.unauthenticated({
      kind: 'access.unauthenticated',
      outcome: 'denied',
      actor: { address, ...(credential !== undefined && { credential }) },
      requestId,
      detail: { reason, ...where },
    });
  }
}

/** Where it comes more than once, Node joins it with commas (RFC 9110, 5.3). */
function forwardedFor({ headers }: IncomingMessage): string | undefined {
  const forwarded = headers['x-forwarded-for'];
  return typeof forwarded === 'string' ? forwarded : undefined;
}

function lockEntry({ credentialId }: Unauthenticated, { requestId, address }: Visit): EntryDraft {
  const actor = { ...(credentialId !== undefined && { credential: credentialId }), address };
  return { kind: 'credential.locked', outcome: 'denied', actor, requestId };
}

/** The caller as audit entries name it. */
export function actorOf({ principal, credentialId, address, certificate }: Caller): EntryActor {
  return {
    address,
    ...(certificate !== undefined && { certificate }),
    credential: credentialId,
    principal: principal.name,
    principalId: principal.id,
    roles: principal.roles,
  };
}

/** The caller, when its roles let it call the route. */
function authorise({ access }: Route, caller: Caller): Caller {
  if (typeof access === 'string' || access.some((role) => caller.principal.roles.includes(role)))
    return caller;
  throw new Forbidden(caller, `this takes the role ${access.join(' or ')}`);
}
