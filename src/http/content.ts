import { once } from 'node:events';
import type { Response } from 'express';

/** What an answer is written to piece by piece. */
export interface Outgoing {
  /** Resolves when there is room for more. Throws when the other end has gone. */
  write(chunk: string | Uint8Array): Promise<void>;
  /** Aborted when the other end has gone. */
  readonly gone: AbortSignal;
}

/** A good answer that is not JSON or short text: bytes, or what is written while it is made. */
export class Content {
  readonly body: Uint8Array | ((out: Outgoing) => Promise<void>);
  readonly headers: { readonly [name: string]: string };

  constructor(body: Content['body'], headers: Content['headers'] = {}) {
    this.body = body;
    this.headers = headers;
  }
}

/** Status and media type are set already. What a writer throws after its first piece can only cut the answer short. */
export async function sendContent(res: Response, { body, headers }: Content): Promise<void> {
  res.set(headers);
  if (typeof body !== 'function') {
    res.send(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
    return;
  }
  if (res.req.method === 'HEAD') {
    res.end();
    return;
  }
  const gone = new AbortController();
  // Making ready may have taken long enough for it to be over.
  if (res.closed) gone.abort();
  res.once('close', () => gone.abort());
  const write = async (chunk: string | Uint8Array): Promise<void> => {
    gone.signal.throwIfAborted();
    if (!res.write(chunk)) await once(res, 'drain', { signal: gone.signal });
  };
  try {
    await body({ write, gone: gone.signal });
    res.end();
  } catch (error) {
    // Nobody is there to be told.
    if (!gone.signal.aborted) throw error;
  }
}
