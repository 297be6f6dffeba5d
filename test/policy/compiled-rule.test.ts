import { describe, expect, test } from 'vitest';
import type { JsonValue } from '../../src/jcs.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import { documentOf, NOW, OWNER, policyOf, policyWith, request, type Caller } from './fixtures.ts';

const MESSAGE = { operation: 'message', data: '0x' } as const;
const DIGEST = { operation: 'digest', digest: `0x${'00'.repeat(32)}`, purpose: 'login:web' } as const;

describe('who and with which key', () => {
  const holdsFor = (selectors: { [name: string]: JsonValue }): boolean => {
    const rule = { id: 'it', effect: 'deny', operations: ['message'], ...selectors };
    const keyGroups = { warm: { tags: ['hot'] }, named: { names: ['treasury'] }, cold: { tags: ['cold'] } };
    const policy = compilePolicy({ ...documentOf(rule), keyGroups });
    return policy.evaluate(request({ operation: 'message', data: '0x' })).rule === 'it';
  };
  test.each<[{ [name: string]: JsonValue }, boolean]>([
    [{}, true],
    [{ principals: { roles: ['signer'] } }, true],
    [{ principals: { roles: ['operator', 'signer'] } }, true],
    [{ principals: { roles: ['operator'] } }, false],
    [{ principals: { ids: ['p-1'] } }, true],
    [{ principals: { ids: ['P-1'] } }, false],
    [{ principals: { ids: ['payroll'] } }, false],
    [{ principals: { roles: ['operator'], ids: ['p-1'] } }, true],
    [{ keys: { names: ['*'] } }, true],
    [{ keys: { names: ['treasury'] } }, true],
    [{ keys: { names: ['hot'] } }, false],
    [{ keys: { tags: ['hot'] } }, true],
    [{ keys: { tags: ['treasury'] } }, false],
    [{ keys: { groups: ['warm'] } }, true],
    [{ keys: { groups: ['named'] } }, true],
    [{ keys: { groups: ['cold'] } }, false],
    [{ keys: { groups: ['cold'], names: ['treasury'] } }, true],
    [{ principals: { roles: ['signer'] }, keys: { names: ['other'] } }, false],
  ])('%j', (selectors, expected) => {
    expect(holdsFor(selectors)).toBe(expected);
  });

  test('a rule is about its operations only', () => {
    const policy = policyOf({ id: 'it', effect: 'deny', operations: ['typed-data', 'digest'] });
    expect(policy.evaluate(request({ operation: 'message', data: '0x' })).rule).toBeUndefined();
    expect(policy.evaluate(request(DIGEST)).rule).toBe('it');
  });
});

/** Whether a deny rule with these members, which looks at no effect, matches. */
function appliesTo(members: { [name: string]: JsonValue }, more: Partial<Caller> = {}): boolean {
  const rule = { id: 'it', effect: 'deny', operations: ['message'], ...members };
  return policyOf(rule).evaluate(request(MESSAGE, { ...OWNER, ...more })).rule === 'it';
}

describe('from where', () => {
  test.each<[JsonValue, string | undefined, boolean]>([
    [['10.0.0.0/8'], '10.20.1.1', true],
    [['10.0.0.0/8'], '11.0.0.1', false],
    [['192.168.0.0/16', '10.20.1.1/32'], '10.20.1.1', true],
    [['10.20.1.1/32'], '10.20.1.2', false],
    [['10.0.0.0/8'], '::ffff:10.20.1.1', true],
    [['fd00::/8'], 'fd12::1', true],
    [['fd00::/8'], 'fe80::1', false],
    [['fe80::/10'], 'fe80::1%eth0', true],
    [['0.0.0.0/0'], '10.20.1.1', true],
    // Of a caller whose address is not known, a deny rule believes the worst.
    [['10.0.0.0/8'], undefined, true],
    [['10.0.0.0/8'], '', true],
  ])('networks %j and address %s', (cidr, address, expected) => {
    expect(appliesTo({ source: { cidr } }, { source: { address, mtls: false } })).toBe(expected);
  });

  test.each([undefined, ''])('nowhere (%j): allows nothing, and requires what is required', (address) => {
    const more = { principals: { roles: ['signer'] }, keys: { names: ['*'] }, operations: ['message'] };
    const source = { cidr: ['0.0.0.0/0', '::/0'] };
    const from = request(MESSAGE, { ...OWNER, source: { address, mtls: false } });
    expect(policyOf({ id: 'a', effect: 'allow', ...more, source }).evaluate(from).effect).toBe('deny');
    const approvals = { big: { all: [{ role: 'approver', m: 1 }] } };
    const requiring = { id: 'r', effect: 'require', operations: ['message'], approval: 'big', source };
    const policy = policyWith({ approvals }, { id: 'a', effect: 'allow', ...more }, requiring);
    expect(policy.evaluate(from).effect).toBe('require');
  });

  test.each<[JsonValue, boolean, boolean]>([
    [{ mtls: true }, true, true],
    [{ mtls: true }, false, false],
    [{ mtls: false }, false, true],
    [{ mtls: true, cidr: ['10.0.0.0/8'] }, true, true],
    [{ mtls: true, cidr: ['11.0.0.0/8'] }, true, false],
    [{ mtls: true, cidr: ['10.0.0.0/8'] }, false, false],
  ])('%j and a client certificate: %s', (source, mtls, expected) => {
    expect(appliesTo({ source }, { source: { address: '10.1.1.1', mtls } })).toBe(expected);
  });
});

describe('when', () => {
  const from = '2026-11-20T10:00:00Z';
  const until = '2026-11-20T11:00:00Z';
  test.each<[JsonValue, number, boolean]>([
    [{ from }, NOW, true],
    [{ from }, NOW - 1, false],
    [{ until: from }, NOW - 1, true],
    [{ until: from }, NOW, false],
    [{ from, until }, NOW + 3_599_999, true],
    [{ from, until }, NOW + 3_600_000, false],
  ])('validity %j at %i', (validity, now, expected) => {
    expect(appliesTo({ validity }, { now })).toBe(expected);
  });

  test('in one of the windows, asked for one moment after another', () => {
    const windows = [
      { tz: 'UTC', days: ['fri'], from: '09:00', to: '11:00' },
      { tz: 'UTC', days: ['fri'], from: '13:00', to: '14:00' },
    ];
    const policy = policyOf({ id: 'it', effect: 'deny', operations: ['message'], windows });
    const hours = [8, 9, 9, 10, 11, 12, 13, 14, 9];
    const matches = hours.map((hour) => {
      const now = Date.UTC(2026, 10, 20, hour);
      return policy.evaluate(request(MESSAGE, { ...OWNER, now })).rule === 'it';
    });
    expect(matches).toEqual([false, true, true, true, false, false, true, false, true]);
  });
});
