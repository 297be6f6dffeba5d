import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import { CountersignError } from '../../errors.ts';

/** Files in PEM. */
export interface TlsClientFiles {
  /** The CA certificates that the server's must lead to; the usual ones when absent. */
  readonly ca?: string | undefined;
  /** The client's own certificate and key, for a server that asks. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** Throws `invalid_request` for files that can't be read or used; quotes nothing of them. */
export function clientContext(name: string, { ca, cert, key }: TlsClientFiles): SecureContext {
  const files = {
    ca: readSetting(name, 'ca', ca),
    cert: readSetting(name, 'cert', cert),
    key: readSetting(name, 'key', key),
  };
  try {
    return createSecureContext({ ...files, minVersion: 'TLSv1.2' });
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown error';
    throw new CountersignError(
      'invalid_request',
      `audit sink ${name}: the TLS files cannot be used: ${reason}`,
      [],
      error,
    );
  }
}

/** The bytes of a file that a setting names. Throws `invalid_request`. */
export function readSetting(name: string, setting: string, file: string): Buffer;
export function readSetting(name: string, setting: string, file: string | undefined): Buffer | undefined;
export function readSetting(name: string, setting: string, file: string | undefined): Buffer | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file);
  } catch (error) {
    throw new CountersignError(
      'invalid_request',
      `audit sink ${name}: ${setting}: ${file} cannot be read`,
      [],
      error,
    );
  }
}
