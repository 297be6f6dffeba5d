import { InvalidArgumentError } from 'commander';

/** Readers of option values; what they throw, commander reports with the option's name. */

/** For options that may be given more than once. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

export function versionNumber(text: string): number {
  return positive(text, 'a version is a whole number from 1');
}

export function count(text: string): number {
  return positive(text, 'must be a whole number from 1');
}

export function index(text: string): number {
  if (!/^(?:0|[1-9]\d{0,14})$/.test(text))
    throw new InvalidArgumentError('an index is a whole number from 0');
  return Number(text);
}

export function seconds(text: string): number {
  if (!/^(?:0|[1-9]\d{0,8})$/.test(text)) throw new InvalidArgumentError('must be whole seconds');
  return Number(text);
}

function positive(text: string, hint: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new InvalidArgumentError(hint);
  return Number(text);
}
