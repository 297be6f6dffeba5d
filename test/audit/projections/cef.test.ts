import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EntryDraft } from '../../../src/audit/entry.ts';
import { toCef } from '../../../src/audit/projections/cef.ts';
import { ACTOR, allDrafts, draftWith, HOSTILE, readOf, SIGNED } from './entries.ts';

/** Reads CEF as its specification says, and refuses what it does not allow. */
function parseCef(line: string): { header: string[]; fields: Record<string, string> } {
  const header: string[] = [];
  let at = 0;
  for (let part = ''; header.length < 7; at++) {
    const character = line[at];
    if (character === undefined) throw new Error('the header has no end');
    if (character === '\\') {
      const next = line[++at];
      if (next !== '\\' && next !== '|') throw new Error(`\\${next} in the header`);
      part += next;
    } else if (character === '|') {
      header.push(part);
      part = '';
    } else part += character;
  }
  const fields: Record<string, string> = {};
  const extension = line.slice(at);
  const names = [...extension.matchAll(/(?:^| )([A-Za-z0-9]+)=/g)];
  for (const [i, match] of names.entries()) {
    const name = match[1]!;
    const raw = extension.slice(match.index + match[0].length, names[i + 1]?.index);
    if (/(?<!\\)(?:\\\\)*=/.test(raw)) throw new Error(`a bare = in ${name}`);
    if (Object.hasOwn(fields, name)) throw new Error(`two of ${name}`);
    fields[name] = raw.replaceAll(/\\(.)/g, (_, escaped: string) => {
      const meant = { n: '\n', r: '\r', '\\': '\\', '=': '=' }[escaped];
      if (meant === undefined) throw new Error(`\\${escaped} in ${name}`);
      return meant;
    });
  }
  return { header, fields };
}

const visible = (text: string): string =>
  text.replaceAll(/(?![\r\n])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  );

describe('CEF', () => {
  it('says who signed what, when and under which rule', () => {
    const { index, leafHash, entry } = readOf(SIGNED);
    const { header, fields } = parseCef(toCef(readOf(SIGNED)));
    expect(header).toEqual(['CEF:0', 'Countersign', 'countersign', '0.0.0', 'sign', 'Request to sign', '2']);
    expect(fields).toMatchObject({
      rt: String(Date.parse(entry.time)),
      externalId: String(index),
      outcome: 'done',
      act: 'transaction',
      suser: 'alice',
      suid: '0b7d',
      spriv: 'signer,approver',
      src: '192.0.2.7',
      dvchost: 'test',
      reason: 'rule all',
      cs1Label: 'key',
      cs1: 'treasury',
      cs2Label: 'rule',
      cs2: 'all',
      cs4Label: 'leafHash',
      cs4: leafHash,
      cs5Label: 'transactionHash',
      cs5: SIGNED.transactionHash,
      cn1Label: 'keyVersion',
      cn1: '3',
    });
  });

  it('has a field of its own for addresses of version 6', () => {
    const draft: EntryDraft = { ...SIGNED, actor: { ...ACTOR, address: '2001:db8::7' } };
    const { fields } = parseCef(toCef(readOf(draft)));
    expect(fields).toMatchObject({ c6a2: '2001:db8::7', c6a2Label: 'Source IPv6 Address' });
    expect(fields).not.toHaveProperty('src');
  });

  it('can be read of every kind of entry', () => {
    for (const draft of allDrafts()) {
      const { header, fields } = parseCef(toCef(readOf(draft)));
      expect(header[4]).toBe(draft.kind);
      expect(Number(header[6])).toBeGreaterThanOrEqual(0);
      expect(Number(header[6])).toBeLessThanOrEqual(10);
      expect(fields['outcome']).toBe(draft.outcome);
    }
  });

  it('gives back what was put in', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary', maxLength: 60 })),
        (text) => {
          const { header, fields } = parseCef(toCef(readOf(draftWith(text))));
          expect(header[4]).toBe('sign');
          expect(fields).toMatchObject({
            suser: visible(text),
            cs1: visible(text),
            reason: visible(text),
            outcome: 'done',
          });
        },
      ),
    );
  });

  it('keeps to the lengths that ArcSight keeps', () => {
    const { fields } = parseCef(toCef(readOf(draftWith('😀'.repeat(2_000)))));
    expect(fields['reason']!.length).toBeLessThanOrEqual(1_023);
    expect(fields['reason']).toMatch(/^(?:😀)+…$/u);
    expect(fields['cs1']).toBe('😀'.repeat(2_000));
  });
});
