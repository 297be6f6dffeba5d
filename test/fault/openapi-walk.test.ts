import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROLES } from '../../src/access/roles.ts';
import { addPrincipal, expectStatus, startService, type KeyAnswer, type RunningService } from '../service.ts';
import { headerFaults } from './answer-headers.ts';
import { damaged, hostileValue, valid, type Hints, type Schema } from './json-schema.ts';

const SECONDS = Number(process.env['WALK_SECONDS'] ?? 60);
const SEED = Number(process.env['WALK_SEED'] ?? Date.now() % 2 ** 31);
/** Of those that fetch sends, the ones that no operation has. */
const STRANGE = ['PUT', 'DELETE', 'OPTIONS'] as const;
/** Answers of these never end. */
const STREAM = 'text/event-stream';
/** Codes of answers that are no fault of ours although their status is above 499. */
const REFUSALS = new Set(['sealed', 'unavailable', 'timeout']);

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly schema: Schema;
}
type Content = Readonly<Record<string, { readonly schema: Schema }>>;
interface Operation {
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>;
}
interface Named {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: { readonly Problem: Schema } };
}
interface Sent {
  readonly target: string;
  readonly body: string | undefined;
  /** One that nothing in the document has, in the place of the operation's own. */
  readonly strange: string | undefined;
}
interface Person {
  readonly id: string;
  token: string;
}

let service: RunningService;
beforeAll(async () => {
  service = await startService({ logLevel: 'error' });
});
afterAll(async () => await service.kill());

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** A request by the schemas of the operation, and in two of three some part of it damaged. */
function requestTo({ operation, path }: Named, hints: Hints): fc.Arbitrary<Sent> {
  const turns = fc.array(fc.nat(1_000), { minLength: 1, maxLength: 5 });
  const isBroken = fc.integer({ min: 0, max: 9 }).map((n) => n === 0);
  const parameters = operation.parameters
    .filter((each) => each.in !== 'header')
    .map((each) =>
      fc.record({
        given: valid(each.schema, hints, each.name).map(textOf),
        hostile: hostileValue.map((value) => textOf(value).slice(0, 2_000)),
        broken: isBroken,
        present: each.required ? fc.constant(true) : fc.boolean(),
      }),
    );
  const schema = operation.requestBody?.content['application/json']?.schema;
  const body =
    schema === undefined
      ? fc.constant(undefined)
      : fc
          .record({
            given: valid(schema, hints),
            turns,
            hostile: hostileValue,
            how: fc.integer({ min: 0, max: 11 }),
            cut: fc.nat(400),
          })
          .map(({ given, turns: steps, hostile, how, cut }) => {
            const sent = JSON.stringify(how < 5 ? given : damaged(given, steps, hostile));
            if (how === 11) return sent.slice(0, cut);
            return how === 10 ? `${sent.slice(0, cut)}\u0000${sent.slice(cut)}` : sent;
          });
  const strange = fc.nat(59).map((n) => STRANGE[n]);
  return fc
    .record({ parameters: fc.tuple(...parameters), body, strange })
    .map(({ parameters: values, body: sent, strange: instead }) => {
      const named = operation.parameters.filter((each) => each.in !== 'header');
      const written = values.map(({ given, hostile, broken, present }, i) => {
        const { name = '', in: place } = named[i] ?? {};
        const text = broken ? hostile : given;
        return { name, place, present, text: encodeURIComponent(text.toWellFormed()) };
      });
      const steps = written.filter(({ place }) => place === 'path');
      const filled = steps.reduce(
        (at, { name, text }) =>
          at.replace(`{${name}}`, () => (name === 'tile' ? text.replaceAll('%2F', '/') : text)),
        path,
      );
      const query = written
        .filter(({ place, present }) => place === 'query' && present)
        .map(({ name, text }) => `${name}=${text}`)
        .join('&');
      return { target: query === '' ? filled : `${filled}?${query}`, body: sent, strange: instead };
    });
}

/** The checker of an answer's body, made once each. */
function checkers(
  document: Document,
): (named: Named, status: number, mediaType: string) => ValidateFunction | string {
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  const made = new Map<string, ValidateFunction>();
  return (named, status, mediaType) => {
    const { responses } = named.operation;
    const answer = responses[status] ?? (status >= 400 ? responses['default'] : undefined);
    if (answer === undefined) return `the status ${status} is not documented`;
    // A media type may be documented with its parameters.
    const documented = { ...responses['default']?.content, ...answer.content };
    const content = Object.entries(documented).find(([type]) => type.split(';', 1)[0] === mediaType)?.[1];
    if (content === undefined) return `${status} with ${mediaType} is not documented`;
    const isProblem = mediaType === 'application/problem+json';
    const id = isProblem ? 'problem' : `${named.name} ${status} ${mediaType}`;
    const check =
      made.get(id) ?? ajv.compile(isProblem ? document.components.schemas.Problem : content.schema);
    made.set(id, check);
    return check;
  };
}

test(
  `${SECONDS} s of requests by the OpenAPI document: no 500, and each answer is as it says`,
  async () => {
    const { body: document } = await service.client().get<Document>('/openapi.json');
    const operations = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]): Named => ({
        name: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        path,
        operation,
      })),
    );
    expect(operations.filter(({ method }) => STRANGE.some((one) => one === method))).toEqual([]);
    const people = new Map<string, Person>();
    for (const role of ROLES) people.set(role, await addPrincipal(service, `walker-${role}`, [role]));
    const { id: subject } = await addPrincipal(service, 'subject', ['signer']);
    const made = await service.admin.post<KeyAnswer>('/v1/keys', { name: 'walked', tags: ['hot'] });
    expectStatus(201, made);
    const hints: Hints = {
      name: ['demo', 'walked'],
      key: ['demo', 'walked'],
      id: [subject],
      principal: [subject],
      version: [1],
      index: ['0', '1', '7'],
      level: ['0', '1'],
      tile: ['000', '000.p/7', 'x001/000'],
      chainId: [1, 31337],
      nonce: [0, 1, 2, 3],
      cidrs: [['127.0.0.1/32']],
      type: [0, 1, 2, 3, 4],
    };
    const checkerOf = checkers(document);
    const visited = new Map<string, number>();
    const statuses = new Map<number, number>();

    const renew = async (person: Person): Promise<void> => {
      const answer = await service.admin.post<{ token: string }>(
        `/v1/principals/${person.id}/credentials`,
        {},
      );
      person.token = expectStatus(201, answer).token;
    };

    const send = async (named: Named, caller: string, { target, body, strange }: Sent): Promise<void> => {
      const method = strange ?? named.method;
      const person = people.get(caller);
      const aborted = new AbortController();
      const response = await fetch(service.url + target, {
        method,
        signal: aborted.signal,
        headers: {
          ...(person !== undefined && { authorization: `Bearer ${person.token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body }),
      });
      const { status } = response;
      const mediaType = (response.headers.get('content-type') ?? '').split(';', 1)[0] ?? '';
      const isStream = mediaType === STREAM;
      if (isStream) aborted.abort();
      const text = isStream ? '' : await response.text();
      const what = `${method} ${target} as ${caller}: ${body?.slice(0, 2_000)}\n${status} ${text.slice(0, 500)}`;
      if (strange === undefined) visited.set(`${named.name} ${caller}`, status);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);

      // What the path of a damaged parameter leads to may be another operation, or none: its answer is a problem then.
      const check = checkerOf(named, status, mediaType);
      if (typeof check === 'string') throw new Error(`${check}: ${what}`);
      const isJson = mediaType.endsWith('json') && mediaType !== 'application/x-ndjson';
      const parsed = (isJson ? JSON.parse(text) : text) as { readonly code?: string };
      if (!check(parsed)) throw new Error(`${JSON.stringify(check.errors)}: ${what}`);
      const problem = mediaType === 'application/problem+json' ? (parsed as object) : undefined;
      const isDocumented = named.operation.responses[status] !== undefined;
      const faults = headerFaults({
        method,
        status,
        headers: response.headers,
        problem,
        documented: isDocumented,
      });
      if (faults.length > 0) throw new Error(`${faults.join('; ')}: ${what}`);
      if (strange !== undefined && status < 400) throw new Error(`a method that nothing has: ${what}`);
      const isRefusal = REFUSALS.has(parsed.code ?? '') || named.path === '/readyz';
      if (status >= 500 && !isRefusal) throw new Error(`a fault of ours: ${what}\n${service.stderr()}`);

      if (status === 401 && person !== undefined) await renew(person);
      // Sealed by one that may, it would refuse nearly everything from then on.
      if (named.path === '/v1/sys/seal' && status === 200) {
        await fetch(`${service.url}/v1/sys/unseal`, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${people.get('operator')?.token}`,
            'content-type': 'application/json',
          },
          body: '{}',
        });
      }
    };

    const requests = new Map(operations.map((named) => [named, requestTo(named, hints)]));
    const call = fc
      .tuple(fc.constantFrom(...operations), fc.constantFrom(...ROLES, 'nobody'), fc.nat(2))
      .chain(([named, other, n]) => {
        // Two of three by somebody who may.
        const able = (named.operation as { readonly 'x-roles'?: readonly string[] })['x-roles'];
        const caller = able === undefined || n === 0 ? other : (able[other.length % able.length] ?? other);
        return fc.tuple(fc.constant(named), fc.constant(caller), requests.get(named)!);
      });
    console.log(`seed ${SEED}`);
    await fc.assert(
      fc.asyncProperty(call, async ([named, caller, sent]) => await send(named, caller, sent)),
      { seed: SEED, numRuns: 10_000_000, interruptAfterTimeLimit: SECONDS * 1_000, endOnFailure: true },
    );

    // Sealed by the walker it is unsealed at once: a 503 would be met by chance only.
    const signing = operations.find(({ name }) => name === 'POST /v1/keys/{name}/sign/message')!;
    expectStatus(200, await service.admin.post('/v1/sys/seal', {}));
    await send(signing, 'signer', {
      target: '/v1/keys/demo/sign/message',
      body: '{"message":"sealed"}',
      strange: undefined,
    });
    expectStatus(200, await service.admin.post('/v1/sys/unseal', {}));

    const good = new Set([...visited].filter(([, status]) => status < 300).map(([name]) => name));
    console.log(JSON.stringify({ seed: SEED, statuses: Object.fromEntries(statuses), good: good.size }));
    const reached = new Set([...visited.keys()].map((name) => name.slice(0, name.lastIndexOf(' '))));
    expect(operations.map(({ name }) => name).filter((name) => !reached.has(name))).toEqual([]);
    // Otherwise nothing would have been asked of their headers.
    for (const status of [400, 401, 403, 404, 405, 503])
      expect(statuses.get(status), `${status}`).toBeGreaterThan(0);
    for (const role of [...ROLES, 'nobody']) {
      expect(
        [...visited.keys()].some((name) => name.endsWith(` ${role}`)),
        role,
      ).toBe(true);
    }
    expect(good.size).toBeGreaterThan(20);
    expectStatus(200, await service.admin.get('/v1/me'));
  },
  (SECONDS + 300) * 1_000,
);
