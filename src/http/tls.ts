import { constants, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ServerOptions } from 'node:https';
import { createSecureContext, type SecureContextOptions, type Server, type TlsOptions } from 'node:tls';
import { CountersignError } from '../errors.ts';

/** Files in PEM. */
export interface TlsFiles {
  /** The server's certificate, and those that lead to its CA after it. */
  readonly cert: string;
  readonly key: string;
  /** Client certificates are asked for, and count when they lead to one of these. */
  readonly clientCa?: string | undefined;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}

/** Forward secrecy and authenticated encryption only; the first three are those of TLS 1.3. */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
].join(':');
const HANDSHAKE_MS = 10_000;
/** RFC 5077, as OpenSSL has them: a name, and two keys. */
const TICKET_KEY_BYTES = 48;

/**
 * What an HTTPS server is made with. A client may come without a certificate, or with one that leads nowhere: it is
 * let in by its token then, and its certificate counts for nothing. Throws `invalid_request` for unusable files.
 */
export function tlsOptions(files: TlsFiles): ServerOptions & TlsOptions {
  return {
    ...readContext(files),
    requestCert: files.clientCa !== undefined,
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_MS,
    ALPNProtocols: ['http/1.1'],
  };
}

/**
 * Reads the files again, for connections from now on. Sessions end with it: a resumed one would bring along what was
 * verified with the CA that it began with. Throws `invalid_request`, and nothing changes then.
 */
export function reloadTls(server: Server, files: TlsFiles): void {
  server.setSecureContext(readContext(files));
  server.setTicketKeys(randomBytes(TICKET_KEY_BYTES));
}

function readContext(files: TlsFiles): SecureContextOptions {
  const context: SecureContextOptions = {
    cert: readPem('tls.cert', files.cert),
    key: readPem('tls.key', files.key),
    ...(files.clientCa !== undefined && { ca: readPem('tls.clientCa', files.clientCa) }),
    minVersion: files.minVersion,
    ciphers: CIPHERS,
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
  try {
    createSecureContext(context);
    return context;
  } catch (error) {
    // Its message names what does not fit, and quotes nothing.
    const reason = error instanceof Error ? error.message : 'unknown error';
    throw new CountersignError('invalid_request', `tls: the files cannot be used: ${reason}`, [], error);
  }
}

function readPem(setting: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new CountersignError('invalid_request', `${setting}: ${file} cannot be read`, [], error);
  }
}
