import { z } from 'zod';
import type { JsonValue } from '../../jcs.ts';
import { diffPolicies } from '../../policy/diff.ts';
import { runSuite } from '../../policy/suite.ts';
import { readPolicy, readSuites } from '../policy-input.ts';
import { replayPage } from '../replay.ts';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { documentSchema, numberText, suitesSchema } from '../shapes.ts';

const tag = 'Policy';

const timeSchema = z.iso.datetime({ offset: true }).transform((time) => new Date(time).toISOString());

const effect = z.enum(['allow', 'deny', 'require']);
const differenceShape = z.strictObject({
  index: z.int(),
  time: z.string(),
  principal: z.string(),
  key: z.string(),
  operation: z.string(),
  before: z.strictObject({ effect, rule: z.string().optional() }),
  after: z.strictObject({ effect, rule: z.string().optional(), reason: z.string() }),
});

const suiteShape = z.strictObject({
  suite: z.string(),
  file: z.string(),
  passed: z.int(),
  failed: z.int(),
  tests: z.array(
    z.strictObject({
      name: z.string(),
      passed: z.boolean(),
      expected: z.record(z.string(), z.unknown()),
      got: z.record(z.string(), z.unknown()),
      why: z.string().optional(),
    }),
  ),
});

/** What a candidate would do: nothing of it is kept, and nothing is signed or charged. */
export function policyToolRoutes({ policy, reads, log }: Service): Route[] {
  return [
    route(
      {
        method: 'POST',
        path: '/v1/policy/test',
        tag,
        summary: 'Run test suites against a policy',
        access: ['policy-admin', 'auditor'],
        body: z.strictObject({
          document: documentSchema.optional().meta({ description: 'The policy in force when absent.' }),
          suites: suitesSchema.min(1),
        }),
        answer: {
          status: 200,
          description: 'What passed and what did not.',
          schema: z.strictObject({ passed: z.int(), failed: z.int(), suites: z.array(suiteShape) }),
        },
      },
      ({ body: { document, suites } }) => {
        const candidate = document === undefined ? policy.current() : readPolicy(document);
        const reports = readSuites(suites).map((suite) => runSuite(candidate, suite));
        const sum = (count: 'passed' | 'failed'): number =>
          reports.reduce((all, each) => all + each[count], 0);
        return {
          passed: sum('passed'),
          failed: sum('failed'),
          suites: reports as unknown as readonly JsonValue[],
        };
      },
    ),
    route(
      {
        method: 'POST',
        path: '/v1/policy/diff',
        tag,
        summary: 'What a policy would change, in words',
        access: ['admin', 'policy-admin', 'approver', 'operator', 'auditor'],
        body: z.strictObject({ document: documentSchema }),
        answer: {
          status: 200,
          description: 'Against the policy in force; one change each.',
          schema: z.strictObject({ changes: z.array(z.string()) }),
        },
      },
      ({ body: { document } }) => ({
        changes: diffPolicies(policy.current(), readPolicy(document)).map(({ text }) => text),
      }),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/policy/replay',
        tag,
        summary: 'What a policy would have decided of what is in the log',
        description: 'A page of the log’s decisions; `nextCursor` goes on, and is null at the end.',
        access: ['policy-admin', 'auditor'],
        body: z.strictObject({
          document: documentSchema,
          from: timeSchema.optional(),
          to: timeSchema.optional(),
          cursor: numberText(0).optional(),
        }),
        answer: {
          status: 200,
          description: 'Every decision that would change.',
          schema: z.strictObject({
            evaluated: z.int(),
            skipped: z.int().meta({ description: 'Entries that do not hold the whole intent.' }),
            changed: z.array(differenceShape),
            size: z.int().meta({ description: 'Entries in the log.' }),
            nextCursor: z.string().nullable(),
          }),
        },
      },
      async ({ body: { document, ...range } }) => {
        const { nextCursor, changed, ...counts } = await replayPage(reads, readPolicy(document), range);
        return {
          ...counts,
          changed: changed as unknown as readonly JsonValue[],
          size: log.size,
          nextCursor: nextCursor === undefined ? null : String(nextCursor),
        };
      },
    ),
  ];
}
