import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { details, printable, printableJson, table, textWidth } from '../../src/cli/table.ts';

describe('table', () => {
  it('makes columns as wide as their widest cell, without space at the ends of lines', () => {
    expect(
      table(
        ['A', 'NAME'],
        [
          ['longer', 'x'],
          ['1', 'long name'],
        ],
      ),
    ).toBe(['A       NAME', 'longer  x', '1       long name'].join('\n'));
  });

  it('counts the columns of a terminal, not code units', () => {
    expect(textWidth('abc')).toBe(3);
    expect(textWidth('日本')).toBe(4);
    expect(textWidth('e\u0301')).toBe(1);
    expect(textWidth('👩‍👩‍👧‍👦')).toBe(2);
    expect(
      table(
        ['K', 'V'],
        [
          ['日本', '1'],
          ['é', '2'],
        ],
      ),
    ).toBe(['K     V', '日本  1', 'é     2'].join('\n'));
  });

  it('becomes blocks where it does not fit, and cuts nothing off', () => {
    const rows = [
      ['treasury', '0x' + 'ab'.repeat(20)],
      ['hot', ''],
    ];
    const narrow = table(['NAME', 'ADDRESS'], rows, 30);
    expect(narrow).toBe(
      ['name     treasury', `address  0x${'ab'.repeat(20)}`, '', 'name     hot', 'address  -'].join('\n'),
    );
    expect(table(['NAME', 'ADDRESS'], rows, 52)).toMatch(/^NAME {6}ADDRESS\n/);
    expect(table(['NAME', 'ADDRESS'], rows, 51)).toBe(narrow);
  });

  it('keeps every row on one line, whatever is in it', () => {
    const cell = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell), { maxLength: 5 }), (rows) => {
        const lines = table(['A', 'B'], rows).split('\n');
        expect(lines).toHaveLength(rows.length + 1);
        // eslint-disable-next-line no-control-regex
        for (const line of lines) expect(line).not.toMatch(/\p{Cc}/u);
      }),
    );
  });
});

describe('details', () => {
  it('aligns values and leaves out pairs without one', () => {
    expect(
      details([
        ['a', '1'],
        ['gone', undefined],
        ['long', '2'],
      ]),
    ).toBe('a     1\nlong  2');
    expect(details([])).toBe('');
  });
});

describe('printable', () => {
  it('shows control and direction characters in place of obeying them', () => {
    expect(printable('a\u001B[31m\u009B\u202Eb\n')).toBe('a\\u{1b}[31m\\u{9b}\\u{202e}b\\u{a}');
  });

  it('writes JSON that is the same JSON, and steers no terminal', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string({ unit: 'binary' }), (value, text) => {
        const written = printableJson({ value, text });
        expect(JSON.parse(written)).toEqual(JSON.parse(JSON.stringify({ value, text })));
        expect(written.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202A-\u202E]/u);
      }),
    );
  });
});
