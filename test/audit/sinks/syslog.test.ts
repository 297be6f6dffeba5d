import path from 'node:path';
import { copyFileSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SyslogTls, type SyslogTarget } from '../../../src/audit/sinks/syslog.ts';
import { makePki, type Issued, type Pki } from '../../http/pki.ts';
import { batchOf, fedLog, indexesOf, isComplete, readAll, until, type FedLog } from './fed-log.ts';
import { parseMessage, syslogServer, type SyslogServer } from './syslog-server.ts';

let pki: Pki;
let ca: Issued;
let otherCa: Issued;
let server: Issued;
let client: Issued;

beforeAll(() => {
  pki = makePki();
  ca = pki.authority('logs');
  otherCa = pki.authority('others');
  server = pki.issue(ca, 'logs', 'subjectAltName=DNS:logs.example,IP:127.0.0.1');
  client = pki.issue(ca, 'countersign', 'extendedKeyUsage=clientAuth');
});
afterAll(() => pki.remove());

let fed: FedLog;
let receiver: SyslogServer | undefined;
const NEVER = new AbortController().signal;

beforeEach(() => {
  fed = fedLog();
});
afterEach(async () => {
  await receiver?.close();
  receiver = undefined;
  fed.storage.close();
  fed.remove();
});

function target(port: number, more: Partial<SyslogTarget> = {}): SyslogTarget {
  return { host: '127.0.0.1', port, ca: ca.cert, facility: 13, timeoutSeconds: 1, ...more };
}

const received = (): number[] => indexesOf(receiver!.messages.map((message) => parseMessage(message).text));

describe('syslog over TLS', () => {
  it('delivers, in order, and has the receiver’s own end of the connection as a receipt', async () => {
    receiver = await syslogServer(server.pem);
    await fed.append(400);
    const all = readAll(fed);
    const sink = new SyslogTls('siem', target(receiver.port));
    await sink.deliver(batchOf(all.slice(0, 390)), NEVER);
    // At once: all has been read when it resolves.
    expect(received()).toHaveLength(390);
    await sink.deliver(batchOf(all.slice(390)), NEVER);
    expect(received()).toEqual(Array.from({ length: 400 }, (_, i) => i));
  });

  it.each([
    ['another CA', () => ({ ca: otherCa.cert }), /certificate|verify/],
    ['another name', () => ({ serverName: 'other.example' }), /altnames/],
  ])('sends nothing to a server with %s', async (_what, more, problem) => {
    receiver = await syslogServer(server.pem);
    await fed.append(1);
    const sink = new SyslogTls('siem', target(receiver.port, more()));
    await expect(sink.deliver(batchOf(readAll(fed)), NEVER)).rejects.toThrow(problem);
    expect(receiver.messages).toEqual([]);
  });

  it('takes the name that it is given for the server’s', async () => {
    receiver = await syslogServer(server.pem);
    await fed.append(1);
    const sink = new SyslogTls('siem', target(receiver.port, { serverName: 'logs.example' }));
    await sink.deliver(batchOf(readAll(fed)), NEVER);
    expect(received()).toEqual([0]);
  });

  it('never speaks plain text, also not to a server that does', async () => {
    const heard: Buffer[] = [];
    const { createServer } = await import('node:net');
    const plain = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        heard.push(chunk);
        socket.end('200 OK\r\n');
      });
    });
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const { port } = plain.address() as { port: number };
    await fed.append(1);
    await expect(new SyslogTls('siem', target(port)).deliver(batchOf(readAll(fed)), NEVER)).rejects.toThrow(
      /SSL/,
    );
    expect(Buffer.concat(heard).toString('latin1')).not.toContain('countersign');
    await new Promise((resolve) => plain.close(resolve));
  });

  it('shows its certificate to a server that asks for one', async () => {
    receiver = await syslogServer({
      ...server.pem,
      ca: ca.pem.cert,
      requestCert: true,
      rejectUnauthorized: true,
    });
    await fed.append(1);
    const batch = batchOf(readAll(fed));
    await expect(new SyslogTls('siem', target(receiver.port)).deliver(batch, NEVER)).rejects.toBeInstanceOf(
      Error,
    );
    expect(receiver.messages).toEqual([]);
    const known = target(receiver.port, { cert: client.cert, key: client.key });
    await new SyslogTls('siem', known).deliver(batch, NEVER);
    expect(received()).toEqual([0]);
  });

  it('reads its files anew on a reload, and goes on with what it has when they are bad', async () => {
    receiver = await syslogServer(server.pem);
    await fed.append(1);
    const batch = batchOf(readAll(fed));
    const file = path.join(fed.folder, 'ca.pem');
    copyFileSync(otherCa.cert, file);
    const sink = new SyslogTls('siem', target(receiver.port, { ca: file }));
    await expect(sink.deliver(batch, NEVER)).rejects.toThrow(/certificate/);
    copyFileSync(ca.cert, file);
    sink.reload();
    await sink.deliver(batch, NEVER);
    writeFileSync(file, 'no certificate');
    expect(() => sink.reload()).not.toThrow(/no certificate/);
    expect(received()).toEqual([0]);
  });

  it.each(['deaf', 'resets', 'half', 'open'] as const)(
    'is not content with a receiver that is %s',
    async (how) => {
      receiver = await syslogServer(server.pem);
      receiver.behave(how);
      await fed.append(400);
      const sink = new SyslogTls('siem', target(receiver.port));
      await expect(sink.deliver(batchOf(readAll(fed)), NEVER)).rejects.toBeInstanceOf(Error);
    },
  );

  it('gives up when it is told to', async () => {
    receiver = await syslogServer(server.pem);
    receiver.behave('deaf');
    await fed.append(1);
    const sink = new SyslogTls('siem', target(receiver.port, { timeoutSeconds: 60 }));
    const giveUp = new AbortController();
    const delivery = sink.deliver(batchOf(readAll(fed)), giveUp.signal);
    setTimeout(() => giveUp.abort(), 50);
    await expect(delivery).rejects.toThrow('the service stops');
  });
});

describe('a syslog sink that is fed', () => {
  const settings = (port: number): object => ({
    name: 'siem',
    type: 'syslog',
    host: '127.0.0.1',
    port,
    ca: ca.cert,
    timeoutSeconds: 1,
    from: 'beginning',
    required: { maxLagSeconds: 1_000 },
  });

  it('gets everything after a receiver that lied, reset, hung and was away', async () => {
    receiver = await syslogServer(server.pem);
    const { port } = receiver;
    receiver.behave('half');
    await fed.append(700);
    const sinks = fed.feed(settings(port));
    for (const how of ['half', 'resets', 'deaf'] as const) {
      const { failures } = sinks.status()[0]!;
      receiver.behave(how);
      await until(() => sinks.status()[0]!.failures > failures);
      await fed.append(20);
    }
    await receiver.close();
    const { failures } = sinks.status()[0]!;
    await until(() => sinks.status()[0]!.failures > failures);
    receiver = await syslogServer(server.pem, port);
    await until(() => sinks.status()[0]!.next === fed.log.size);
    await sinks.stop(1_000);
    expect(isComplete(received(), 0, 760)).toBe(true);
    expect(fed.told).toHaveLength(2);
    expect(fed.told[1]).toBe('siem recovered');
  });

  it('has few connections when entries come one by one', async () => {
    receiver = await syslogServer(server.pem);
    const sinks = fed.feed(settings(receiver.port));
    for (let i = 0; i < 60; i++) {
      await fed.append(1);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await sinks.stop(2_000);
    expect(received()).toHaveLength(60);
    expect(receiver.connections()).toBeLessThan(5);
  });
});
