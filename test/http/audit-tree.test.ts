import { hash } from 'node:crypto';
import { request } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseCheckpoint, type Checkpoint } from '../../src/audit/tree/checkpoint.ts';
import { Frontier, leafHash } from '../../src/audit/tree/merkle.ts';
import { parseNote } from '../../src/audit/tree/note.ts';
import { formatTileName, parseBundle, tileWidth } from '../../src/audit/tree/tiles.ts';
import { verifyProof } from '../../src/audit/verify/proof.ts';
import { must, run, type Client, type Json, type Running } from './running.ts';

let service: Running;
let auditor: Client;
let vkey: string;
/** Answers to requests that were signed, over more than one tile. */
const answers: Json[] = [];

beforeAll(async () => {
  service = await run();
  auditor = await service.principal(['auditor']);
  vkey = must(await auditor.get('/v1/audit/key')).text.trimEnd();
  const items = Array.from({ length: 300 }, (_, i) => ({
    key: 'demo',
    operation: 'message',
    message: `${i}`,
  }));
  const { body } = must(await service.signer.post('/v1/sign/batch', { items }));
  for (const item of body.items) answers.push(item);
});
afterAll(() => service.end());

interface Bytes {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly bytes: Buffer;
}

/** As it is on the wire: `fetch` would unpack it. */
function getBytes(path: string, headers: Record<string, string> = {}): Promise<Bytes> {
  return new Promise((resolve, reject) => {
    const authorization = `Bearer ${auditor.token}`;
    request(service.url + path, { headers: { authorization, ...headers } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          bytes: Buffer.concat(chunks),
        }),
      );
    })
      .on('error', reject)
      .end();
  });
}

async function checkpoint(): Promise<Checkpoint> {
  return parseCheckpoint(parseNote(must(await auditor.get('/v1/audit/checkpoint')).text).text);
}

/** All hashes of a level, tile by tile, as a client of tlog-tiles fetches them for a tree of this size. */
async function level(number: number, size: number): Promise<Buffer> {
  const tiles: Buffer[] = [];
  for (let index = 0; ; index++) {
    const width = tileWidth(number, index, size);
    if (width === 0) return Buffer.concat(tiles);
    const { status, bytes } = await getBytes(`/v1/audit/tile/${number}/${formatTileName({ index, width })}`);
    expect([status, bytes.length]).toEqual([200, 32 * width]);
    tiles.push(bytes);
  }
}

describe('tiles', () => {
  test('and bundles have the whole log, down to the entries, up to the root', async () => {
    const { size, root } = await checkpoint();
    expect(size).toBeGreaterThan(300);
    const leaves = await level(0, size);
    const above = await level(1, size);
    expect(above).toHaveLength(32);
    expect(await level(2, size)).toHaveLength(0);

    const tree = new Frontier();
    for (let index = 0; index * 256 < size; index++) {
      const width = tileWidth(0, index, size);
      const name = formatTileName({ index, width });
      const { bytes } = await getBytes(`/v1/audit/tile/entries/${name}`);
      expect(tree.size === 0 || tree.root().equals(above)).toBe(true);
      for (const entry of parseBundle(bytes, width)) {
        const leaf = leafHash(entry);
        expect(leaf.equals(leaves.subarray(32 * tree.size, 32 * (tree.size + 1)))).toBe(true);
        tree.append(leaf);
      }
    }
    expect(tree.root().equals(root)).toBe(true);
  });

  test('are bytes that a client may keep for good, for itself', async () => {
    for (const path of ['0/000', '0/000.p/3', 'entries/000.p/3', '1/000.p/1']) {
      const { status, headers } = await getBytes(`/v1/audit/tile/${path}`);
      expect(status).toBe(200);
      expect(headers['content-type']).toBe('application/octet-stream');
      expect(headers['cache-control']).toBe('private, max-age=31536000, immutable');
    }
    expect((await auditor.get('/v1/audit/checkpoint')).headers.get('content-type')).toBe(
      'text/plain; charset=utf-8',
    );
    expect((await auditor.get('/v1/audit/checkpoint')).headers.get('cache-control')).toBe('no-store');
  });

  test('of entries are compressed for who takes gzip', async () => {
    const path = '/v1/audit/tile/entries/000';
    const plain = await getBytes(path);
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(plain.headers['vary']).toContain('Accept-Encoding');
    for (const accepted of ['gzip', 'br, gzip;q=0.5', 'deflate, GZIP', 'gzip;q=1.0']) {
      const packed = await getBytes(path, { 'accept-encoding': accepted });
      expect(packed.headers['content-encoding'], accepted).toBe('gzip');
      expect(packed.headers['content-length']).toBe(String(packed.bytes.length));
      expect(packed.bytes.length).toBeLessThan(plain.bytes.length / 3);
      expect(gunzipSync(packed.bytes).equals(plain.bytes)).toBe(true);
    }
    for (const refused of ['identity', 'br', 'gzip;q=0', 'gzip;q=0.0', 'notgzip', '']) {
      const { headers } = await getBytes(path, { 'accept-encoding': refused });
      expect(headers['content-encoding'], refused).toBeUndefined();
    }
  });

  test.each([
    '0/00',
    '0/0000',
    '0/x000/000',
    '0/x000',
    '0/000/',
    '0/000/000',
    '0/000.p/0',
    '0/000.p/256',
    '0/000.p/01',
    '0/000.p/1/1',
    '00/000',
    '64/000',
    '-1/000',
    'data/000',
    'entries/00',
    'entries/000.p/256',
    'entries/0/000',
  ])('are not named %s', async (name) => {
    const { status, body } = await auditor.get(`/v1/audit/tile/${name}`);
    expect([status, body.code]).toEqual([400, 'invalid_request']);
    expect(body.errors.length).toBeGreaterThan(0);
  });

  test.each(['0/000%2ep/1', '0/x000%2f000', '0/.p/1', '0//000'])(
    'are at no path such as %s',
    async (name) => {
      const { status } = await getBytes(`/v1/audit/tile/${name}`);
      expect(status).toBe(400);
    },
  );

  test.each(['0', 'entries', 'entries/', '0/'])('are not at %s', async (name) => {
    expect((await auditor.get(`/v1/audit/tile/${name}`)).status).toBe(404);
  });

  test.each([
    '0/002',
    '0/001',
    '0/x001/x234/067',
    '1/000',
    '1/000.p/2',
    '2/000.p/1',
    '63/000',
    'entries/002',
  ])('are not there before the log has their entries: %s', async (name) => {
    const { status, body } = await auditor.get(`/v1/audit/tile/${name}`);
    expect([status, body.code]).toEqual([404, 'not_found']);
    expect(body.detail).toMatch(/^the log has \d+ entries, and so /);
  });

  test('are only read', async () => {
    const { status, headers } = await auditor.post('/v1/audit/tile/0/x001/000', {});
    expect(status).toBe(405);
    expect(headers.get('allow')).toBe('GET, HEAD');
  });
});

describe('the proof', () => {
  test('of every signature that was answered verifies offline, against its receipt', async () => {
    for (const { receipt } of answers) {
      const { text, headers } = must(await auditor.get(`/v1/audit/entries/${receipt.index}/proof`));
      const proven = verifyProof(text, { receipt }, vkey);
      expect(proven).toMatchObject(receipt);
      expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
      expect(headers.get('cache-control')).toBe('no-store');
    }
  });

  test('of a signature is there at once', async () => {
    for (let i = 0; i < 5; i++) {
      const signed = must(await service.signer.post('/v1/keys/demo/sign/message', { message: `now ${i}` }));
      const { receipt } = signed.body;
      const { text } = must(await auditor.get(`/v1/audit/entries/${receipt.index}/proof`));
      expect(verifyProof(text, { receipt }, vkey).size).toBeGreaterThan(receipt.index);
    }
  });

  test('of many at once, asked for while entries come in', async () => {
    const signed = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const { body } = must(
          await service.signer.post('/v1/keys/demo/sign/message', { message: `at ${i}` }),
        );
        const { text } = must(await auditor.get(`/v1/audit/entries/${body.receipt.index}/proof`));
        return { receipt: body.receipt, text };
      }),
    );
    for (const { receipt, text } of signed)
      expect(verifyProof(text, { receipt }, vkey).index).toBe(receipt.index);
  });

  test('is none of an entry that is not there', async () => {
    const size = await service.size();
    for (const index of [size + 50, 2 ** 53 - 1]) {
      const { status, body } = await auditor.get(`/v1/audit/entries/${index}/proof`);
      expect([status, body.detail]).toEqual([404, `the log has no entry ${index}`]);
    }
    expect((await auditor.get('/v1/audit/entries/01/proof')).status).toBe(400);
  });

  test('of what was logged while the service is sealed waits until somebody can sign', async () => {
    must(await service.admin.post('/v1/sys/seal', {}));
    try {
      const { text } = must(await auditor.get('/v1/audit/entries/0/proof'));
      const leaf = await level(0, 1);
      verifyProof(text, { leafHash: leaf }, vkey);
      const index = (await service.size()) - 1;
      const { status, body } = await auditor.get(`/v1/audit/entries/${index}/proof`);
      expect([status, body.code]).toEqual([503, 'sealed']);
    } finally {
      must(await service.admin.post('/v1/sys/unseal', {}));
    }
    const newest = (await service.size()) - 1;
    expect((await auditor.get(`/v1/audit/entries/${newest}/proof`)).status).toBe(200);
  });
});

describe('data kept beside an entry', () => {
  test('is what the entry names by its hash', async () => {
    const data = Buffer.alloc(20_000, 0x5a);
    const message = { data: `0x${data.toString('hex')}` };
    const { body } = must(await service.signer.post('/v1/keys/demo/sign/message', message));
    const { entry } = must(await auditor.get(`/v1/audit/entries/${body.receipt.index}`)).body;
    expect(entry.intent).toEqual({
      dataHash: `0x${hash('sha256', data)}`,
      dataLength: data.length,
    });
    const kept = await getBytes(`/v1/audit/data/${entry.intent.dataHash}`);
    expect(kept.bytes.equals(data)).toBe(true);
    expect(kept.headers['cache-control']).toBe('private, max-age=31536000, immutable');
  });

  test('is nothing else', async () => {
    const missing = await auditor.get(`/v1/audit/data/0x${'ab'.repeat(32)}`);
    expect([missing.status, missing.body.code]).toEqual([404, 'not_found']);
    for (const name of ['ab'.repeat(32), `0x${'AB'.repeat(32)}`, '0xab'])
      expect((await auditor.get(`/v1/audit/data/${name}`)).status).toBe(400);
  });
});
