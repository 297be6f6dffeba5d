import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RunningServer {
  /** `http://host:port`, with the port that was really taken. */
  readonly url: string;
  /** Takes no new requests; resolves when those under way are answered, or after `graceMs` at the latest. */
  close(graceMs: number): Promise<void>;
}

/**
 * Starts to listen. The times and counts are bounds on what a peer may hold open, not targets: the slowest good
 * request is one that derives a key from a password.
 */
export function startServer(app: RequestListener, { host, port }: { host: string; port: number }): Promise<RunningServer> {
  const server = createServer(
    {
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 75_000,
      connectionsCheckingInterval: 5_000,
      maxHeaderSize: 16 * 1024,
      insecureHTTPParser: false,
      requireHostHeader: true,
    },
    app,
  );
  server.maxConnections = 10_000;
  server.maxHeadersCount = 100;

  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      const { port: taken } = server.address() as AddressInfo;
      resolve({
        url: `http://${host.includes(':') ? `[${host}]` : host}:${taken}`,
        close: async (graceMs) => {
          const closed = new Promise<void>((done) => server.close(() => done()));
          const timer = setTimeout(() => server.closeAllConnections(), graceMs);
          await closed;
          clearTimeout(timer);
        },
      });
    });
  });
}
