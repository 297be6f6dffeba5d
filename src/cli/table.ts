const GAP = '  ';

/** One grapheme of these takes two columns. */
const WIDE =
  /\p{Emoji_Presentation}|[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{20000}-\u{3FFFD}]/u;
/** Control characters, and those that turn the direction of text: what came from elsewhere must not steer a terminal. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]|\p{Surrogate}/gu;

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/**
 * Rows under a head, in columns as wide as their widest cell. Where a terminal is too narrow for that, each row
 * becomes a block of lines: nothing is ever cut off.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  width = Infinity,
): string {
  const lines = [head, ...rows].map((row) => head.map((_, column) => cell(row[column])));
  const widths = head.map((_, column) => Math.max(...lines.map((row) => textWidth(row[column] ?? ''))));
  if (widths.reduce((sum, each) => sum + each + GAP.length, -GAP.length) > width) {
    return rows
      .map((row) => details(head.map((name, column) => [name.toLowerCase(), row[column]])))
      .join('\n\n');
  }
  return lines
    .map((row) =>
      row
        .map((text, column) => pad(text, widths[column] ?? 0))
        .join(GAP)
        .trimEnd(),
    )
    .join('\n');
}

/** Names and values, one pair a line; pairs without a value are left out. */
export function details(pairs: readonly (readonly [name: string, value: string | undefined])[]): string {
  const given = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined);
  const width = Math.max(0, ...given.map(([name]) => textWidth(name)));
  return given.map(([name, value]) => `${pad(name, width)}${GAP}${cell(value)}`.trimEnd()).join('\n');
}

/** Text on one line that shows what it holds and does nothing else. */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** JSON to read or to parse, harmless to a terminal. */
export function printableJson(value: unknown): string {
  const escape = (character: string): string =>
    `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
  // JSON.stringify has escaped the line breaks inside strings; those that are left are its own.
  return JSON.stringify(value, undefined, 2).replaceAll(UNPRINTABLE, (found) =>
    found === '\n' ? found : escape(found),
  );
}

function cell(text = ''): string {
  return text === '' ? '-' : printable(text);
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - textWidth(text)));
}

/** Columns of a terminal, as far as Unicode tells. */
export function textWidth(text: string): number {
  if (/^[\u0020-\u007E]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}
