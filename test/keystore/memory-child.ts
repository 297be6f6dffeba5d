import { readFileSync } from 'node:fs';
import { openSecret, type SealedIdentity } from '../../src/keystore/envelope.ts';

/** Opens every blob of the file, lets the garbage collector run, wipes, and waits to be looked at. */
interface Job {
  readonly kek: string;
  readonly identity: SealedIdentity;
  readonly blobs: readonly string[];
}

const job = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Job;
const leak = process.argv[3] === 'leak';
const kek = Buffer.from(job.kek, 'hex');
const secrets: Buffer[] = [];
for (const blob of job.blobs) {
  secrets.push(openSecret(() => kek, job.identity, Buffer.from(blob, 'hex')));
  if (secrets.length % 20 === 0) globalThis.gc?.({ type: 'minor' });
}
globalThis.gc?.();
if (!leak) for (const secret of secrets) secret.fill(0);
process.send?.(secrets.length);
setInterval(() => secrets.length, 1000);
