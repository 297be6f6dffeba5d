import { CountersignError } from '../errors.ts';
import type { SignerLink } from './custody.ts';

/** A link that nothing goes over while there is a reason, so that nothing is opened, made or signed. */
export function fencedLink(link: SignerLink, reason: () => string | undefined): SignerLink {
  return {
    get state() {
      return link.state;
    },
    request: (kind, fields, timeoutMs) => {
      const why = reason();
      if (why !== undefined) return Promise.reject(new CountersignError('unavailable', why));
      return link.request(kind, fields, timeoutMs);
    },
  };
}
