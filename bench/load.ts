import { connect, type Socket } from 'node:net';

export interface Load {
  readonly host: string;
  readonly port: number;
  readonly connections: number;
  readonly milliseconds: number;
  /** The next request's path and JSON body. */
  readonly next: () => { readonly path: string; readonly body: string };
  readonly token: string;
}

export interface LoadResult {
  /** Answers with status 200 a second. */
  readonly rate: number;
  /** Milliseconds from the first byte sent to the last byte received. */
  readonly p50: number;
  readonly p99: number;
  readonly failures: number;
}

/**
 * A closed loop of keep-alive connections, each with one request under way. A lean client of our own, because client
 * and service share two cores: what the client costs, the service does not get.
 */
export async function applyLoad(load: Load): Promise<LoadResult> {
  const times: number[] = [];
  const counts = { failures: 0 };
  const start = performance.now();
  const end = start + load.milliseconds;
  await Promise.all(Array.from({ length: load.connections }, () => drive(load, end, times, counts)));
  const elapsed = performance.now() - start;
  times.sort((a, b) => a - b);
  const quantile = (q: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? NaN;
  return {
    rate: (times.length * 1000) / elapsed,
    p50: quantile(0.5),
    p99: quantile(0.99),
    failures: counts.failures,
  };
}

async function drive(load: Load, end: number, times: number[], counts: { failures: number }): Promise<void> {
  const socket = connect(load.port, load.host);
  socket.setNoDelay(true);
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  while (performance.now() < end) {
    const { path, body } = load.next();
    const head =
      `POST ${path} HTTP/1.1\r\nHost: ${load.host}\r\nAuthorization: Bearer ${load.token}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
    const start = performance.now();
    const status = await exchange(socket, head + body);
    if (status === 200) times.push(performance.now() - start);
    else counts.failures++;
  }
  socket.destroy();
}

/** One request and its whole answer; the answer's status. */
function exchange(socket: Socket, request: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const headEnd = received.indexOf('\r\n\r\n');
      if (headEnd < 0) return;
      const head = received.toString('latin1', 0, headEnd);
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
      if (received.length < headEnd + 4 + length) return;
      socket.off('data', onData).off('error', reject);
      resolve(Number(head.slice(9, 12)));
    };
    socket.on('data', onData).once('error', reject);
    socket.write(request);
  });
}
