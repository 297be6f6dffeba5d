import { quote } from '../effects/wording.ts';

/** A listing longer than this is cut, so that a decision stays readable and small. */
const MAX_LISTED = 5;
const MAX_TEXT = 400;

export function list(values: Iterable<unknown>): string {
  const all = [...values];
  const shown = all.slice(0, MAX_LISTED).map(String).join(', ');
  return shorten(all.length > MAX_LISTED ? `[${shown}, … ${all.length - MAX_LISTED} more]` : `[${shown}]`);
}

export function shorten(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

/** Text of a caller, on one line and not longer than what else is said. */
export function quoteShort(text: string): string {
  return shorten(quote(text));
}
