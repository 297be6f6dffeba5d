import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { Server as TcpServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createHttpServer } from '../node-http.ts';
import { connectionLimit } from './open-files.ts';
import { answerParseError } from './parse-errors.ts';
import { reloadTls, tlsOptions, type TlsFiles } from './tls.ts';

export interface RunningServer {
  /** `http://host:port` or `https://host:port`, with the port that was really taken. */
  readonly url: string;
  /** Reads the TLS files again, if there are any. Throws `invalid_request`, and goes on with what it has. */
  reload(): void;
  /** Takes no new requests; resolves when those under way are answered, or after `graceMs` at the latest. */
  close(graceMs: number): Promise<void>;
}

/** Requests that have arrived when the server closes, and were not read yet, are read within this time. */
const SETTLE_MS = 50;
/** More requests that wait on one connection, for their answer or for their peer to read it, end it. */
const MAX_PIPELINED = 32;

/** Longer than any key derivation may take. */
const ANSWER_MS = 150_000;

const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 16 * 1024,
  insecureHTTPParser: false,
  requireHostHeader: true,
};

/**
 * Starts to listen. The times and counts are bounds on what a peer may hold open, not targets: the slowest good
 * request is one that derives a key from a password. Throws `invalid_request` for TLS files that can't be used.
 *
 * @param tls plain HTTP without it.
 */
export async function startServer(
  app: RequestListener,
  { host, port }: { host: string; port: number },
  tls?: TlsFiles,
): Promise<RunningServer> {
  /** By connection: a response that waits behind another says nothing when its connection closes. */
  const underWay = new Map<Socket, Set<ServerResponse>>();
  /** Answers of these are still given, and then they end: they may ask for nothing more. */
  const leaving = new WeakSet<Socket>();
  /** As they come, before any handshake. */
  const connections = new Set<Socket>();
  let closing = false;
  const serve = (req: IncomingMessage, res: ServerResponse & { req: IncomingMessage }): void => {
    const { socket } = req;
    // What is left of bytes that came with the request that was one too many.
    const pending = underWay.get(socket);
    if (pending === undefined || socket.destroyed || leaving.has(socket)) return;
    if (pending.size >= MAX_PIPELINED) {
      socket.destroy();
      return;
    }
    pending.add(res);
    res.once('close', () => {
      pending.delete(res);
      if (pending.size === 0 && leaving.has(socket)) socket.destroySoon();
    });
    if (closing) res.setHeader('Connection', 'close');
    app(req, res);
  };
  const secure = tls === undefined ? undefined : createHttpsServer({ ...LIMITS, ...tlsOptions(tls) }, serve);
  const server = secure ?? createHttpServer(LIMITS, serve);
  server.maxConnections = connectionLimit();
  // A peer that takes nothing of its answer for this long.
  server.timeout = ANSWER_MS;
  // No count of headers beside their size: those beyond it would be dropped, and the request done without them.
  server.maxHeadersCount = 0;
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  server.on(secure === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    underWay.set(socket, new Set());
    socket.once('close', () => underWay.delete(socket));
  });
  server.on('clientError', (error, socket) => {
    const pending = [...(underWay.get(socket as Socket) ?? [])];
    const answerable = pending.every((res) => !res.headersSent && !res.req.complete);
    answerParseError(error, socket, answerable);
  });

  async function close(graceMs: number): Promise<void> {
    closing = true;
    for (const pending of underWay.values())
      for (const res of pending) if (!res.headersSent) res.setHeader('Connection', 'close');
    // Not the close of an HTTP server: that cuts off every connection whose request it has not read yet.
    const closed = new Promise<void>((resolve) => TcpServer.prototype.close.call(server, () => resolve()));
    const deadline = Date.now() + graceMs;
    do await sleep(SETTLE_MS);
    while ([...underWay.values()].some(({ size }) => size > 0) && Date.now() < deadline);
    server.close();
    server.closeAllConnections();
    for (const connection of connections) connection.destroy();
    await closed;
  }

  function reload(): void {
    if (secure === undefined || tls === undefined) return;
    reloadTls(secure, tls);
    // What a connection has proven, or is proving right now, was checked with the CA that it began with.
    const busy = new Set<string>();
    for (const [socket, pending] of underWay) {
      // An answer that has begun may go on for as long as its reader likes: that one has to ask again.
      if (pending.size === 0 || [...pending].some((res) => res.headersSent)) continue;
      busy.add(peerOf(socket));
      leaving.add(socket);
      for (const res of pending) res.setHeader('Connection', 'close');
      setTimeout(() => socket.destroy(), ANSWER_MS).unref();
    }
    for (const connection of connections) if (!busy.has(peerOf(connection))) connection.destroy();
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const { port: taken } = server.address() as AddressInfo;
  const scheme = secure === undefined ? 'http' : 'https';
  return { url: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${taken}`, reload, close };
}

/** One connection's: no two that are open have the same. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
