import { encodeEntry, ENTRY_KINDS, OUTCOMES, type Entry, type EntryDraft } from '../../../src/audit/entry.ts';
import { readEntry, type ReadEntry } from '../../../src/audit/projections/read-entry.ts';
import { leafHash } from '../../../src/audit/tree/merkle.ts';
import { entryOf, signedDraft, BODIES } from '../memory-log.ts';

export function readOf(draft: EntryDraft, index = 7): ReadEntry {
  const bytes = encodeEntry(entryOf(index, draft));
  return readEntry({ index, bytes, leafHash: leafHash(bytes) });
}

export const ACTOR: NonNullable<Entry['actor']> = {
  principal: 'alice',
  principalId: '0b7d',
  roles: ['signer', 'approver'],
  credential: '8f00',
  certificate: 'ab'.repeat(32),
  address: '192.0.2.7',
};

/** With everything that an entry can have. */
export const SIGNED: EntryDraft = {
  ...signedDraft('transaction', BODIES.transaction),
  actor: ACTOR,
  requestId: 'req-1',
  elapsedUs: 12_345,
  key: { name: 'treasury', version: 3, address: `0x${'1a'.repeat(20)}`, tags: ['hot'] },
  detail: { purpose: 'a test', count: 3 },
};

/** Of every kind, with every outcome, by somebody and by the service itself. */
export function allDrafts(): EntryDraft[] {
  return ENTRY_KINDS.flatMap((kind) =>
    OUTCOMES.flatMap((outcome): EntryDraft[] => [
      { kind, outcome, actor: ACTOR, requestId: 'r', detail: { reason: 'because' } },
      { kind, outcome },
      { ...SIGNED, kind, outcome },
    ]),
  );
}

/** Text that somebody could put into a name, a reason or a message to forge or hide a line. */
export const HOSTILE = [
  'a\nb',
  'a\r\nCEF:0|Countersign|countersign|0|sign|x|0|',
  'tab\tnul\0bell\u0007escape\u001b[31m',
  'delete\u007f next line\u0085 string terminator\u009c',
  'quotes " \' ` and back\\slash \\n \\u2028 \\',
  'line\u2028paragraph\u2029',
  'right to left \u202e\u2066nesting\u2069\u200f\u061c',
  'invisible \u200b\u200d\ufeff\u00ad tag \u{e0041}',
  'key=value another=1 | pipe ] bracket [x@1 y="z"]',
  '","outcome":"done","x":"',
  'emoji 😀 combining e\u0301 umlaut ü',
  '\ud7ff\ue000\uffff',
];

/** The draft, with this text wherever somebody outside can put one. */
export function draftWith(text: string): EntryDraft {
  return {
    ...SIGNED,
    actor: { ...ACTOR, principal: text, roles: [text] },
    requestId: text,
    key: { name: text, version: 1, tags: [text] },
    operation: text,
    intent: { message: text },
    detail: { reason: text, [text]: text },
    decision: { effect: 'deny', rule: text, policyRevision: 1, policyHash: '00', reason: text },
  };
}
