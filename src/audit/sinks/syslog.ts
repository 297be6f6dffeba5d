import { isIP } from 'node:net';
import { connect, type SecureContext } from 'node:tls';
import type { Batch, Sink } from './sink.ts';
import { syslogFrame, type SyslogForm } from './syslog-message.ts';
import { clientContext, type TlsClientFiles } from './tls-client.ts';

export interface SyslogTarget extends SyslogForm, TlsClientFiles {
  readonly host: string;
  readonly port: number;
  /** The name in the server's certificate; the host when absent. */
  readonly serverName?: string | undefined;
  readonly timeoutSeconds: number;
}

/**
 * Syslog over TLS (RFC 5425), a connection for each batch. Syslog has no receipts. The nearest to one is how a
 * connection ends: we end our side after the last byte, and the batch is delivered when the other side ends its own.
 * A system whose process dies with bytes unread resets the connection instead. What the process has read and then loses
 * can't be known.
 */
export class SyslogTls implements Sink {
  readonly #name: string;
  readonly #target: SyslogTarget;
  #context: SecureContext;

  /** Throws `invalid_request` for unusable files. */
  constructor(name: string, target: SyslogTarget) {
    this.#name = name;
    this.#target = target;
    this.#context = clientContext(name, target);
  }

  async deliver({ entries, lines }: Batch, signal: AbortSignal): Promise<void> {
    const frames = entries.map((read, i) => syslogFrame(read, lines[i] ?? '', this.#target));
    await this.#send(Buffer.concat(frames), signal);
  }

  reload(): void {
    this.#context = clientContext(this.#name, this.#target);
  }

  async close(): Promise<void> {}

  #send(bytes: Buffer, signal: AbortSignal): Promise<void> {
    const { host, port, serverName, timeoutSeconds } = this.#target;
    const servername = serverName ?? (isIP(host) === 0 ? host : undefined);
    return new Promise((resolve, reject) => {
      const socket = connect({
        host,
        port,
        ...(servername !== undefined && { servername }),
        secureContext: this.#context,
        rejectUnauthorized: true,
      });
      let failure: Error | undefined;
      let ended = false;
      const giveUp = (): void => void socket.destroy(new Error('the service stops'));
      const late = setTimeout(
        () => socket.destroy(new Error(`not taken within ${timeoutSeconds} s`)),
        timeoutSeconds * 1_000,
      );
      signal.addEventListener('abort', giveUp);
      socket.once('secureConnect', () => socket.end(bytes));
      socket.on('error', (error) => (failure ??= error));
      // Nothing is expected from there but its end.
      socket.resume();
      socket.once('end', () => {
        ended = socket.writableFinished;
      });
      socket.once('close', () => {
        clearTimeout(late);
        signal.removeEventListener('abort', giveUp);
        if (failure === undefined && ended) resolve();
        else reject(failure ?? new Error('the connection was closed before everything was taken'));
      });
      if (signal.aborted) giveUp();
    });
  }
}
