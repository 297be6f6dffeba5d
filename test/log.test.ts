import { expect, test } from 'vitest';
import { createLog } from '../src/log.ts';

function lineOf(fields: object): Record<string, unknown> {
  const lines: string[] = [];
  createLog('info', { write: (line) => void lines.push(line) }).info('event', fields);
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0]!) as Record<string, unknown>;
}

test('a line has the fields that lines may have, and no others', () => {
  const known = {
    requestId: 'r',
    code: 'c',
    reason: 'why',
    address: '::1',
    path: '/',
    pid: 1,
    size: 2,
    milliseconds: 3,
  };
  const line = lineOf({ ...known, body: { password: 'x' }, headers: 'authorization: y', privateKey: 'z' });
  const { level, time, msg, ...rest } = line;
  expect(rest).toEqual(known);
  expect([typeof level, typeof time, msg]).toEqual(['number', 'string', 'event']);
  expect(lineOf({ reason: { password: 'x' }, path: ['y'] })).not.toHaveProperty('reason');
});

test('what looks like a token or a private key is taken out of any text', () => {
  const token = `cs_${'0a'.repeat(8)}_${'A-b_'.repeat(10)}xyz`;
  const key = 'c0ffee11'.repeat(8);
  for (const secret of [token, key, `0x${key}`, key.toUpperCase(), `${key}${key}`]) {
    expect(lineOf({ reason: `before ${secret} after`, path: `/v1/${secret}` })).toMatchObject({
      reason: 'before [removed] after',
      path: '/v1/[removed]',
    });
  }
});
