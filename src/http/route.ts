import { z } from 'zod';
import type { Caller } from '../access/credentials.ts';
import type { Role } from '../access/roles.ts';
import type { Answer } from '../audit/act.ts';
import { parseWith } from '../schema.ts';
import type { Turn } from '../signer/signing-load.ts';
import { Content } from './content.ts';
import type { RequestAct } from './idempotency.ts';
import type { Problem } from './problems.ts';
import type { ServiceTx } from './service.ts';

/** `public`: no credential. `authenticated`: any credential. Else one of these roles. */
export type Access = 'public' | 'authenticated' | readonly Role[];

export type Method = 'GET' | 'POST' | 'PATCH';

export interface Reply {
  readonly status: number;
  /** JSON, or text or content with the media type beside it. */
  readonly body: Result;
  readonly mediaType?: string;
}

/** One operation of the API: what registers it, checks it and documents it. */
export interface RouteSpec {
  readonly method: Method;
  /** As OpenAPI writes it: `/v1/keys/{name}`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly access: Access;
  readonly params?: z.ZodObject;
  /** The parameter at the end of the path that takes all steps that are left, slashes included. */
  readonly rest?: string;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodObject;
  /** The good answer; `schema` is absent for text. */
  readonly answer: {
    readonly status: number;
    readonly description: string;
    readonly schema?: z.ZodType;
    readonly mediaType?: string;
    /** Other media types that it may have, where the request chooses. */
    readonly otherMediaTypes?: readonly string[];
  };
  /** Further statuses of a good answer, with what each means; where no schema is given, it is the same. */
  readonly alsoAnswers?: {
    readonly [status: number]: { readonly description: string; readonly schema?: z.ZodType };
  };
  /** Which of its statuses a good answer has; `answer.status` when absent. */
  readonly statusOf?: (answer: Answer) => number;
  /** Headers that go with a good answer, also of a repeat; what they are is in `headers`. */
  readonly headersOf?: (answer: Answer) => { readonly [name: string]: string };
  readonly headers?: { readonly [name: string]: string };
  /** It makes signatures: refused, before its body is read, while there are more to make than can be in time. */
  readonly signs?: boolean;
  /** It shows the audit log: who looked is an entry of it. */
  readonly readsLog?: boolean;
  /** The answer carries a secret: it is never kept for a repeat. */
  readonly secretAnswer?: boolean;
  /** The body carries a secret: no hash of it is kept that could be used to guess it. */
  readonly secretBody?: boolean;
  /** What is kept are parts of the answer, each on its own: a repeat is done, and answers those again. */
  readonly keepsParts?: boolean;
  /** Resolves when a kept answer may be given out again, as things stand then. Rejects when it may not. */
  readonly checkReplay?: (kept: Answer) => Promise<void>;
}

export interface RouteInput {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

export interface RouteContext {
  readonly requestId: string;
  readonly caller: Caller;
  readonly act: RequestAct<ServiceTx>;
  /** A header of the request. */
  readonly header: (name: string) => string | undefined;
  /** Throws when the caller may not call this any more: for an answer that takes long. */
  readonly readmit: () => void;
  /** What is said of an error inside a good answer. An error of ours is in the service's log then, too. */
  readonly problemOf: (error: unknown) => Problem;
  /** Where the route `signs`: its place among those that wait for a signature. */
  readonly turn: Turn | undefined;
}

export interface Route extends RouteSpec {
  /** Parses the input by the route's schemas and does it. A public route gets no context. */
  readonly run: (input: RouteInput, context: RouteContext | undefined) => Promise<Reply>;
}

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;
type Result = Answer | string | Content;

type Inputs<S extends RouteSpec> = {
  readonly params: Parsed<S['params']>;
  readonly query: Parsed<S['query']>;
  readonly body: Parsed<S['body']>;
};

/** A route whose caller is known. */
export function route<const S extends RouteSpec>(
  spec: S,
  handle: (input: Inputs<S>, context: RouteContext) => Promise<Result> | Result,
): Route {
  return {
    ...spec,
    run: async (input, context) => {
      if (context === undefined) throw new Error(`${spec.method} ${spec.path} was run without a caller`);
      return reply(spec, await handle(parseInputs(spec, input), context));
    },
  };
}

/** A route that anybody may call. */
export function publicRoute<const S extends RouteSpec>(
  spec: S & { readonly access: 'public' },
  handle: (input: Inputs<S>) => Promise<Result | Reply> | Result | Reply,
): Route {
  return {
    ...spec,
    run: async (input) => {
      const result = await handle(parseInputs(spec, input));
      return isReply(result) ? result : reply(spec, result);
    },
  };
}

const NOTHING = z.strictObject({});

function parseInputs<S extends RouteSpec>(spec: S, input: RouteInput): Inputs<S> {
  return {
    params: spec.params && parseWith(spec.params, input.params, 'the path'),
    query: parseWith(spec.query ?? NOTHING, input.query, 'the query'),
    body: spec.body && parseWith(spec.body, input.body),
  } as Inputs<S>;
}

function reply({ answer, statusOf }: RouteSpec, body: Result): Reply {
  return {
    status:
      typeof body === 'string' || body instanceof Content
        ? answer.status
        : (statusOf?.(body) ?? answer.status),
    body,
    ...(answer.mediaType !== undefined && { mediaType: answer.mediaType }),
  };
}

function isReply(result: Result | Reply): result is Reply {
  if (typeof result === 'string' || result instanceof Content) return false;
  return typeof result['status'] === 'number' && 'body' in result;
}
