import { once } from 'node:events';
import { sendHead, sendWhole, textType, type Exchange } from './exchange.ts';

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

/** What a writer throws after its first piece can only cut the answer short. */
export async function sendContent(
  exchange: Exchange,
  status: number,
  mediaType: string | undefined,
  { body, headers }: Content,
): Promise<void> {
  const { req, res } = exchange;
  const { 'Content-Type': type = mediaType ?? 'application/octet-stream', ...others } = headers;
  const full = /^(?:text\/|application\/json$)/.test(type) ? textType(type) : type;
  exchange.headers.push(...Object.entries(others).flat());
  if (typeof body !== 'function') {
    sendWhole(exchange, status, full, body);
    return;
  }
  sendHead(exchange, status, ['Content-Type', full, ...exchange.headers]);
  if (req.method === 'HEAD') {
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
