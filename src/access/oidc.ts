import { createHash } from 'node:crypto';
import { decodeJwt, errors, jwtVerify, type JWTPayload } from 'jose';
import { CountersignError } from '../errors.ts';
import { credentialOf, Unauthenticated } from './credentials.ts';
import { KeySet, keySource, NoKeys, type KeyLocation } from './jwks.ts';
import { Recent } from './recent.ts';
import { forbiddenPair, type Role } from './roles.ts';

/** The name of a claim, or the way to one inside others. */
type ClaimPath = string | readonly string[];

/** An identity provider whose tokens (RFC 7519) let principals in. */
export interface OidcSettings extends KeyLocation {
  /** Stands before the subject in the names of its principals. */
  readonly name: string;
  /** The token's `iss`, exactly. */
  readonly issuer: string;
  /** One of them has to be in the token's `aud`. */
  readonly audience: string | readonly string[];
  readonly algorithms: readonly string[];
  /** Which claim says who it is. */
  readonly subject: ClaimPath;
  /** Every one whose claim is the value, or a list that has it, gives its roles. */
  readonly roles: readonly {
    readonly claim: ClaimPath;
    readonly value: string;
    readonly roles: readonly Role[];
  }[];
  /** Seconds since the token's `iat`. */
  readonly maxAge?: number | undefined;
  /** Seconds that clocks may differ. */
  readonly clockTolerance: number;
}

/** What a verified token says. */
export interface Identity {
  /** Made from issuer and subject: the same wherever and whenever they are seen. */
  readonly principalId: string;
  readonly principalName: string;
  readonly provider: string;
  readonly issuer: string;
  readonly subject: string;
  /** Sorted. */
  readonly roles: readonly Role[];
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

interface Provider {
  readonly settings: OidcSettings;
  readonly keys: KeySet;
}

interface Verified {
  readonly identity: Identity;
  /** When its signature has to be looked at again; milliseconds since 1970. */
  readonly until: number;
}

/** Three parts of base64url (RFC 7515, 7.1); an empty signature is none. */
const JWT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
/** Access tokens (RFC 9068, 2.1), and those that say no more than that they are tokens. */
const TYPES: ReadonlySet<string | undefined> = new Set([undefined, 'jwt', 'at+jwt', 'application/at+jwt']);
/** A token's `sub` is no longer (OpenID Connect Core 1.0, 2). */
const MAX_SUBJECT = 255;
const MAX_VERIFIED = 1_000;
/** A key that its issuer has withdrawn lets nobody in for longer than this and the age of the keys (jwks.ts). */
const VERIFIED_MS = 5 * 60_000;

/** The identity providers of the configuration. */
export class IdentityProviders {
  readonly #byIssuer: ReadonlyMap<string, Provider>;
  readonly #verified = new Recent<Verified>(MAX_VERIFIED);

  /** Throws `invalid_request` for settings that can't be used. */
  constructor(settings: readonly OidcSettings[]) {
    for (const key of ['issuer', 'name'] as const) {
      if (new Set(settings.map((each) => each[key])).size !== settings.length) {
        throw new CountersignError('invalid_request', `oidc: two providers have the same ${key}`);
      }
    }
    this.#byIssuer = new Map(
      settings.map((each) => [each.issuer, { settings: each, keys: new KeySet(keySource(each)) }]),
    );
  }

  /** Whether a bearer token is one for `verify` to look at. */
  accepts(token: string): boolean {
    return this.#byIssuer.size > 0 && JWT.test(token);
  }

  /** Throws `Unauthenticated`. Its reason says nothing of the token but what is wrong with it. */
  async verify(token: string, now: Date): Promise<Identity> {
    const hash = createHash('sha256').update(token).digest('base64url');
    const known = this.#verified.get(hash);
    if (known !== undefined && now.getTime() < known.until) return known.identity;
    this.#verified.delete(hash);
    const provider = this.#byIssuer.get(claimedIssuer(token));
    if (provider === undefined) throw new Unauthenticated('unknown issuer', undefined);
    const identity = await verifyWith(provider, token, now);
    const until = Math.min(identity.expiresAt, now.getTime() + VERIFIED_MS);
    this.#verified.set(hash, { identity, until });
    return identity;
  }
}

/** Which provider's keys to try: nothing of the token is believed yet. */
function claimedIssuer(token: string): string {
  try {
    return decodeJwt(token).iss ?? '';
  } catch {
    throw new Unauthenticated('malformed credential', undefined);
  }
}

async function verifyWith({ settings, keys }: Provider, token: string, now: Date): Promise<Identity> {
  const { issuer, audience, algorithms, maxAge, clockTolerance } = settings;
  const fail = (reason: string): Unauthenticated => new Unauthenticated(reason, credentialOf(settings.name));
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keys.find, {
      issuer,
      audience: typeof audience === 'string' ? audience : [...audience],
      algorithms: [...algorithms],
      requiredClaims: ['exp'],
      clockTolerance,
      currentDate: now,
      ...(maxAge !== undefined && { maxTokenAge: maxAge }),
    });
    if (!TYPES.has(protectedHeader.typ?.toLowerCase())) throw fail('another type of token');
    return identityOf(settings, payload, fail);
  } catch (error) {
    if (error instanceof Unauthenticated) throw error;
    throw fail(reasonOf(error));
  }
}

function identityOf(
  settings: OidcSettings,
  payload: JWTPayload,
  fail: (reason: string) => Unauthenticated,
): Identity {
  const { name, issuer, maxAge, clockTolerance } = settings;
  const subject = claimAt(payload, settings.subject);
  if (typeof subject !== 'string' || subject === '') throw fail('no subject');
  if (subject.length > MAX_SUBJECT || !subject.isWellFormed()) throw fail('unusable subject');
  const roles = rolesOf(settings, payload);
  // Else everybody whom the provider knows would be a principal here.
  if (roles.length === 0) throw fail('no role for these claims');
  if (forbiddenPair(roles) !== undefined) throw fail('roles that exclude each other');
  const { exp, iat } = payload;
  if (exp === undefined) throw fail('no expiry');
  const ends = maxAge === undefined || iat === undefined ? exp : Math.min(exp, iat + maxAge);
  return {
    principalId: principalIdOf(issuer, subject),
    principalName: `${name}:${encodeSubject(subject)}`,
    provider: name,
    issuer,
    subject,
    roles,
    expiresAt: (ends + clockTolerance) * 1_000,
  };
}

function rolesOf(settings: OidcSettings, payload: JWTPayload): Role[] {
  const granted = settings.roles
    .filter(({ claim, value }) => {
      const found = claimAt(payload, claim);
      return Array.isArray(found) ? found.includes(value) : found === value;
    })
    .flatMap(({ roles }) => roles);
  return [...new Set(granted)].toSorted();
}

function claimAt(payload: JWTPayload, path: ClaimPath): unknown {
  let value: unknown = payload;
  for (const step of typeof path === 'string' ? [path] : path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as { readonly [name: string]: unknown })[step];
  }
  return value;
}

/** A UUID (RFC 9562, 5.8) from the SHA-256 of both: no two pairs share one, whatever is in them. */
export function principalIdOf(issuer: string, subject: string): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([issuer, subject]))
    .digest()
    .subarray(0, 16);
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x80, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = hash.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** Each byte that is not plain becomes `%XX`, the percent sign too: two subjects never have one name. */
function encodeSubject(subject: string): string {
  return subject.replaceAll(/[^A-Za-z0-9._:@-]/gu, (character) =>
    [...Buffer.from(character, 'utf8')]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}

function reasonOf(error: unknown): string {
  if (error instanceof NoKeys) return `no keys of the issuer: ${error.message}`;
  if (error instanceof errors.JWTExpired) return 'expired token';
  if (error instanceof errors.JWTClaimValidationFailed) return `wrong claim ${error.claim}`;
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'wrong signature';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'algorithm not allowed';
  if (error instanceof errors.JWKSNoMatchingKey) return 'unknown key';
  if (error instanceof errors.JWKSMultipleMatchingKeys) return 'more than one key could be meant';
  return 'malformed credential';
}
