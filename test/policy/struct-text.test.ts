import { TypedDataEncoder } from 'ethers';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseEncodeType } from '../../src/policy/struct-text.ts';

const MAIL = 'Mail(Person from,Person to,string contents)Person(string name,address wallet)';

describe('the type of typed data', () => {
  test('is read into its structs', () => {
    const parsed = parseEncodeType(MAIL);
    if ('problem' in parsed) throw new Error(parsed.problem);
    expect(parsed.primary).toBe('Mail');
    expect([...parsed.structs.keys()]).toEqual(['Mail', 'Person']);
    expect(parsed.structs.get('Mail')?.map(({ type, name }) => `${type} ${name}`)).toEqual([
      'Person from',
      'Person to',
      'string contents',
    ]);
  });

  test('may be a type without members', () => {
    expect(parseEncodeType('Nothing()')).toMatchObject({ primary: 'Nothing' });
  });

  test('is what an independent encoder writes', () => {
    const name = fc.stringMatching(/^[A-Z][a-z]{1,4}$/);
    const types = fc.uniqueArray(name, { minLength: 1, maxLength: 5 }).chain((names) =>
      fc
        .tuple(
          ...names.map((_, index) =>
            fc.uniqueArray(
              fc.record({
                name: fc.stringMatching(/^[a-z]{1,6}$/),
                // A type refers to later ones only, so that none contains itself.
                type: fc.constantFrom('uint256', 'address[]', 'bytes32', 'string', ...names.slice(index + 1)),
              }),
              { minLength: 1, maxLength: 4, selector: (field) => field.name },
            ),
          ),
        )
        .map((fields) =>
          Object.fromEntries(
            names.map((struct, index) => {
              // Each refers to the next, so that all are used.
              const next = index + 1 < names.length ? [{ name: 'next_', type: names[index + 1]! }] : [];
              return [struct, [...(fields[index] ?? []), ...next]];
            }),
          ),
        ),
    );
    let cases = 0;
    fc.assert(
      fc.property(types, (structs) => {
        const encoder = new TypedDataEncoder(structs);
        for (const struct of Object.keys(structs)) {
          const text = encoder.encodeType(struct);
          const parsed = parseEncodeType(text);
          expect(parsed).toMatchObject({ primary: struct });
          cases++;
        }
      }),
      { numRuns: 500, seed: 11 },
    );
    expect(cases).toBeGreaterThan(500);
  });

  test.each([
    ['nothing', '', 'is empty'],
    ['a name alone', 'Mail', 'is not a type at character 1; write it as EIP-712 encodes it'],
    ['text after it', `${MAIL} `, 'is not a type at character'],
    ['an open parenthesis', 'Mail(string a', 'is not a type at character 1'],
    ['the wrong order', 'Mail(B b,A a)B(bool x)A(bool x)', 'write "Mail(B b,A a)A(bool x)B(bool x)"'],
    ['a type that is not used', `${MAIL}Zebra(bool x)`, 'types.Zebra: is not used by Mail'],
    ['a type that is missing', 'Mail(Person from)', 'needs Person, which is not in types'],
    ['a type twice', 'Mail(A a)A(bool x)A(bool x)', 'has the type A twice'],
    ['a type that contains itself', 'Mail(Mail m)', 'contains itself'],
    ['a member without name', 'Mail(string)', 'is not a type of EIP-712'],
    ['a member without type', 'Mail( a)', 'is not a type of EIP-712'],
    ['two spaces', 'Mail(string  a)', 'must be an identifier'],
    ['a space after a comma', 'Mail(string a, string b)', 'must be an identifier'],
    ['an empty member', 'Mail(string a,)', 'must be an identifier'],
    ['a member twice', 'Mail(string a,string a)', 'repeats the field a'],
    ['an alias of uint256', 'Mail(uint a)', 'write uint256'],
    ['the domain', 'EIP712Domain(string name)', 'must be one of the struct types'],
    ['__proto__', '__proto__(string name)', 'must be an identifier'],
    ['too much', `Mail(${'string a,'.repeat(5000)})`, 'has more than 16384 characters'],
  ])('is not %s', (_, text, problem) => {
    expect(parseEncodeType(text)).toEqual({ problem: expect.stringContaining(problem) });
  });
});
