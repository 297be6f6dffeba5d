import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { WitnessClient, type Outcome } from '../../../src/audit/witness/client.ts';
import { makePki } from '../../http/pki.ts';
import { makeDirectory } from '../../service.ts';
import { watchedLog, type WatchedLog } from './watched-log.ts';
import { cosign, startWitness, witnessKeys, type Misbehaviour, type TestWitness } from './witness-server.ts';

const directory = makeDirectory();
let log: WatchedLog;
let witness: TestWitness;
let client: WitnessClient;

const clientOf = (timeoutMs?: number): WitnessClient =>
  new WitnessClient({ vkey: witness.vkey, url: witness.url }, log, timeoutMs);
const ask = async (size?: number): Promise<Outcome> => await client.cosign(log.checkpoint(size));
const problem = (outcome: Outcome): string => ('problem' in outcome ? outcome.problem : outcome.kind);
const olds = (): string[] => witness.requests.map((body) => body.slice(0, body.indexOf('\n')));

beforeEach(async () => {
  log = watchedLog();
  log.append(5);
  const file = path.join(directory, `${randomBytes(6).toString('hex')}.json`);
  witness = await startWitness({ file, logs: [log.vkey] });
  client = clientOf();
  return async () => await witness.stop();
});

describe('an honest witness', () => {
  it('cosigns, at each size from each size', async () => {
    for (let step = 1; step <= 40; step++) {
      const before = BigInt(Math.floor(Date.now() / 1_000));
      const outcome = await ask();
      expect(outcome).toMatchObject({ kind: 'cosigned', cosignature: { line: { name: witness.name } } });
      expect(outcome.kind === 'cosigned' && outcome.cosignature.timestamp >= before).toBe(true);
      expect(witness.size()).toBe(log.size());
      log.append(step);
    }
    expect(new Set(witness.statuses)).toEqual(new Set([200]));
  });

  it('is asked from zero when nothing is known of it, and from where it stands when it says so', async () => {
    await ask();
    log.append(3);
    client = clientOf();
    expect((await ask()).kind).toBe('cosigned');
    expect(olds()).toEqual(['old 0', 'old 0', 'old 5']);
    expect(witness.statuses).toEqual([200, 409, 200]);
  });

  it('is asked from where it was known to stand', async () => {
    await ask();
    log.append(3);
    client = clientOf();
    client.resumeAt(5);
    expect((await ask()).kind).toBe('cosigned');
    expect(olds()).toEqual(['old 0', 'old 5']);
  });

  it('cosigns the same checkpoint again', async () => {
    await ask();
    expect((await ask()).kind).toBe('cosigned');
    expect(olds()).toEqual(['old 0', 'old 5']);
  });

  it('that was put back itself is asked from where it stands now', async () => {
    await ask();
    witness.forget();
    log.append(2);
    expect((await ask()).kind).toBe('cosigned');
    expect(witness.size()).toBe(7);
  });

  it('that is restarted goes on from its file', async () => {
    await ask();
    await witness.stop();
    log.append(2);
    expect(problem(await ask())).toBe('ECONNREFUSED');
    await witness.start();
    expect((await ask()).kind).toBe('cosigned');
    expect(olds()).toEqual(['old 0', 'old 5']);
  });

  it('that has seen a newer checkpoint of this log says from where to ask', async () => {
    await ask();
    expect(await clientOf().cosign(log.checkpoint(3))).toEqual({ kind: 'behind', size: 5 });
  });

  it.each([
    ['another log', () => watchedLog('log.test/two'), 'refused', 'it does not know this log (HTTP 404)'],
    ['another key', () => watchedLog(), 'refused', 'it does not trust the key that signs the checkpoints'],
  ] as const)('does not cosign for %s', async (_what, other, kind, text) => {
    const stranger = other();
    stranger.append(1);
    const outcome = await client.cosign(stranger.checkpoint());
    expect(outcome.kind).toBe(kind);
    expect(problem(outcome)).toContain(text);
  });
});

describe('a log that is not what the witness saw', () => {
  beforeEach(async () => {
    log.append(15);
    const { kind } = await ask();
    if (kind !== 'cosigned') throw new Error(kind);
  });

  const evidenceOf = (outcome: Outcome): { size: number; message: string; source: string } => {
    if (outcome.kind !== 'split') throw new Error(`no evidence, but ${JSON.stringify(outcome)}`);
    return outcome.evidence;
  };

  it('because it was put back, is found by the size', async () => {
    log.cut(12);
    log.append(2, 'other');
    const evidence = evidenceOf(await ask());
    expect(evidence).toMatchObject({ source: `witness ${witness.name}`, size: 20 });
    expect(evidence.message).toContain('has cosigned 20 entries of this log, and the log has 14');
    expect(evidenceOf(await clientOf().cosign(log.checkpoint())).size).toBe(20);
  });

  it('because it was put back and has grown to the same size, is found by the root', async () => {
    log.cut(12);
    log.append(8, 'other');
    for (const each of [client, clientOf()]) {
      const evidence = evidenceOf(await each.cosign(log.checkpoint()));
      expect(evidence.size).toBe(20);
      expect(evidence.message).toContain('another history of the first 20 entries');
    }
  });

  it('and has the same size, is found also where the witness says 422 for that', async () => {
    log.cut(12);
    log.append(8, 'other');
    witness.misbehave = (_request, response) => void response.writeHead(422).end();
    expect(evidenceOf(await ask()).message).toContain('another history of the first 20 entries');
  });

  it.each([21, 32, 33, 200])(
    'because it was put back and has grown to %i, is found by the proof',
    async (size) => {
      log.cut(12);
      log.append(size - 12, 'other');
      for (const each of [client, clientOf()]) {
        const evidence = evidenceOf(await each.cosign(log.checkpoint()));
        expect(evidence.size).toBe(20);
        expect(evidence.message).toContain('another history of the first 20 entries');
      }
    },
  );

  it('because its stored tree was damaged, is told from one that was put back', async () => {
    log.append(5);
    const checkpoint = log.checkpoint();
    log.cut(22);
    log.append(3, 'damaged');
    const evidence = evidenceOf(await client.cosign(checkpoint));
    expect(evidence.source).toBe('the stored tree');
  });
});

describe('a witness that does not keep to the protocol', () => {
  const says =
    (status: number, body = '', headers: Record<string, string> = {}): Misbehaviour =>
    (_request, response) =>
      void response.writeHead(status, headers).end(body);
  const textOf = (body: string): string => body.slice(body.indexOf('\n\n') + 2).split('\n\n')[0] + '\n';
  const signs =
    (make: (text: string) => string): Misbehaviour =>
    (_request, response, body) =>
      void response.end(make(textOf(body)));
  const stranger = witnessKeys();

  it.each<[string, Misbehaviour, string]>([
    ['nothing', says(200), 'its answer is not signature lines'],
    ['garbage', says(200, '\u0000\u0001garbage'), 'its answer is not signature lines'],
    [
      'bytes that are no text',
      (_q, response) => void response.end(randomBytes(300)),
      'its answer is not signature lines',
    ],
    ['a web page', says(200, '<html>\n'), 'its answer is not signature lines'],
    [
      'a line that is not ended',
      signs((text) => cosign('w', stranger, text).trimEnd()),
      'its answer is not signature lines',
    ],
    [
      'a text of its own',
      signs((text) => `${text}\n${cosign('w', stranger, text)}`),
      'its answer is not signature lines',
    ],
    [
      'a stranger’s name',
      signs((text) => cosign('w', stranger, text)),
      'no valid cosignature of the configured key',
    ],
    [
      'another key under its name',
      signs((text) => cosign('witness.test/w1', stranger, text)),
      'no valid cosignature',
    ],
    ['a sealed box', says(500), 'HTTP 500'],
    ['overload', says(503), 'HTTP 503'],
    ['a number of its own', says(299), 'HTTP 299'],
    ['no content', says(204), 'HTTP 204'],
    ['that it is malformed', says(400), 'it finds the request malformed'],
    ['a conflict without a size', says(409), 'it refuses the size 0 (HTTP 409) and names no other'],
    ['a conflict of another type', says(409, '3\n', { 'content-type': 'text/plain' }), 'names no other'],
    [
      'a conflict with a leading zero',
      says(409, '03\n', { 'content-type': 'text/x.tlog.size' }),
      'names no other',
    ],
    [
      'a conflict with the size that was sent',
      says(409, '0\n', { 'content-type': 'text/x.tlog.size' }),
      'names no other',
    ],
    ['422 where there is no proof', says(422), 'it finds a proof wrong where none is needed'],
    [
      'a redirect',
      says(307, '', { location: 'http://127.0.0.1:1/add-checkpoint' }),
      'it redirects (HTTP 307), which is not followed',
    ],
    [
      'too much',
      (_q, response) => void response.end('x'.repeat(1_000_000)),
      'an answer of more than 65536 bytes',
    ],
  ])('saying %s', async (_what, misbehaviour, text) => {
    witness.misbehave = misbehaviour;
    const outcome = await ask();
    expect(['failed', 'refused']).toContain(outcome.kind);
    expect(problem(outcome)).toContain(text);
    witness.misbehave = undefined;
    expect((await ask()).kind).toBe('cosigned');
  });

  it('signing another text under its key and name', async () => {
    const keys = witnessKeys();
    await witness.stop();
    witness = await startWitness({ file: path.join(directory, 'liar.json'), logs: [log.vkey], keys });
    client = clientOf();
    for (const make of [
      (text: string) => cosign(witness.name, keys, text.replace('\n5\n', '\n6\n')),
      (text: string) => cosign(witness.name, keys, text) + cosign(witness.name, keys, 'other\n'),
      // Valid over all that it would be part of.
      (text: string) => `more\n\n${cosign(witness.name, keys, `${text}\nmore\n`)}`,
    ]) {
      witness.misbehave = signs(make);
      expect(problem(await ask())).toMatch(
        /^its answer (?:has no valid cosignature of the configured key|is not signature lines)$/,
      );
    }
    witness.misbehave = signs((text) => cosign('other', stranger, text) + cosign(witness.name, keys, text));
    expect((await ask()).kind).toBe('cosigned');
  });

  it('naming sizes without end', async () => {
    let size = 0;
    witness.misbehave = (_request, response) => {
      response.writeHead(409, { 'content-type': 'text/x.tlog.size' }).end(`${++size}\n`);
    };
    expect(problem(await ask())).toBe('it names another size each time (HTTP 409)');
    expect(size).toBe(3);
  });

  it('saying nothing', async () => {
    client = clientOf(100);
    witness.misbehave = () => undefined;
    expect(problem(await ask())).toBe('no answer in time');
  });

  it('saying a little at a time', async () => {
    client = clientOf(150);
    witness.misbehave = (_request, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write('— '), 10);
      response.on('close', () => clearInterval(timer));
    };
    expect(problem(await ask())).toBe('no answer in time');
  });

  it('hanging up', async () => {
    witness.misbehave = (request) => void request.socket.destroy();
    expect(problem(await ask())).toBe('ECONNRESET');
  });

  it('hanging up on a connection that it kept open is asked again at once', async () => {
    await ask();
    let hungUp = 0;
    witness.misbehave = (request, _response) => {
      hungUp += 1;
      witness.misbehave = undefined;
      request.socket.destroy();
    };
    log.append(1);
    expect((await ask()).kind).toBe('cosigned');
    expect(hungUp).toBe(1);
  });

  it('lying about its size is evidence, for an operator to look at', async () => {
    witness.misbehave = says(409, '1000\n', { 'content-type': 'text/x.tlog.size' });
    expect(await ask()).toMatchObject({ kind: 'split', evidence: { size: 1_000 } });
  });
});

describe('over TLS', () => {
  const pki = makePki();
  const authority = pki.authority('ca');
  const server = pki.issue(authority, 'witness', 'subjectAltName=IP:127.0.0.1');
  afterAll(() => pki.remove());

  beforeEach(async () => {
    await witness.stop();
    const file = path.join(directory, `${randomBytes(6).toString('hex')}.json`);
    witness = await startWitness({ file, logs: [log.vkey], tls: server.pem });
  });

  it('is believed by the configured CA, and by no other', async () => {
    client = new WitnessClient({ vkey: witness.vkey, url: witness.url, ca: authority.cert }, log);
    expect((await ask()).kind).toBe('cosigned');
    for (const ca of [undefined, pki.authority('other').cert]) {
      client = new WitnessClient({ vkey: witness.vkey, url: witness.url, ca }, log);
      expect((await ask()).kind).toBe('failed');
    }
    expect(witness.requests).toHaveLength(1);
  });

  it('takes a CA file that is there', () => {
    const settings = { vkey: witness.vkey, url: witness.url, ca: path.join(directory, 'none.crt') };
    expect(() => new WitnessClient(settings, log)).toThrow(
      expect.objectContaining({ code: 'invalid_request' }),
    );
  });
});
