/** What the headers of any answer have to be, whoever asked for what. */

export interface Answered {
  readonly method: string;
  readonly status: number;
  readonly headers: Headers;
  /** The parsed body where it is a problem document (RFC 9457). */
  readonly problem: { readonly status?: unknown; readonly requestId?: unknown } | undefined;
  /** The operation names this status itself, so that it need not be a problem. */
  readonly documented: boolean;
}

const SECONDS = /^[1-9]\d{0,5}$/;

/** Every way in which they are wrong; nothing where they are right. */
export function headerFaults({ method, status, headers, problem, documented }: Answered): readonly string[] {
  const faults: string[] = [];
  const must = (holds: boolean, what: string): void => void (holds || faults.push(what));
  const of = (name: string): string => headers.get(name) ?? '';

  must(!headers.has('x-powered-by') && !headers.has('server'), 'says what it is made with');
  must(of('x-content-type-options') === 'nosniff', 'may be taken for another type');
  must(of('x-request-id') !== '', 'has no request id');
  must(problem !== undefined || status < 400 || documented, `${status} is no problem document`);
  if (problem !== undefined) {
    const type = /^application\/problem\+json(?:; charset=utf-8)?$/;
    must(type.test(of('content-type')), `a problem as ${of('content-type')}`);
    must(problem.status === status, 'a problem of another status');
    must(problem.requestId === of('x-request-id'), 'a problem of another request');
  }
  // RFC 9110, 11.6.1 and 15.5.6: each of the two belongs to its status.
  must(of('www-authenticate') === (status === 401 ? 'Bearer' : ''), 'WWW-Authenticate');
  const allowed = of('allow') === '' ? [] : of('allow').split(', ');
  must((status === 405) === allowed.length > 0, 'Allow');
  must(!allowed.includes(method), 'Allow has the method that was refused');
  const waits = status === 429 || (status === 503 && problem !== undefined);
  must(waits ? SECONDS.test(of('retry-after')) : !headers.has('retry-after'), 'Retry-After');
  return faults;
}
