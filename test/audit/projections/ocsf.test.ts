import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { EntryDraft } from '../../../src/audit/entry.ts';
import { toOcsf } from '../../../src/audit/projections/ocsf.ts';
import { allDrafts, readOf, SIGNED } from './entries.ts';

/** Of OCSF 1.5.0, class 6003, without profiles: the names, types and requirements of what is used of it. */
const endpoint = z
  .strictObject({ ip: z.union([z.ipv4(), z.ipv6()]), name: z.string(), svc_name: z.string() })
  .partial()
  .refine((of) => Object.keys(of).length > 0);
const apiActivity = z
  .strictObject({
    activity_id: z.union([0, 1, 2, 3, 4, 99].map((id) => z.literal(id))),
    activity_name: z.string(),
    category_uid: z.literal(6),
    category_name: z.literal('Application Activity'),
    class_uid: z.literal(6003),
    class_name: z.literal('API Activity'),
    type_uid: z.int(),
    type_name: z.string(),
    severity_id: z.int().min(1).max(5),
    severity: z.enum(['Informational', 'Low', 'Medium', 'High', 'Critical']),
    time: z.int(),
    status_id: z.union([z.literal(1), z.literal(2), z.literal(99)]),
    status: z.string(),
    status_code: z.string(),
    status_detail: z.string().optional(),
    message: z.string(),
    duration: z.int().optional(),
    metadata: z.strictObject({
      version: z.literal('1.5.0'),
      product: z.strictObject({ name: z.string(), vendor_name: z.string(), version: z.string() }),
      uid: z.string(),
      sequence: z.int(),
      event_code: z.string(),
      log_name: z.string(),
      log_version: z.string(),
      correlation_uid: z.string().optional(),
    }),
    actor: z
      .strictObject({
        user: z.strictObject({
          name: z.string(),
          uid: z.string(),
          credential_uid: z.string(),
          groups: z.array(z.strictObject({ name: z.string(), type: z.string() })),
        }),
        app_name: z.string(),
        authorizations: z.array(
          z.strictObject({
            decision: z.string(),
            policy: z.strictObject({ name: z.string(), uid: z.string(), version: z.string() }),
          }),
        ),
      })
      .partial()
      .refine(({ user, app_name: app }) => user !== undefined || app !== undefined),
    src_endpoint: endpoint,
    api: z.strictObject({
      operation: z.string(),
      request: z.strictObject({ uid: z.string() }).optional(),
      response: z.strictObject({ error: z.string(), error_message: z.string().optional() }).optional(),
      service: z.strictObject({ name: z.string(), uid: z.string() }),
      version: z.string(),
    }),
    resources: z
      .array(
        z.strictObject({
          name: z.string(),
          uid: z.string(),
          type: z.string(),
          version: z.string(),
          labels: z.array(z.string()),
        }),
      )
      .optional(),
    unmapped: z.record(z.string(), z.unknown()),
  })
  .refine(({ type_uid: type, activity_id: activity }) => type === 600_300 + activity);

const eventOf = (draft: EntryDraft): z.infer<typeof apiActivity> =>
  apiActivity.parse(JSON.parse(toOcsf(readOf(draft))));

describe('OCSF', () => {
  it('is an API Activity, of every kind of entry', () => {
    for (const draft of allDrafts()) {
      const event = eventOf(draft);
      expect(event.metadata.event_code).toBe(draft.kind);
      expect(event.status_code).toBe(draft.outcome);
    }
  });

  it('says who, what, where, how long and under which rule', () => {
    const { leafHash, index, entry } = readOf(SIGNED);
    expect(eventOf(SIGNED)).toMatchObject({
      activity_name: 'Create',
      status: 'Success',
      severity: 'Informational',
      duration: 12,
      time: Date.parse(entry.time),
      metadata: { uid: leafHash, sequence: index, correlation_uid: 'req-1' },
      actor: {
        user: { name: 'alice', uid: '0b7d', credential_uid: '8f00' },
        authorizations: [{ decision: 'allow', policy: { name: 'all', version: '1' } }],
      },
      src_endpoint: { ip: '192.0.2.7' },
      api: { operation: 'sign.transaction', request: { uid: 'req-1' } },
      resources: [{ name: 'treasury', version: '3', uid: `0x${'1a'.repeat(20)}`, labels: ['hot'] }],
      unmapped: {
        signature: SIGNED.signature,
        digest: SIGNED.digest,
        intent: SIGNED.intent,
        detail: SIGNED.detail,
      },
    });
  });

  it('makes a denial a failure with its reason, worse than what was allowed', () => {
    const decision = { ...SIGNED.decision!, effect: 'deny', reason: 'rule sanctions denies' } as const;
    const { signature: _, ...unsigned } = SIGNED;
    const event = eventOf({ ...unsigned, outcome: 'denied', decision });
    expect(event).toMatchObject({
      status_id: 2,
      status_detail: 'rule sanctions denies',
      severity_id: 3,
      api: { response: { error: 'denied', error_message: 'rule sanctions denies' } },
    });
  });
});
