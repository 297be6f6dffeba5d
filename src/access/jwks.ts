import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { request as requestHttps } from 'node:https';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey, type LocalJWKSet } from 'jose';
import { CountersignError } from '../errors.ts';
import { request as requestHttp } from '../node-http.ts';

/** Where an issuer's keys are. */
export interface KeyLocation {
  readonly issuer: string;
  /** A URL or a file; by discovery (OpenID Connect Discovery 1.0, 4) when absent. */
  readonly jwks?: string | undefined;
  /** A file with the CA certificates that its TLS is checked with, in place of the usual ones. */
  readonly ca?: string | undefined;
  /** A file with a token to ask for the keys with; read anew each time. */
  readonly tokenFile?: string | undefined;
}

/** Keys this old are fetched again, while the old ones go on working. */
const FRESH_MS = 10 * 60_000;
/** No two tries to fetch are nearer to each other, however many tokens ask for keys that we do not have. */
const COOLDOWN_MS = 30_000;
/** The same while there are no keys at all. */
const FIRST_COOLDOWN_MS = 3_000;
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 512 * 1024;

/** There are no keys of the issuer to verify with. */
export class NoKeys extends Error {}

/** The public keys of one issuer, kept for as long as they can't be fetched anew. */
export class KeySet {
  readonly #load: () => Promise<unknown>;
  readonly #now: () => number;
  #keys: LocalJWKSet | undefined;
  #loadedAt = -Infinity;
  #triedAt = -Infinity;
  #problem = 'not fetched yet';
  #loading: Promise<boolean> | undefined;

  /**
   * @param load gives a JWK Set (RFC 7517, 5).
   * @param now milliseconds of a clock that does not step back.
   */
  constructor(load: () => Promise<unknown>, now: () => number = () => performance.now()) {
    this.#load = load;
    this.#now = now;
  }

  /** The one key that a token's header asks for. Throws `NoKeys` or an error of jose's. */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    if (this.#keys === undefined) await this.#refresh(FIRST_COOLDOWN_MS);
    else if (this.#now() - this.#loadedAt > FRESH_MS) void this.#refresh(COOLDOWN_MS);
    if (this.#keys === undefined) throw new NoKeys(this.#problem);
    try {
      return await this.#keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !(await this.#refresh(COOLDOWN_MS))) throw error;
      return await this.#keys(header, token);
    }
  };

  /** Whether there are newer keys now. */
  #refresh(cooldownMs: number): Promise<boolean> {
    if (this.#loading !== undefined) return this.#loading;
    const now = this.#now();
    if (now - this.#triedAt < cooldownMs) return Promise.resolve(false);
    this.#triedAt = now;
    this.#loading = this.#fetch().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  async #fetch(): Promise<boolean> {
    try {
      this.#keys = createLocalJWKSet((await this.#load()) as JSONWebKeySet);
      this.#loadedAt = this.#now();
      return true;
    } catch (error) {
      this.#problem = shortly(error);
      return false;
    }
  }
}

/** For the audit log; without paths. */
function shortly(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  return (error as NodeJS.ErrnoException).code ?? error.message;
}

/** How to load an issuer's keys. Throws `invalid_request` for files that can't be read. */
export function keySource(location: KeyLocation): () => Promise<unknown> {
  const { issuer, jwks, tokenFile } = location;
  const ca = location.ca === undefined ? undefined : readText(location.ca);
  if (jwks !== undefined && !isUrl(jwks)) {
    readText(jwks);
    return async () => JSON.parse(await readFile(jwks, 'utf8')) as unknown;
  }
  if (jwks !== undefined) {
    const url = checkedUrl(jwks);
    if (tokenFile !== undefined) readText(tokenFile);
    return async () => {
      const token = tokenFile === undefined ? undefined : (await readFile(tokenFile, 'utf8')).trim();
      return await fetchJson(url, ca, token);
    };
  }
  const discovery = checkedUrl(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
  return async () => {
    const found = (await fetchJson(discovery, ca)) as { issuer?: unknown; jwks_uri?: unknown } | null;
    // 4.3: else somebody else's keys could be taken for the issuer's.
    if (found?.issuer !== issuer) throw new Error('the discovery document is another issuer’s');
    return await fetchJson(checkedUrl(String(found.jwks_uri)), ca);
  };
}

export function isUrl(text: string): boolean {
  return /^https?:/i.test(text);
}

/** Plain HTTP only where nobody else can answer. */
function checkedUrl(text: string): URL {
  const url = URL.parse(text);
  const isLocal = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url?.hostname ?? '');
  if (url !== null && (url.protocol === 'https:' || (url.protocol === 'http:' && isLocal))) return url;
  throw new CountersignError('invalid_request', `${text} is not an https URL that keys can be fetched from`);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CountersignError('invalid_request', `the file ${file} cannot be read`, [], error);
  }
}

/** Follows no redirect, and looks at no environment. */
function fetchJson(url: URL, ca: string | undefined, token?: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? requestHttps : requestHttp;
    const headers = {
      accept: 'application/json',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    };
    const options = {
      headers,
      agent: false as const,
      rejectUnauthorized: true,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(ca !== undefined && { ca }),
    };
    const asked = request(url, options, (response) => {
      if (response.statusCode !== 200) {
        response.destroy();
        reject(new Error(`HTTP ${response.statusCode}`));
        return;
      }
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('error', reject);
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length > MAX_BYTES) response.destroy(new Error(`more than ${MAX_BYTES} bytes`));
      });
      response.on('end', () => {
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
        } catch {
          reject(new Error('not JSON'));
        }
      });
    });
    asked.on('error', reject);
    asked.end();
  });
}
