import { describe, expect, test } from 'vitest';
import type { JsonValue } from '../../src/jcs.ts';
import { calldata } from '../effects/intents.ts';
import { allowTransfers, BOB, OWNER, policyWith, request, TRANSFER, type Members } from './fixtures.ts';

const MORE: Members = {
  approvals: { big: { all: [{ role: 'approver', m: 2 }] } },
  abis: { desk: ['multicall(bytes[] data)', 'ping(uint256 n)'] },
  limits: {
    often: {
      meter: 'count',
      per: ['key'],
      window: { rolling: '1h', bucket: '1m' },
      max: 5,
      onExceed: 'deny',
    },
  },
};

describe('an explanation', () => {
  test('has every rule of the operation, each with what fails first', () => {
    const rule = (id: string, more: { [name: string]: JsonValue }): JsonValue => ({
      ...allowTransfers(),
      id,
      ...more,
    });
    const policy = policyWith(
      MORE,
      rule('who', { principals: { ids: ['p-9'] } }),
      rule('key', { keys: { names: ['other'] } }),
      rule('from', { source: { cidr: ['10.0.0.0/8'] } }),
      rule('past', { validity: { until: '2026-01-01T00:00:00Z' } }),
      rule('night', { windows: [{ tz: 'UTC', days: ['fri'], from: '20:00', to: '22:00' }] }),
      { ...allowTransfers({ to: { in: [BOB] } }), id: 'to-bob' },
      { ...allowTransfers(), id: 'trial', mode: 'shadow' },
      allowTransfers(),
      { id: 'ask', effect: 'require', operations: ['transaction'], approval: 'big' },
      { id: 'no', effect: 'deny', operations: ['transaction'], when: { nonce: { eq: 8 } } },
      { id: 'elsewhere', effect: 'deny', operations: ['message'] },
    );
    const { rules, decision } = policy.explain(request(TRANSFER));
    const allow = { effect: 'allow', shadow: false, matches: false };
    expect(rules).toEqual([
      { rule: 'who', ...allow, failed: 'principal' },
      { rule: 'key', ...allow, failed: 'key' },
      { rule: 'from', ...allow, failed: 'source' },
      { rule: 'past', ...allow, failed: 'validity' },
      { rule: 'night', ...allow, failed: 'window' },
      { rule: 'to-bob', ...allow, failed: expect.stringMatching(/^to: 0x.* is not in/) as string },
      { rule: 'trial', effect: 'allow', shadow: true, matches: true },
      { rule: 'pay', ...allow, matches: true },
      { rule: 'ask', effect: 'require', shadow: false, matches: true },
      { rule: 'no', effect: 'deny', shadow: false, matches: false, failed: 'nonce: 7 is not eq 8' },
    ]);
    expect(decision).toEqual(policy.evaluate(request(TRANSFER)));
  });

  test('says of allow rules why they are not for the effect that has none', () => {
    const ping = calldata('ping(uint256)', [2n]);
    const batch = { ...TRANSFER, to: BOB, value: 0n, data: calldata('multicall(bytes[])', [[ping]]) };
    const policy = policyWith(
      MORE,
      { ...allowTransfers({ call: { abi: 'desk', fn: 'multicall' } }), id: 'outer' },
      { ...allowTransfers({ call: { abi: 'desk', fn: 'ping', args: { n: { eq: '1' } } } }), id: 'inner' },
    );
    const { decision, rules } = policy.explain(request(batch));
    expect(decision.effect).toBe('deny');
    expect(rules).toMatchObject([
      { matches: true, failed: `inner call 0 to ${BOB}: call: is no call of multicall(bytes[])` },
      { matches: false, failed: `inner call 0 to ${BOB}: call.args.n: 2 is not eq 1` },
    ]);
  });

  test('has every limit that is charged, with what is left of it', () => {
    const policy = policyWith(MORE, allowTransfers());
    const use = { limit: 'often', scope: 'treasury', amount: 1n, max: 5n };
    const explained = (before: bigint): unknown => {
      const { decision, limits } = policy.explain(request(TRANSFER), () => before);
      return [decision.effect, limits];
    };
    expect(explained(0n)).toEqual(['allow', [{ ...use, before: 0n, headroom: 5n }]]);
    expect(explained(4n)).toEqual(['allow', [{ ...use, before: 4n, headroom: 1n }]]);
    expect(explained(5n)).toEqual(['deny', [{ ...use, before: 5n, headroom: 0n }]]);
    expect(explained(9n)).toEqual(['deny', [{ ...use, before: 9n, headroom: 0n }]]);
    expect(policyWith(MORE).explain(request(TRANSFER)).limits).toEqual([]);
  });

  test('of a key that is superseded, and of what cannot be read to its end', () => {
    const policy = policyWith(MORE, allowTransfers());
    const draining = { ...OWNER, key: { ...OWNER.key, draining: true } };
    expect(policy.explain(request(TRANSFER, draining)).rules).toMatchObject([{ failed: 'draining' }]);
    const cut = policy.explain(request({ ...TRANSFER, data: '0xa9059cbb' }));
    expect(cut.decision.effect).toBe('deny');
    expect(cut.rules).toMatchObject([{ rule: 'pay', matches: false }]);
  });

  test('does not throw', () => {
    const policy = policyWith(MORE, allowTransfers());
    for (const part of [
      { intent: undefined },
      { effects: undefined },
      { key: undefined },
      { principal: undefined },
    ]) {
      const { decision } = policy.explain({ ...request(TRANSFER), ...part } as never);
      expect(decision.effect).toBe('deny');
    }
  });
});
