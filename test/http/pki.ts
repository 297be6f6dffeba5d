import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A certificate and its key, in files. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
  /** SHA-256, as OpenSSL prints it: upper case, with colons. */
  readonly fingerprint: string;
  /** For node:https. */
  readonly pem: { readonly cert: Buffer; readonly key: Buffer };
}

export interface Pki {
  readonly directory: string;
  authority(name: string): Issued;
  /** @param lines of an OpenSSL extension section. */
  issue(authority: Issued, name: string, ...lines: string[]): Issued;
  selfSigned(name: string, ...lines: string[]): Issued;
  remove(): void;
}

/** Certificates made by OpenSSL, in a directory that is removed. */
export function makePki(): Pki {
  const directory = mkdtempSync(path.join(tmpdir(), 'countersign-pki-'));
  let made = 0;
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
  };
  const newKey = (): { file: string; key: string } => {
    const file = path.join(directory, `c${made++}`);
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-out', `${file}.key`);
    return { file, key: `${file}.key` };
  };
  const request = (file: string, key: string, name: string, lines: readonly string[]): void => {
    openssl('req', '-new', '-key', key, '-subj', `/CN=${name}`, '-out', `${file}.csr`);
    writeFileSync(`${file}.ext`, lines.join('\n'));
  };
  const issued = (file: string, key: string): Issued => {
    const pem = { cert: readFileSync(`${file}.crt`), key: readFileSync(key) };
    const fingerprint = new X509Certificate(pem.cert).fingerprint256;
    return { cert: `${file}.crt`, key, fingerprint, pem };
  };
  const selfSigned: Pki['selfSigned'] = (name, ...lines) => {
    const { file, key } = newKey();
    request(file, key, name, lines);
    const about = ['-in', `${file}.csr`, '-signkey', key, '-days', '2', '-extfile', `${file}.ext`];
    openssl('x509', '-req', ...about, '-out', `${file}.crt`);
    return issued(file, key);
  };
  return {
    directory,
    selfSigned,
    authority: (name) => selfSigned(name, 'basicConstraints=critical,CA:TRUE', 'keyUsage=keyCertSign'),
    issue: (authority, name, ...lines) => {
      const { file, key } = newKey();
      request(file, key, name, lines);
      const about = ['-in', `${file}.csr`, '-CA', authority.cert, '-CAkey', authority.key, '-CAcreateserial'];
      openssl('x509', '-req', ...about, '-days', '2', '-extfile', `${file}.ext`, '-out', `${file}.crt`);
      return issued(file, key);
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
