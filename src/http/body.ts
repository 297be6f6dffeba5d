import type { IncomingMessage } from 'node:http';
import { CountersignError } from '../errors.ts';

/** Room for a thousand transfers in one batch. */
const MAX_BODY_BYTES = 1024 * 1024;

/**
 * The whole body, as it came. Throws `payload_too_large` as soon as it is known to be, without waiting for its end,
 * which may never come: what is left of it is read into nothing, for no longer than a request may take.
 */
export function readBody(req: IncomingMessage): Promise<Buffer> {
  if ((req.headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity') {
    throw new CountersignError('invalid_request', 'the body must not be compressed');
  }
  if (Number(req.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const leave = (): void => {
      req.off('data', take).off('end', finish).off('error', broken).off('close', broken);
    };
    const take = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= MAX_BODY_BYTES) {
        chunks.push(chunk);
        return;
      }
      leave();
      req.on('error', () => undefined).resume();
      reject(tooLarge());
    };
    const finish = (): void => {
      leave();
      const [first] = chunks;
      resolve(first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks, size));
    };
    const broken = (): void => {
      leave();
      req.on('error', () => undefined);
      reject(new CountersignError('invalid_request', 'the request could not be read'));
    };
    req.on('data', take).on('end', finish).on('error', broken).on('close', broken);
    if (req.destroyed) broken();
  });
}

function tooLarge(): CountersignError {
  return new CountersignError('payload_too_large', `the body is over ${MAX_BODY_BYTES} bytes`);
}
