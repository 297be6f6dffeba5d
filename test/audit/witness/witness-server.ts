import { createHash, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A witness, written from https://c2sp.org/tlog-witness, tlog-cosignature, tlog-checkpoint, signed-note and RFC 6962
 * alone: it shares no code with the service. It keeps its state in a file, written before it answers.
 */
export interface TestWitness {
  readonly name: string;
  readonly vkey: string;
  /** Submission prefix. */
  readonly url: string;
  /** What it does in place of the protocol; absent: the protocol. */
  misbehave: Misbehaviour | undefined;
  /** How long it takes before it looks at a request. */
  delayMs: number;
  /** The most requests that it had at one time. */
  readonly atOnce: number;
  /** Bodies as they came. */
  readonly requests: readonly string[];
  /** Answers' statuses in their order. */
  readonly statuses: readonly number[];
  /** Trusts another key of a log, or one more log. */
  trust(logVkey: string): void;
  /** Of the newest checkpoint that it cosigned; 0 when there is none. */
  size(origin?: string): number;
  /** Forgets the log, as one would that was put back itself. */
  forget(): void;
  stop(): Promise<void>;
  /** Listens again, at the same port, with what is in its file. */
  start(): Promise<void>;
}

export type Misbehaviour = (request: IncomingMessage, response: ServerResponse, body: string) => void;

export interface WitnessOptions {
  readonly name?: string;
  /** Where its state is. */
  readonly file: string;
  readonly logs: readonly string[];
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
  /** Of another witness, whose key it has. */
  readonly keys?: WitnessKeys;
}

interface WitnessKeys {
  readonly privateKey: KeyObject;
  readonly raw: Buffer;
}

interface State {
  [origin: string]: { size: number; root: string };
}

export function witnessKeys(): WitnessKeys {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return { privateKey, raw: Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url') };
}

export async function startWitness(options: WitnessOptions): Promise<TestWitness> {
  const { name = 'witness.test/w1', file, tls, keys = witnessKeys() } = options;
  const logs = new Map(options.logs.map((vkey) => [vkey.slice(0, vkey.indexOf('+')), vkey]));
  const requests: string[] = [];
  const statuses: number[] = [];
  let server: Server | undefined;
  let port = 0;
  let open = 0;
  let atOnce = 0;

  const read = (): State => (existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as State) : {});
  const write = (state: State): void => {
    const fd = openSync(`${file}.new`, 'w');
    writeSync(fd, JSON.stringify(state));
    fsyncSync(fd);
    closeSync(fd);
    renameSync(`${file}.new`, file);
  };

  const witness: TestWitness = {
    name,
    vkey: vkeyOf(name, keys.raw),
    get url() {
      return `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/prefix`;
    },
    misbehave: undefined,
    delayMs: 0,
    get atOnce() {
      return atOnce;
    },
    requests,
    statuses,
    trust: (vkey) => void logs.set(vkey.slice(0, vkey.indexOf('+')), vkey),
    size: (origin = [...logs.keys()][0] ?? '') => read()[origin]?.size ?? 0,
    forget: () => write({}),
    stop: async () => {
      server?.closeAllConnections();
      if (server !== undefined) {
        server.close();
        await once(server, 'close');
      }
      server = undefined;
    },
    start: async () => {
      const handle = (request: IncomingMessage, response: ServerResponse): void =>
        void receive(request, response);
      server = tls === undefined ? createServer(handle) : createTlsServer(tls, handle);
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      ({ port } = server.address() as AddressInfo);
    },
  };

  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    atOnce = Math.max(atOnce, ++open);
    response.on('close', () => (open -= 1));
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString('utf8');
    requests.push(body);
    if (witness.misbehave !== undefined) {
      witness.misbehave(request, response, body);
      return;
    }
    if (witness.delayMs > 0) await sleep(witness.delayMs);
    const known = request.method === 'POST' && request.url === '/prefix/add-checkpoint';
    const answer: Answer = known ? addCheckpoint(body) : { status: 404 };
    statuses.push(answer.status);
    response.writeHead(answer.status, { 'content-type': answer.type ?? 'text/plain' }).end(answer.body ?? '');
  }

  /** Synchronous from reading its state to writing it, so that two requests can't come between each other. */
  function addCheckpoint(body: string): Answer {
    const asked = parseRequest(body);
    if (asked === undefined) return { status: 400 };
    const { old, proof, text, signatures, origin, size, root } = asked;
    const logVkey = logs.get(origin);
    if (logVkey === undefined) return { status: 404 };
    if (!isSignedBy(logVkey, text, signatures)) return { status: 403 };
    if (old > size) return { status: 400 };
    const state = read();
    const seen = state[origin] ?? { size: 0, root: '' };
    const conflict = { status: 409, type: 'text/x.tlog.size', body: `${seen.size}\n` };
    if (old !== seen.size) return conflict;
    if (old === size && old > 0 && seen.root !== root.toString('hex')) return conflict;
    if (
      old === 0 || old === size
        ? proof.length > 0
        : !leads(old, size, Buffer.from(seen.root, 'hex'), root, proof)
    ) {
      return { status: 422 };
    }
    write({ ...state, [origin]: { size, root: root.toString('hex') } });
    return { status: 200, body: cosign(name, keys, text) };
  }

  await witness.start();
  return witness;
}

interface Answer {
  readonly status: number;
  readonly type?: string;
  readonly body?: string;
}

/** A signature line; `seconds` is when it says that it was made. */
export function cosign(
  name: string,
  { privateKey, raw }: WitnessKeys,
  text: string,
  seconds = Math.floor(Date.now() / 1_000),
): string {
  const signature = sign(null, Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`), privateKey);
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(seconds));
  return `— ${name} ${Buffer.concat([keyId(name, 4, raw), time, signature]).toString('base64')}\n`;
}

export function vkeyOf(name: string, raw: Buffer): string {
  const key = Buffer.concat([Buffer.of(4), raw]).toString('base64');
  return `${name}+${keyId(name, 4, raw).toString('hex')}+${key}`;
}

function keyId(name: string, type: number, raw: Buffer): Buffer {
  return sha256(Buffer.from(`${name}\n`), Buffer.of(type), raw).subarray(0, 4);
}

interface Asked {
  readonly old: number;
  readonly proof: readonly Buffer[];
  readonly text: string;
  readonly signatures: readonly string[];
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
}

function parseRequest(body: string): Asked | undefined {
  const head = body.indexOf('\n\n');
  const [first = '', ...hashes] = body.slice(0, head).split('\n');
  const old = /^old (0|[1-9]\d*)$/.exec(first)?.[1];
  const note = body.slice(head + 2);
  const end = note.lastIndexOf('\n\n');
  if (head === -1 || old === undefined || end === -1 || hashes.length > 63 || !note.endsWith('\n'))
    return undefined;
  const text = note.slice(0, end + 1);
  const [origin, size, root] = text.split('\n');
  if (origin === undefined || size === undefined || root === undefined || !/^(0|[1-9]\d*)$/.test(size))
    return undefined;
  const decoded = [...hashes, root].map((hash) => Buffer.from(hash, 'base64'));
  if (decoded.some((hash, i) => hash.length !== 32 || hash.toString('base64') !== [...hashes, root][i]))
    return undefined;
  return {
    old: Number(old),
    proof: decoded.slice(0, -1),
    text,
    signatures: note.slice(end + 2, -1).split('\n'),
    origin,
    size: Number(size),
    root: decoded.at(-1)!,
  };
}

function isSignedBy(vkey: string, text: string, lines: readonly string[]): boolean {
  const [name = '', id = ''] = vkey.split('+');
  const raw = Buffer.from(vkey.slice(name.length + id.length + 2), 'base64').subarray(1);
  const key = createPublicKey({
    format: 'jwk',
    key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') },
  });
  return lines.some((line) => {
    const [dash, signer, encoded = ''] = line.split(' ');
    const bytes = Buffer.from(encoded, 'base64');
    if (dash !== '—' || signer !== name || bytes.subarray(0, 4).toString('hex') !== id) return false;
    return verify(null, Buffer.from(text), key, bytes.subarray(4));
  });
}

/**
 * RFC 6962 §2.1.2, read backwards: PROOF(m, D[n]) is a list from which the recursion of SUBPROOF takes from its end;
 * both roots are made again on the way.
 */
function leads(m: number, n: number, oldRoot: Buffer, newRoot: Buffer, proof: readonly Buffer[]): boolean {
  const rest = [...proof];
  const made = subproof(m, n, true, oldRoot, rest);
  return made !== undefined && rest.length === 0 && made.old.equals(oldRoot) && made.new.equals(newRoot);
}

function subproof(
  m: number,
  n: number,
  whole: boolean,
  oldRoot: Buffer,
  rest: Buffer[],
): { old: Buffer; new: Buffer } | undefined {
  if (m === n) {
    const hash = whole ? oldRoot : rest.pop();
    return hash && { old: hash, new: hash };
  }
  let k = 1;
  while (k * 2 < n) k *= 2;
  const other = rest.pop();
  if (other === undefined) return undefined;
  if (m <= k) {
    const left = subproof(m, k, whole, oldRoot, rest);
    return left && { old: left.old, new: node(left.new, other) };
  }
  const right = subproof(m - k, n - k, false, oldRoot, rest);
  return right && { old: node(other, right.old), new: node(other, right.new) };
}

function node(left: Buffer, right: Buffer): Buffer {
  return sha256(Buffer.of(1), left, right);
}

function sha256(...parts: readonly Buffer[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
