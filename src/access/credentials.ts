import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import { CountersignError } from '../errors.ts';
import type { AccessReads, Credential, Principal } from './principals.ts';

/** Who a request comes from, once it has proven it. */
export interface Caller {
  readonly principal: Principal;
  readonly credentialId: string;
  /** The peer's IP address. */
  readonly address: string;
}

export interface NewCredential {
  readonly credential: Credential;
  /** `cs_<id>_<secret>`: shown once, and kept nowhere. */
  readonly token: string;
}

/** The name of the scheme has no case (RFC 9110, 11.1); the token has. */
const SCHEME = /^bearer +/i;
const TOKEN = /^cs_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;
const SECRET_BYTES = 32;
/** Compared against when there is no such credential, so that the time taken tells nothing. */
const NO_SECRET_HASH = Buffer.alloc(32);

export function newCredential(
  principalId: string,
  options: { readonly expiresAt?: string | undefined; readonly cidrs?: readonly string[] | undefined } = {},
): NewCredential {
  const id = randomBytes(8).toString('hex');
  const secret = randomBytes(SECRET_BYTES);
  return {
    credential: {
      id,
      principalId,
      secretHash: hashSecret(secret),
      createdAt: new Date().toISOString(),
      ...(options.expiresAt !== undefined && { expiresAt: options.expiresAt }),
      cidrs: options.cidrs ?? [],
    },
    token: `cs_${id}_${secret.toString('base64url')}`,
  };
}

/**
 * The caller behind an `Authorization` header. Throws `unauthenticated`, always with the same message: which part
 * was wrong is for the audit log (`reason`), not for whoever tries.
 */
export function authenticate(
  reads: AccessReads,
  header: string | undefined,
  address: string,
  now: Date = new Date(),
): Caller {
  const [, id, secret] =
    (SCHEME.test(header ?? '') ? TOKEN.exec(header?.replace(SCHEME, '') ?? '') : null) ?? [];
  if (id === undefined || secret === undefined) {
    throw new Unauthenticated(header === undefined ? 'no credential' : 'malformed credential', undefined);
  }
  const found = reads.credential(id);
  const matches = timingSafeEqual(
    hashSecret(Buffer.from(secret, 'base64url')),
    found?.credential.secretHash ?? NO_SECRET_HASH,
  );
  if (found === undefined) throw new Unauthenticated('unknown credential', id);
  const { credential, principal } = found;
  if (!matches) throw new Unauthenticated('wrong secret', id);
  if (credential.revokedAt !== undefined) throw new Unauthenticated('revoked credential', id);
  if (credential.expiresAt !== undefined && new Date(credential.expiresAt) <= now) {
    throw new Unauthenticated('expired credential', id);
  }
  if (!isWithin(credential.cidrs, address)) throw new Unauthenticated('address not allowed', id);
  if (principal.state !== 'enabled') throw new Unauthenticated('disabled principal', id);
  return { principal, credentialId: id, address };
}

/** Carries the true reason, for the audit log. */
export class Unauthenticated extends CountersignError {
  readonly reason: string;
  readonly credentialId: string | undefined;

  constructor(reason: string, credentialId: string | undefined) {
    super('unauthenticated', 'a valid credential is required: Authorization: Bearer cs_…');
    this.reason = reason;
    this.credentialId = credentialId;
  }
}

/** A caller who may not do this; is written to the audit log wherever in a request it is thrown. */
export class Forbidden extends CountersignError {
  readonly caller: Caller;

  constructor(caller: Caller, message: string) {
    super('forbidden', message);
    this.caller = caller;
  }
}

/** `a.b.c.d/n` or an IPv6 network; the text of what is wrong with it, or undefined. */
export function cidrProblem(cidr: string): string | undefined {
  const [network = '', bits = '', ...rest] = cidr.split('/');
  const family = isIP(network);
  const most = family === 4 ? 32 : 128;
  // A zone (fe80::1%eth0) is an address for isIP and none for the lists that it will be compared with.
  const isNetwork = family !== 0 && !network.includes('%');
  const valid = isNetwork && rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= most;
  return valid ? undefined : 'must be a network such as 10.0.0.0/8 or fd00::/8';
}

/** Whether networks, or their absence, admit an IP address. */
export function isWithin(cidrs: readonly string[], address: string): boolean {
  if (cidrs.length === 0) return true;
  const networks = new BlockList();
  for (const cidr of cidrs) {
    const [network = '', bits] = cidr.split('/');
    networks.addSubnet(network, Number(bits), isIP(network) === 4 ? 'ipv4' : 'ipv6');
  }
  return networks.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
}

function hashSecret(secret: Uint8Array): Buffer {
  return createHash('sha256').update(secret).digest();
}
