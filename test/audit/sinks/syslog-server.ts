import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import type { AddressInfo, Socket } from 'node:net';

/** A receiver of syslog over TLS; reads as RFC 5425 says, and throws for anything else. */
export interface SyslogServer {
  readonly port: number;
  /** Whole messages, in the order in which they were read. */
  readonly messages: string[];
  readonly connections: () => number;
  /** What is done with connections from now on. */
  behave(how: Behaviour): void;
  close(): Promise<void>;
}

/**
 * `good`: reads, and closes when the other side has. `deaf`: reads nothing. `resets`: is gone at once. `half`: reads
 * some, and is gone. `open`: reads, and never closes.
 */
export type Behaviour = 'good' | 'deaf' | 'resets' | 'half' | 'open';

export async function syslogServer(options: TlsOptions, port = 0): Promise<SyslogServer> {
  const messages: string[] = [];
  const sockets = new Set<Socket>();
  let behaviour: Behaviour = 'good';
  let connections = 0;
  const serve = (socket: TLSSocket): void => {
    connections++;
    socket.on('error', () => undefined);
    if (behaviour === 'deaf') return void socket.pause();
    if (behaviour === 'resets') return void socket.destroy();
    if (behaviour === 'half') return void socket.once('data', () => socket.destroy());
    let rest = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (;;) {
        const space = rest.subarray(0, 12).indexOf(0x20);
        if (space === -1) return;
        const length = rest.subarray(0, space).toString('latin1');
        if (!/^[1-9][0-9]*$/.test(length)) throw new Error(`no length: ${length}`);
        const end = space + 1 + Number(length);
        if (rest.length < end) return;
        messages.push(rest.subarray(space + 1, end).toString('utf8'));
        rest = rest.subarray(end);
      }
    });
    if (behaviour !== 'open') socket.on('end', () => socket.end());
  };
  const server: Server = createServer({ ...options, allowHalfOpen: true }, serve);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    messages,
    connections: () => connections,
    behave: (how) => {
      behaviour = how;
      for (const socket of sockets) socket.destroy();
    },
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

export interface Message {
  readonly priority: number;
  readonly time: string;
  readonly hostname: string;
  readonly app: string;
  readonly procid: string;
  readonly msgid: string;
  /** By SD-ID. */
  readonly data: { readonly [id: string]: { readonly [name: string]: string } };
  readonly text: string;
}

/** RFC 5424, 6. Throws for what it does not allow. */
export function parseMessage(message: string): Message {
  const header =
    /^<(0|[1-9][0-9]{0,2})>1 (\S+) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) /.exec(message);
  if (header === null) throw new Error(`no header: ${message}`);
  const [whole, priority, time = '', hostname = '', app = '', procid = '', msgid = ''] = header;
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z$/.test(time)) throw new Error(`no time: ${time}`);
  let rest = message.slice(whole.length);
  const data: Record<string, Record<string, string>> = {};
  if (rest.startsWith('- ')) rest = rest.slice(1);
  while (rest.startsWith('[')) {
    const id = /^\[([!#-<>-\\^-~]{1,32})/.exec(rest)?.[1];
    if (id === undefined) throw new Error(`no SD-ID: ${rest}`);
    rest = rest.slice(1 + id.length);
    const parameters: Record<string, string> = {};
    for (let found; (found = /^ ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\["\\\]])*)"/u.exec(rest)) !== null;) {
      parameters[found[1]!] = found[2]!.replaceAll(/\\(["\\\]])/g, '$1');
      rest = rest.slice(found[0].length);
    }
    if (!rest.startsWith(']')) throw new Error(`no end of the structured data: ${rest}`);
    data[id] = parameters;
    rest = rest.slice(1);
  }
  if (!rest.startsWith(' ')) throw new Error(`no message: ${rest}`);
  return { priority: Number(priority), time, hostname, app, procid, msgid, data, text: rest.slice(1) };
}
