import type { X509Certificate } from 'node:crypto';

/** A client certificate that the TLS handshake has proven, and whose chain ends at a CA that we trust. */
export interface ClientCertificate {
  /** SHA-256 of its DER form, lower-case hex. */
  readonly fingerprint: string;
  /** What credentials of kind `certificate` can know it by: the fingerprint first, then its names. */
  readonly matches: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** One way to say which certificates a credential stands for. */
export type CertificateMatch =
  { readonly fingerprint: string } | { readonly dns: string } | { readonly uri: string };

/** As it is stored and compared: the whole text, byte for byte. */
export function matchText(match: CertificateMatch): string {
  if ('fingerprint' in match) return `sha256:${match.fingerprint.replaceAll(':', '').toLowerCase()}`;
  return 'dns' in match ? dnsMatch(match.dns) : `uri:${match.uri}`;
}

/** Names in the DNS have no case (RFC 4343). */
function dnsMatch(name: string): string {
  return `dns:${name.toLowerCase()}`;
}

export function readCertificate(certificate: X509Certificate): ClientCertificate {
  const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
  const names = alternativeNames(certificate.subjectAltName ?? '');
  const valuesOf = (type: string): string[] =>
    names.filter((name) => name.type === type).map(({ value }) => value);
  const uris = valuesOf('URI');
  return {
    fingerprint,
    matches: [
      `sha256:${fingerprint}`,
      ...uris.filter((uri) => isIdentity(uri, uris, certificate.ca)).map((uri) => `uri:${uri}`),
      ...valuesOf('DNS').map(dnsMatch),
    ],
    notBefore: new Date(certificate.validFrom),
    notAfter: new Date(certificate.validTo),
  };
}

/**
 * A SPIFFE ID counts only as the one URI of a leaf certificate (SPIFFE X.509-SVID, 2 and 5.2): a certificate with
 * another URI beside it, or that of a CA, is none of a workload.
 */
function isIdentity(uri: string, uris: readonly string[], isAuthority: boolean): boolean {
  return !/^spiffe:/i.test(uri) || (uris.length === 1 && !isAuthority);
}

interface AlternativeName {
  readonly type: string;
  readonly value: string;
}

/** One name: its value is a JSON string where it has characters that would make the list ambiguous. */
const NAME = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

/**
 * The names in the text that Node makes of the subjectAltName extension. A text that is not made that way gives no
 * names at all: half of one could be read as somebody else's.
 */
export function alternativeNames(text: string): AlternativeName[] {
  const names: AlternativeName[] = [];
  const pattern = new RegExp(NAME);
  while (pattern.lastIndex < text.length) {
    const [, type, written] = pattern.exec(text) ?? [];
    if (type === undefined || written === undefined) return [];
    const value = unquoted(written);
    if (value === undefined) return [];
    names.push({ type, value });
  }
  return names;
}

function unquoted(written: string): string | undefined {
  if (!written.startsWith('"')) return written;
  try {
    return JSON.parse(written) as string;
  } catch {
    return undefined;
  }
}
