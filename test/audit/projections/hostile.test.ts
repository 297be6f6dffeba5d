import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalize, type JsonValue } from '../../../src/jcs.ts';
import { PROJECTIONS, PROJECTION_NAMES } from '../../../src/audit/projections/projection.ts';
import { asciiJson, oneLineJson } from '../../../src/audit/projections/text.ts';
import { leafHash } from '../../../src/audit/tree/merkle.ts';
import { draftWith, HOSTILE, readOf } from './entries.ts';

/** Wherever some reader ends a line: Python's splitlines, ECMAScript, Unicode's UAX 14. */
const LINE_END = new RegExp(`[\\n\\v\\f\\r${String.fromCharCode(0x1c, 0x1d, 0x1e)}\\u0085\\u2028\\u2029]`);
const ACTED_UPON = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

const text = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc
    .array(fc.constantFrom('\n', '\r', '\\', '"', '=', '|', ']', '\u2028', '\u202e', '\0', 'a', '😀'))
    .map((of) => of.join('')),
);

describe.each(PROJECTION_NAMES)('%s', (name) => {
  it.each(HOSTILE)('is one line without anything to act upon, whatever is in it: %j', (hostile) => {
    const line = PROJECTIONS[name](readOf(draftWith(hostile)));
    expect(line).not.toMatch(LINE_END);
    expect(line).not.toMatch(ACTED_UPON);
  });

  it('is one line of any text', () => {
    fc.assert(
      fc.property(text, (hostile) => {
        expect(PROJECTIONS[name](readOf(draftWith(hostile)))).not.toMatch(ACTED_UPON);
      }),
    );
  });
});

describe('plain', () => {
  it('has the entry as it was hashed', () => {
    fc.assert(
      fc.property(text, (hostile) => {
        const read = readOf(draftWith(hostile));
        const {
          entry,
          index,
          leafHash: hash,
        } = JSON.parse(PROJECTIONS.plain(read)) as Record<string, JsonValue>;
        expect(index).toBe(read.index);
        expect(canonicalize(entry!)).toBe(read.text);
        expect(leafHash(Buffer.from(canonicalize(entry!))).toString('hex')).toBe(hash);
      }),
    );
  });
});

describe('ocsf', () => {
  it('gives back what was put in, and lets nobody add a field', () => {
    const fields = Object.keys(JSON.parse(PROJECTIONS.ocsf(readOf(draftWith('x')))) as object);
    fc.assert(
      fc.property(text, (hostile) => {
        const event = JSON.parse(PROJECTIONS.ocsf(readOf(draftWith(hostile)))) as Record<string, JsonValue>;
        expect(Object.keys(event)).toEqual(fields);
        expect(event).toMatchObject({
          actor: { user: { name: hostile } },
          resources: [{ name: hostile }],
          status_code: 'done',
          unmapped: { intent: { message: hostile } },
        });
      }),
    );
  });
});

describe('JSON text', () => {
  it('keeps its value, in one line and in ASCII', () => {
    fc.assert(
      fc.property(text, (hostile) => {
        const json = JSON.stringify({ [hostile]: [hostile] });
        expect(JSON.parse(oneLineJson(json))).toEqual(JSON.parse(json));
        expect(JSON.parse(asciiJson(json))).toEqual(JSON.parse(json));
        expect(asciiJson(json)).toMatch(/^[ -~]*$/);
      }),
    );
  });
});
