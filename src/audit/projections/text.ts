/**
 * Characters that a terminal, an editor or a line reader may act on: controls, line and paragraph separators (some
 * readers end a line at U+2028 and U+0085), and format characters, among them those that reverse the reading order.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const NOT_ASCII = /[^ -~]/g;

/** JSON text that is one line for every reader, and the same value: what is unsafe stands as `\uXXXX`. */
export function oneLineJson(json: string): string {
  return json.replaceAll(UNSAFE, escapeUnits);
}

/** The same value in ASCII alone. */
export function asciiJson(json: string): string {
  return json.replaceAll(NOT_ASCII, escapeUnits);
}

/** `text` with everything unsafe as the six characters `\uXXXX`, which a reader can't tell from a text that has those. */
export function visible(text: string): string {
  return text.replaceAll(UNSAFE, escapeUnits);
}

function escapeUnits(characters: string): string {
  let escaped = '';
  for (let i = 0; i < characters.length; i++) {
    escaped += `\\u${characters.charCodeAt(i).toString(16).padStart(4, '0')}`;
  }
  return escaped;
}
