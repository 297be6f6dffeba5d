import { createHmac } from 'node:crypto';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { directoryAnchor } from '../../../src/audit/anchors/directory.ts';
import { fileAnchor } from '../../../src/audit/anchors/file.ts';
import { openAnchor } from '../../../src/audit/anchors/open.ts';
import { makeDirectory } from '../../service.ts';
import { watchedLog } from '../witness/watched-log.ts';
import { bodyOf, startObjectStore, type ObjectStore } from './object-store.ts';

const log = watchedLog();
log.append(9);
const [three, four, nine] = [log.checkpoint(3), log.checkpoint(4), log.checkpoint(9)];
let directory: string;
beforeEach(() => {
  directory = makeDirectory();
});

describe('a file', () => {
  const file = (): string => path.join(directory, 'checkpoints.jsonl');

  it('has a line for each checkpoint, and the last is the newest', async () => {
    const anchor = fileAnchor('worm', file());
    expect(await anchor.newest?.()).toBeUndefined();
    for (const each of [three, nine, four]) await anchor.publish(each);
    const lines = readFileSync(file(), 'utf8').split('\n');
    expect(lines.pop()).toBe('');
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([three, nine, four]);
    expect(await fileAnchor('worm', file()).newest?.()).toBe(four.note);
  });

  it('that a crash cut off at any place keeps what was whole, and goes on', async () => {
    const anchor = fileAnchor('worm', file());
    await anchor.publish(three);
    const whole = readFileSync(file()).length;
    await anchor.publish(four);
    const both = readFileSync(file());
    for (let length = whole + 1; length < both.length - 1; length += 7) {
      writeFileSync(file(), both.subarray(0, length));
      expect(await anchor.newest?.()).toBe(three.note);
      await anchor.publish(nine);
      expect(await anchor.newest?.()).toBe(nine.note);
      expect(readFileSync(file()).subarray(0, length)).toEqual(both.subarray(0, length));
    }
  });

  it('that is long is read from its end only', async () => {
    const anchor = fileAnchor('worm', file());
    appendFileSync(file(), `${JSON.stringify({ note: 'x'.repeat(1_000_000) })}\n`);
    await anchor.publish(four);
    expect(await anchor.newest?.()).toBe(four.note);
  });

  it('that holds something else is not taken for an empty one', async () => {
    writeFileSync(file(), 'something\nelse\n');
    await expect(fileAnchor('worm', file()).newest?.()).rejects.toThrow(
      'no checkpoint can be read at its end',
    );
    writeFileSync(file(), '');
    expect(await fileAnchor('worm', file()).newest?.()).toBeUndefined();
  });

  it('that cannot be written says so', async () => {
    await expect(fileAnchor('worm', path.join(directory, 'none', 'x')).publish(three)).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });
});

describe('a directory', () => {
  it('has a file for each checkpoint, named by its size', async () => {
    const anchor = directoryAnchor('dir', directory);
    expect(await anchor.newest?.()).toBeUndefined();
    for (const each of [nine, three, four]) expect(await anchor.publish(each)).toBeUndefined();
    expect(readdirSync(directory)).toEqual([
      '0000000000000003.txt',
      '0000000000000004.txt',
      '0000000000000009.txt',
    ]);
    expect(readFileSync(path.join(directory, '0000000000000004.txt'), 'utf8')).toBe(four.note);
    expect(await anchor.newest?.()).toBe(nine.note);
  });

  it('gives what is kept under a name, and does not write it again', async () => {
    const anchor = directoryAnchor('dir', directory);
    await anchor.publish(three);
    expect(await anchor.publish({ size: 3, note: nine.note })).toBe(three.note);
    expect(readFileSync(path.join(directory, '0000000000000003.txt'), 'utf8')).toBe(three.note);
  });

  it('with what a crash left in it goes on', async () => {
    const anchor = directoryAnchor('dir', directory);
    writeFileSync(path.join(directory, '0000000000000003.txt.new'), 'half');
    writeFileSync(path.join(directory, 'README'), 'other things');
    expect(await anchor.newest?.()).toBeUndefined();
    await anchor.publish(three);
    expect(await anchor.newest?.()).toBe(three.note);
  });

  it('that is not there, as a mount that is not mounted, is not taken for an empty one', async () => {
    const anchor = directoryAnchor('dir', path.join(directory, 'none'));
    await expect(anchor.newest?.()).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(anchor.publish(three)).rejects.toMatchObject({ code: 'ENOENT' });
    mkdirSync(path.join(directory, 'none'));
    expect(await anchor.publish(three)).toBeUndefined();
  });
});

describe('a webhook', () => {
  const secret = Buffer.alloc(32, 5);
  let server: Server;
  let url: string;
  let seen: { readonly headers: IncomingMessage['headers']; readonly body: string }[];
  let answer: (response: ServerResponse) => void;

  beforeEach(async () => {
    seen = [];
    answer = (response) => void response.writeHead(204).end();
    server = createServer((request, response) => {
      void bodyOf(request).then((body) => {
        seen.push({ headers: request.headers, body: body.toString('utf8') });
        return answer(response);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
    writeFileSync(path.join(directory, 'secret'), `whsec_${secret.toString('base64')}\n`);
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });
  const anchorOf = (secretFile = 'secret') =>
    openAnchor({
      type: 'webhook',
      name: 'hook',
      url,
      secretFiles: [path.join(directory, secretFile)],
      timeoutSeconds: 1,
    });

  it('gets the note, signed', async () => {
    await anchorOf().publish(four);
    const [{ headers, body } = { headers: {}, body: '' }] = seen;
    expect(body).toBe(four.note);
    expect(headers['content-type']).toBe('text/plain; charset=utf-8');
    const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature } = headers;
    expect(id).toBe('checkpoint-4');
    const made = createHmac('sha256', secret)
      .update(`${String(id)}.${String(time)}.${body}`)
      .digest('base64');
    expect(signature).toBe(`v1,${made}`);
  });

  it.each([
    [500, 'HTTP 500'],
    [302, 'HTTP 302'],
    [410, 'HTTP 410'],
  ])('that answers %i has not got it', async (status, problem) => {
    answer = (response) => void response.writeHead(status, { location: url }).end();
    await expect(anchorOf().publish(four)).rejects.toThrow(problem);
    expect(seen).toHaveLength(1);
  });

  it('that does not answer has not got it', async () => {
    answer = () => undefined;
    await expect(anchorOf().publish(four)).rejects.toThrow('no answer in time');
  });

  it('is not told anything without a good secret, and the secret is in no message', async () => {
    const weak = 'c2hvcnQ=';
    writeFileSync(path.join(directory, 'weak'), `whsec_${weak}`);
    await expect(anchorOf('weak').publish(four)).rejects.toThrow(
      expect.objectContaining({ message: expect.not.stringContaining(weak) }),
    );
    await expect(anchorOf('none').publish(four)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(seen).toEqual([]);
  });
});

describe('an object store', () => {
  const secretAccessKey = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
  let store: ObjectStore;

  beforeEach(async () => {
    store = await startObjectStore({ accessKeyId: 'AKIDEXAMPLE', secretAccessKey, region: 'eu-test-1' });
    credentials({ accessKeyId: 'AKIDEXAMPLE', secretAccessKey });
    return async () => await store.stop();
  });
  const credentials = (value: unknown): void =>
    writeFileSync(path.join(directory, 's3.json'), typeof value === 'string' ? value : JSON.stringify(value));
  const anchorOf = (prefix = '/bucket/a_b-c.d~e') =>
    openAnchor({
      type: 's3',
      name: 'bucket',
      url: new URL(prefix, store.url).href,
      region: 'eu-test-1',
      credentialsFile: path.join(directory, 's3.json'),
      timeoutSeconds: 1,
    });

  it('gets an object for each checkpoint, under a valid signature', async () => {
    const anchor = anchorOf('/bucket/prefix');
    expect(await anchor.publish(three)).toBeUndefined();
    expect(await anchor.publish(nine)).toBeUndefined();
    expect([...store.objects]).toEqual([
      ['/bucket/prefix/0000000000000003.txt', three.note],
      ['/bucket/prefix/0000000000000009.txt', nine.note],
    ]);
  });

  it('with a session token', async () => {
    credentials({ accessKeyId: 'AKIDEXAMPLE', secretAccessKey, sessionToken: 'token/with+signs=' });
    expect(await anchorOf().publish(three)).toBeUndefined();
    expect(store.tokens).toEqual(['token/with+signs=']);
  });

  it('keeps what it has, and gives it', async () => {
    const anchor = anchorOf('/bucket');
    await anchor.publish(three);
    expect(await anchor.publish({ size: 3, note: nine.note })).toBe(three.note);
    expect(store.objects.size).toBe(1);
  });

  it('that refuses is quoted by its code, and the credentials are in no message', async () => {
    credentials({ accessKeyId: 'AKIDEXAMPLE', secretAccessKey: `${secretAccessKey}x` });
    await expect(anchorOf().publish(three)).rejects.toThrow(/^HTTP 403 SignatureDoesNotMatch$/);
    for (const bad of [
      `{"accessKeyId": "${secretAccessKey}"`,
      { accessKeyId: 'a', secret: secretAccessKey },
      '[]',
    ]) {
      credentials(bad);
      await expect(anchorOf().publish(three)).rejects.toThrow(
        expect.objectContaining({ message: expect.not.stringContaining(secretAccessKey) }),
      );
    }
    rmSync(path.join(directory, 's3.json'));
    await expect(anchorOf().publish(three)).rejects.toThrow('cannot be read');
    expect(store.objects.size).toBe(0);
  });
});

it('a file whose end is cut within its only line has no checkpoint', async () => {
  const file = path.join(directory, 'one.jsonl');
  await fileAnchor('worm', file).publish(three);
  truncateSync(file, 20);
  await expect(fileAnchor('worm', file).newest?.()).rejects.toThrow('no checkpoint can be read');
});
