import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { signedHeaders } from '../../src/audit/sinks/webhook-signature.ts';
import { makeDirectory } from '../service.ts';

/** Somebody who is asked whether a step of a rotation may come. */
export interface Board {
  readonly url: string;
  readonly secretFile: string;
  /** The questions so far. */
  readonly asked: readonly object[];
  /** What it answers from now on. */
  say(answer: 'yes' | 'no' | 'broken'): void;
  close(): void;
}

export async function startBoard(): Promise<Board> {
  const secret = randomBytes(32);
  const secretFile = path.join(makeDirectory(), 'board.secret');
  writeFileSync(secretFile, `whsec_${secret.toString('base64')}\n`);
  const asked: object[] = [];
  let answer: 'yes' | 'no' | 'broken' = 'no';
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    request.on('end', () => {
      asked.push(JSON.parse(text) as object);
      if (answer === 'broken') {
        response.writeHead(500).end();
        return;
      }
      const id = String(request.headers['webhook-id']);
      const body = Buffer.from(JSON.stringify({ question: id, answer }));
      response
        .writeHead(200, { ...signedHeaders(id, Math.floor(Date.now() / 1_000), body, [secret]) })
        .end(body);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    secretFile,
    asked,
    say: (next) => void (answer = next),
    close: () => void server.close(),
  };
}
