import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { readCertificate, type ClientCertificate } from '../access/certificates.ts';

/** By connection: what it showed in its handshake does not change. */
const seen = new WeakMap<Socket, ClientCertificate | undefined>();

/**
 * The certificate that a connection's peer has proven to have, when its chain ends at a CA that we trust. `authorized`
 * alone does not say so: it is true for a resumed session that never had a certificate.
 */
export function clientCertificateOf(socket: Socket): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  if (!seen.has(socket)) {
    const certificate = socket.getPeerX509Certificate();
    seen.set(socket, certificate === undefined ? undefined : readCertificate(certificate));
  }
  return seen.get(socket);
}
