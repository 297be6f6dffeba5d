import { connect, type Socket } from 'node:net';

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly token: string;
}

export interface Load extends Target {
  readonly connections: number;
  readonly milliseconds: number;
  /** The next request's path and JSON body. */
  readonly next: () => { readonly path: string; readonly body: string };
  /** Requests a second, whatever becomes of them: one for which no connection is free waits, and that is counted. As many as are answered, when absent. */
  readonly rate?: number;
}

export interface LoadResult {
  /** Answers with status 200 a second. */
  readonly rate: number;
  /** Milliseconds from when a request was to be sent to the last byte of its answer, where that is a 200. */
  readonly p50: number;
  readonly p99: number;
  /** Answers by their status. */
  readonly statuses: { readonly [status: number]: number };
  readonly failures: number;
}

/**
 * A lean client of our own, because client and service share two cores: what the client costs, the service does not get.
 * Without a rate it is a closed loop of keep-alive connections, each with one request under way.
 */
export async function applyLoad(load: Load): Promise<LoadResult> {
  const times: number[] = [];
  const statuses: Record<number, number> = {};
  const note = (status: number, milliseconds: number): void => {
    statuses[status] = (statuses[status] ?? 0) + 1;
    if (status === 200) times.push(milliseconds);
  };
  const sockets = await Promise.all(Array.from({ length: load.connections }, () => open(load)));
  const start = performance.now();
  const end = start + load.milliseconds;
  if (load.rate === undefined) await Promise.all(sockets.map((socket) => drive(socket, load, end, note)));
  else await offer(sockets, load, load.rate, start, end, note);
  const elapsed = performance.now() - start;
  times.sort((a, b) => a - b);
  const quantile = (q: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? NaN;
  const answers = Object.values(statuses).reduce((sum, count) => sum + count, 0);
  return {
    rate: (times.length * 1000) / elapsed,
    p50: quantile(0.5),
    p99: quantile(0.99),
    statuses,
    failures: answers - times.length,
  };
}

type Note = (status: number, milliseconds: number) => void;

async function drive(socket: Socket, load: Load, end: number, note: Note): Promise<void> {
  while (performance.now() < end) {
    const start = performance.now();
    const status = await exchange(socket, requestOf(load));
    note(status, performance.now() - start);
  }
  socket.destroy();
}

/** Sends at fixed times: a service that is late makes requests wait, and that waiting is counted. */
async function offer(
  idle: Socket[],
  load: Load,
  rate: number,
  start: number,
  end: number,
  note: Note,
): Promise<void> {
  const waiting: ((socket: Socket) => void)[] = [];
  const underWay = new Set<Promise<void>>();
  const send = async (due: number): Promise<void> => {
    const socket = idle.pop() ?? (await new Promise<Socket>((resolve) => waiting.push(resolve)));
    const status = await exchange(socket, requestOf(load));
    note(status, performance.now() - due);
    const free = socket.writable ? socket : await open(load);
    const next = waiting.shift();
    if (next === undefined) idle.push(free);
    else next(free);
  };
  for (let sent = 0, due = start; due < end;) {
    while (due <= performance.now() && due < end) {
      const one = send(due).finally(() => underWay.delete(one));
      underWay.add(one);
      due = start + (++sent * 1_000) / rate;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(underWay);
  for (const socket of idle) socket.destroy();
}

/** A connection that the service has taken: what that costs is not what is measured. */
async function open({ port, host }: Target): Promise<Socket> {
  const socket = connect(port, host);
  socket.setNoDelay(true);
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  socket.on('error', () => undefined);
  await exchange(socket, `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  return socket;
}

function requestOf({ next, host, token }: Load): string {
  const { path, body } = next();
  return (
    `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  );
}

/** One request and its whole answer; the answer's status, or 0 when the connection broke. */
function exchange(socket: Socket, request: string): Promise<number> {
  return new Promise((resolve) => {
    let received = '';
    const done = (status: number): void => {
      socket.off('data', take).off('close', broken);
      resolve(status);
    };
    const broken = (): void => done(0);
    const take = (chunk: Buffer): void => {
      received += chunk.toString('latin1');
      const headEnd = received.indexOf('\r\n\r\n');
      if (headEnd < 0) return;
      const at = received.indexOf('Content-Length: ');
      const length = parseInt(received.slice(at + 16, at + 26), 10);
      if (received.length >= headEnd + 4 + length) done(Number(received.slice(9, 12)));
    };
    socket.on('data', take).on('close', broken);
    socket.write(request);
  });
}
