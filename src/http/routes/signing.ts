import { z } from 'zod';
import type { Answer } from '../../audit/act.ts';
import { CountersignError, type FieldError } from '../../errors.ts';
import { OPERATIONS, type Operation } from '../../intent/intent.ts';
import { parseIntent, signBodies, toIntent, type SignBody } from '../../intent/schema.ts';
import type { Metrics } from '../../metrics.ts';
import { parseWith } from '../../schema.ts';
import type { PendingAnswer } from '../../signer/approval-desk.ts';
import type { SignAnswer } from '../../signer/sign-answer.ts';
import { findKeptAnswer } from '../idempotency.ts';
import { toJsonSchema } from '../openapi.ts';
import { requireReleasable, untilReleasable } from '../release.ts';
import { route, type Route, type RouteContext } from '../route.ts';
import type { Service } from '../service.ts';
import { Places } from '../places.ts';
import {
  breakGlassSchema,
  nameSchema,
  pendingAnswerShape,
  problemShape,
  signAnswerShape,
  versionSchema,
} from '../shapes.ts';

const tag = 'Signing';

/** Each item is a request of its own; this bounds how long one call takes. */
const MAX_BATCH_ITEMS = 1_000;
/** Items of a batch that are under way at once: a batch of many leaves room for others. */
const BATCH_WIDTH = 128;
/** Items of all batches that are under way at once: enough to share commits, and room for who asks for one signature. */
const BATCHED = 256;

const SUMMARY: { readonly [operation in Operation]: string } = {
  transaction: 'Sign a transaction',
  message: 'Sign a message (EIP-191)',
  'typed-data': 'Sign typed data (EIP-712)',
  authorization: 'Sign an EIP-7702 authorization',
  digest: 'Sign 32 bytes as they are',
};

const batchItemSchema = z.compile(
  z.looseObject({
    key: nameSchema,
    operation: z.enum(OPERATIONS),
    version: versionSchema.optional(),
    breakGlass: breakGlassSchema.optional(),
  }),
);

interface SignTarget {
  readonly keyName: string;
  readonly version?: number | undefined;
  readonly breakGlass?: string | undefined;
}

const SIGNED = 200;
/** The policy asks for approval first. */
const PENDING = 202;

const HEADERS = {
  'Countersign-Key-Version': 'The version that signed.',
  Deprecation: 'RFC 9745, of a version that drains: since when another one has its place.',
};

function headersOf(answer: Answer): { readonly [name: string]: string } {
  if (statusOf(answer) === PENDING) return {};
  const { key, deprecation } = answer as Pick<SignAnswer, 'deprecation'> & {
    readonly key: { readonly version: number };
  };
  return {
    'Countersign-Key-Version': String(key.version),
    ...(deprecation !== undefined && {
      Deprecation: `@${Math.floor(Date.parse(deprecation.since) / 1_000)}`,
    }),
  };
}

function statusOf(answer: Answer): number {
  return 'request' in answer ? PENDING : SIGNED;
}

export function signingRoutes(service: Service, metrics: Metrics): Route[] {
  const sign = async (
    context: RouteContext,
    act: RouteContext['act'],
    target: SignTarget,
    intent: ReturnType<typeof parseIntent>,
  ): Promise<SignAnswer | PendingAnswer> => {
    const { requestId, caller } = context;
    const { principal, address, mtls } = caller;
    try {
      const answer = await service.signing.sign(act, {
        requestId,
        requester: principal,
        source: { address, mtls },
        ...target,
        intent,
        turn: context.turn,
      });
      metrics.countSignature(intent.operation, statusOf(answer) === PENDING ? 'pending' : 'signed');
      return answer;
    } catch (error) {
      metrics.countSignature(intent.operation, error instanceof CountersignError ? error.code : 'internal');
      throw error;
    }
  };

  /** Throws `sealed`, `key_state` or `unavailable`: a repeat gets no signature that the first request would not get now. */
  const checkReplay = async (kept: Answer): Promise<void> => {
    if (statusOf(kept) !== PENDING) await untilReleasable(service, kept);
  };

  const single = OPERATIONS.map((operation) =>
    route(
      {
        method: 'POST',
        path: `/v1/keys/{name}/sign/${operation}`,
        tag,
        summary: SUMMARY[operation],
        access: ['signer'],
        signs: true,
        params: z.strictObject({ name: nameSchema }),
        body: z.compile(
          signBodies[operation].extend({
            version: versionSchema.optional(),
            breakGlass: breakGlassSchema.optional(),
          }),
        ),
        answer: {
          status: SIGNED,
          description: 'The signature, and the receipt of its audit entry.',
          schema: signAnswerShape,
        },
        alsoAnswers: {
          [PENDING]: {
            description:
              'The policy asks for approval: poll the request, whose `result` is this answer once it is signed.',
            schema: pendingAnswerShape,
          },
        },
        statusOf,
        headersOf,
        headers: HEADERS,
        checkReplay,
      },
      async ({ params: { name }, body }, context) => {
        const { version, breakGlass, ...rest } = body as SignBody & SignTarget;
        const target = { keyName: name, version, breakGlass };
        return await sign(context, context.act, target, toIntent(operation, rest));
      },
    ),
  );

  const places = new Places(BATCHED);

  const item = async (
    raw: unknown,
    { act, kept }: { readonly act: RouteContext['act']; readonly kept: Answer | undefined },
    context: RouteContext,
    path: string,
  ): Promise<Answer> => {
    try {
      if (kept !== undefined) {
        await checkReplay(kept);
        return { status: statusOf(kept), ...kept };
      }
      const { key, operation, version, breakGlass, ...body } = parseWith(batchItemSchema, raw, 'the item');
      const target = { keyName: key, version, breakGlass };
      const answer = await sign(context, act, target, parseIntent(operation, body));
      return { status: statusOf(answer), ...answer };
    } catch (error) {
      return context.problemOf(withPathPrefix(error, path));
    }
  };

  const released = (answer: Answer, context: RouteContext): Answer => {
    if (answer['status'] !== SIGNED) return answer;
    try {
      requireReleasable(service, answer);
      return answer;
    } catch (error) {
      return context.problemOf(error);
    }
  };

  const batch = route(
    {
      method: 'POST',
      path: '/v1/sign/batch',
      tag,
      summary: 'Sign many things at once',
      description:
        'Each item is decided, logged and answered on its own, in its place: a signature, a request for approval, or a problem. When a batch is ' +
        'repeated with its Idempotency-Key, what was signed is answered again, and the rest is tried again.',
      access: ['signer'],
      keepsParts: true,
      body: z.strictObject({
        items: z
          .array(z.unknown().meta({ ...toJsonSchema(batchItemSchema, 'input') }))
          .min(1)
          .max(MAX_BATCH_ITEMS)
          .meta({
            description:
              'Each item: key, operation, optional version, and the fields of that operation’s body.',
          }),
      }),
      answer: {
        status: 200,
        description: 'One answer an item.',
        schema: z.strictObject({
          items: z.array(
            z.union([
              signAnswerShape.extend({ status: z.literal(SIGNED) }),
              pendingAnswerShape.extend({ status: z.literal(PENDING) }),
              problemShape,
            ]),
          ),
        }),
      },
    },
    async ({ body: { items } }, context) => {
      const begun = items.map((_, index) => {
        const { act, key } = context.act.item(index);
        return { act, kept: key && findKeptAnswer(service.reads, key) };
      });
      const answers: Answer[] = [];
      const rest = begun.entries();
      const next = async (): Promise<void> => {
        for (const [index, part] of rest)
          answers[index] = await places.within(() => item(items[index], part, context, `items.${index}`));
      };
      await Promise.all(Array.from({ length: BATCH_WIDTH }, next));
      // Some were signed while others waited: what could not be signed now is not given out now.
      return { items: answers.map((answer) => released(answer, context)) };
    },
  );

  return [...single, batch];
}

function withPathPrefix(error: unknown, prefix: string): unknown {
  if (!(error instanceof CountersignError) || error.errors.length === 0) return error;
  const errors = error.errors.map(({ path, message }): FieldError => ({
    path: path === '' ? prefix : `${prefix}.${path}`,
    message,
  }));
  return new CountersignError(error.code, error.message, errors, error);
}
