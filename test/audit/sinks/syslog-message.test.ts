import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toCef } from '../../../src/audit/projections/cef.ts';
import { toOcsf } from '../../../src/audit/projections/ocsf.ts';
import { toPlain } from '../../../src/audit/projections/plain.ts';
import { syslogFrame } from '../../../src/audit/sinks/syslog-message.ts';
import { allDrafts, draftWith, HOSTILE, readOf, SIGNED } from '../projections/entries.ts';
import { parseMessage, type Message } from './syslog-server.ts';

const FORM = { facility: 13 };

function messageOf(frame: Buffer): Message {
  const space = frame.indexOf(0x20);
  expect(Number(frame.subarray(0, space).toString('latin1'))).toBe(frame.length - space - 1);
  return parseMessage(frame.subarray(space + 1).toString('utf8'));
}

describe('a syslog message', () => {
  it('has the entry’s own time, machine, run and kind', () => {
    const read = readOf(SIGNED);
    const { text, data, ...header } = messageOf(syslogFrame(read, toPlain(read), FORM));
    expect(header).toEqual({
      priority: 13 * 8 + 6,
      time: read.entry.time,
      hostname: 'test',
      app: 'countersign',
      procid: '0',
      msgid: 'sign',
    });
    expect(data).toEqual({});
    expect(JSON.parse(text)).toEqual(JSON.parse(toPlain(read)));
  });

  it('is worse for what is worse', () => {
    const severity = (draft: Parameters<typeof readOf>[0]): number =>
      messageOf(syslogFrame(readOf(draft), 'x', { facility: 0 })).priority;
    expect(severity({ kind: 'break_glass', outcome: 'done' })).toBe(2);
    expect(severity({ kind: 'signer.lost', outcome: 'failed' })).toBe(3);
    expect(severity({ ...SIGNED, outcome: 'denied' })).toBe(4);
    expect(severity(SIGNED)).toBe(6);
  });

  it('can be read of every kind of entry', () => {
    for (const draft of allDrafts()) {
      const read = readOf(draft);
      const message = messageOf(syslogFrame(read, toOcsf(read), { ...FORM, enterpriseNumber: 12_345 }));
      expect(message.msgid).toBe(draft.kind);
      expect(message.data['countersign@12345']).toMatchObject({ index: '7', outcome: draft.outcome });
    }
  });

  it('keeps hostile text where it belongs', () => {
    const text = fc.oneof(
      fc.constantFrom(...HOSTILE),
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.array(fc.constantFrom('"', ']', '\\', '[', ' ', '=', 'a')).map((of) => of.join('')),
    );
    fc.assert(
      fc.property(text, (hostile) => {
        const read = readOf(draftWith(hostile));
        const [plain, cef] = [toPlain(read), toCef(read)].map((line) => {
          const frame = syslogFrame(read, line, { ...FORM, enterpriseNumber: 1 });
          expect(frame.toString('utf8')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
          return messageOf(frame);
        });
        for (const message of [plain, cef]) {
          expect(message?.data['countersign@1']).toMatchObject({ kind: 'sign', outcome: 'done' });
        }
        const isPlain = !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(hostile);
        const principal = plain?.data['countersign@1']?.['principal'];
        expect(isPlain ? principal : hostile).toBe(hostile);
        expect(plain?.text).toMatch(/^[ -~]*$/);
        expect(JSON.parse(plain?.text ?? '')).toEqual(JSON.parse(toPlain(read)));
        expect(cef?.text).toBe(toCef(read));
      }),
    );
  });

  it('counts its length in bytes, not in characters', () => {
    const read = readOf(draftWith('ü€😀'));
    const frame = syslogFrame(read, toCef(read), FORM);
    expect(frame.toString('utf8').length).toBeLessThan(frame.length);
    messageOf(frame);
  });

  it('has a machine’s name in ASCII, or none', () => {
    const read = readOf(SIGNED);
    const named = (node: string): string =>
      messageOf(
        syslogFrame(
          { ...read, entry: { ...read.entry, service: { node, version: '1', epoch: 3 } } },
          'x',
          FORM,
        ),
      ).hostname;
    expect(named('böse maschine\n')).toBe('b?se?maschine?');
    expect(named('')).toBe('-');
    expect(named('x'.repeat(300))).toHaveLength(255);
  });
});
