import { expect, test } from 'vitest';
import { connectionLimit } from '../../src/http/open-files.ts';

const limits = (openFiles: string): string =>
  `Limit                     Soft Limit           Hard Limit           Units     \n` +
  `Max processes             63000                63000                processes \n` +
  `Max open files            ${openFiles.padEnd(20)} 524288               files     \n`;

test.each([
  ['1024', 896],
  ['256', 128],
  ['65536', 10_000],
  ['unlimited', 10_000],
  ['100', 16],
])('of %s open files, %i may be connections', (openFiles, expected) => {
  expect(connectionLimit(limits(openFiles))).toBe(expected);
});

test('where nothing says how many there are, there is still a bound', () => {
  expect(connectionLimit('')).toBe(10_000);
});
