import { describe, expect, test } from 'vitest';
import type { Hex } from '../../src/bytes.ts';
import type { Intent } from '../../src/intent/intent.ts';
import type { JsonValue } from '../../src/jcs.ts';
import { calldata, members, typedDataOf } from '../effects/intents.ts';
import { ALICE, allow, BOB, CAROL, deny, NOW, policyWith, request, SIGNER, TRANSFER } from './fixtures.ts';

const TOKEN = BOB;
const MORE = {
  lists: { friends: [ALICE] },
  tokens: {
    usdc: { chain: 31337, address: TOKEN, standard: 'erc20', decimals: 6 },
    punks: { chain: 31337, address: '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed', standard: 'erc721' },
    far: { chain: 1, address: TOKEN, standard: 'erc20', decimals: 6 },
  },
  abis: {
    desk: [
      'trade((address to, uint256 amount)[] orders, string note, bytes32 tag, bool final)',
      'close(int64 delta, bytes proof)',
      'deposit()',
    ],
  },
};

/** Whether a condition holds: a deny rule has it, so that neither bounds nor cover have a say. */
function holds(when: JsonValue, intent: Intent): boolean {
  const rule = { id: 'it', effect: 'deny', operations: [intent.operation], when };
  return policyWith(MORE, rule).evaluate(request(intent)).rule === 'it';
}

function callOf(data: Hex, to: Hex = TOKEN): Intent {
  return { operation: 'transaction', transaction: { ...TRANSFER, to, value: 0n, data } };
}

describe('call', () => {
  const fn = 'trade((address,uint256)[],string,bytes32,bool)';
  const tag = `0x12${'34'.repeat(31)}`;
  const orders = [
    [ALICE, 5n],
    [SIGNER, 7n],
  ];
  const data = calldata(
    `trade((address to, uint256 amount)[] orders, string note, bytes32 tag, bool final)`,
    [orders, 'rent', tag, true],
  );

  test.each<[{ [path: string]: JsonValue }, boolean]>([
    [{ note: { eq: 'rent' } }, true],
    [{ note: { in: ['food'] } }, false],
    [{ note: { notIn: ['food'] } }, true],
    [{ note: { prefix: 're' } }, true],
    [{ note: { prefix: 'er' } }, false],
    [{ note: { len: { lte: 4 } } }, true],
    [{ note: { len: { lt: 4 } } }, false],
    [{ tag: { prefix: '0x12' } }, true],
    [{ tag: { prefix: '0x34' } }, false],
    [{ tag: { eq: tag } }, true],
    [{ final: { eq: true } }, true],
    [{ final: { eq: false } }, false],
    [{ 3: { eq: true } }, true],
    [{ orders: { len: { eq: 2 } } }, true],
    [{ orders: { len: { gt: 2 } } }, false],
    [{ orders: { every: { amount: { lte: '7' } } } }, true],
    [{ orders: { every: { amount: { lt: '7' } } } }, false],
    [{ orders: { every: { to: { in: [ALICE] } } } }, false],
    [{ orders: { every: { to: { in: [ALICE, SIGNER] }, amount: { gte: '5' } } } }, true],
    [{ orders: { some: { to: { isSigner: true } } } }, true],
    [{ orders: { every: { to: { isSigner: false } } } }, false],
    [{ orders: { some: { to: { isSigner: false }, amount: { eq: '5' } } } }, true],
    [{ orders: { some: { to: { isSigner: true }, amount: { eq: '5' } } } }, false],
    [{ note: { eq: 'rent' }, final: { eq: false } }, false],
  ])('args %j', (args, expected) => {
    expect(holds({ call: { abi: 'desk', fn, args } }, callOf(data))).toBe(expected);
  });

  test('is of its contract and of its function', () => {
    expect(holds({ call: { to: { eq: BOB }, abi: 'desk', fn } }, callOf(data))).toBe(true);
    expect(holds({ call: { to: { eq: BOB }, abi: 'desk', fn } }, callOf(data, ALICE))).toBe(false);
    expect(holds({ call: { to: { notIn: '$friends' }, abi: 'desk', fn } }, callOf(data, ALICE))).toBe(false);
    expect(holds({ call: { abi: 'desk', fn: 'deposit()' } }, callOf(data))).toBe(false);
    expect(holds({ call: { abi: 'desk', fn: 'deposit()' } }, callOf('0xd0e30db0'))).toBe(true);
    expect(holds({ call: { abi: 'desk', fn: 'deposit()' } }, callOf('0x'))).toBe(false);
  });

  test('compares negative numbers, and counts bytes', () => {
    const close = (delta: bigint): Intent =>
      callOf(calldata('close(int64 delta, bytes proof)', [delta, '0xabcdef']));
    const when = (args: JsonValue): JsonValue => ({ call: { abi: 'desk', fn: 'close', args } });
    const positive = when({ delta: { gte: '0' } });
    expect([holds(positive, close(-1n)), holds(positive, close(0n))]).toEqual([false, true]);
    const results = [2, 3].map((eq) => holds(when({ proof: { len: { eq } } }), close(0n)));
    expect(results).toEqual([false, true]);
  });

  test('with malformed arguments matches a deny rule, and no allow rule, also where no argument is named', () => {
    const dirty = `${data}00` as Hex;
    expect(holds({ call: { abi: 'desk', fn } }, callOf(dirty))).toBe(true);
    expect(holds({ not: { call: { abi: 'desk', fn } } }, callOf(dirty))).toBe(true);
    expect(holds({ call: { to: { eq: ALICE }, abi: 'desk', fn } }, callOf(dirty))).toBe(false);
    const bounds = [{ chainId: { eq: 31337 } }, { maxTotalFee: { lte: '1 ether' } }];
    const allow = (condition: JsonValue): JsonValue => ({
      id: 'a',
      effect: 'allow',
      principals: { roles: ['signer'] },
      keys: { names: ['*'] },
      operations: ['transaction'],
      when: { all: [...bounds, condition] },
    });
    const policy = policyWith(MORE, allow({ call: { abi: 'desk', fn } }));
    expect(policy.evaluate(request(callOf(data))).effect).toBe('allow');
    expect(policy.evaluate(request(callOf(dirty)))).toMatchObject({
      effect: 'deny',
      failed: [
        { predicate: expect.stringMatching(/^the rule could not be evaluated: bytes follow/) as string },
      ],
    });
  });

  test('is unknown where it cannot be decoded, in whatever order the branches stand', () => {
    const dirty = callOf(`${data}00`);
    const unknown = { call: { abi: 'desk', fn } };
    const no = { nonce: { eq: 99 } };
    const yes = { nonce: { eq: 7 } };
    for (const [a, b] of [
      [0, 1],
      [1, 0],
    ] as const) {
      // Nothing the arguments could be makes the first hold, nor the second fail.
      expect(holds({ all: [[unknown, no][a]!, [unknown, no][b]!] }, dirty)).toBe(false);
      expect(holds({ not: { any: [[unknown, yes][a]!, [unknown, yes][b]!] } }, dirty)).toBe(false);
      expect(holds({ all: [[unknown, yes][a]!, [unknown, yes][b]!] }, dirty)).toBe(true);
      expect(holds({ not: { any: [[unknown, no][a]!, [unknown, no][b]!] } }, dirty)).toBe(true);
    }
  });
});

describe('token', () => {
  const transfer = callOf(calldata('transfer(address,uint256)', [ALICE, 1_500_000n]));
  const approve = (to: Hex): Intent => callOf(calldata('approve(address,uint256)', [ALICE, 42n]), to);
  test.each<[{ [member: string]: JsonValue }, Intent, boolean]>([
    [{ token: 'usdc', action: 'transfer' }, transfer, true],
    [{ token: 'far', action: 'transfer' }, transfer, false],
    [{ token: 'usdc', action: 'approve' }, transfer, false],
    [{ token: 'usdc', action: ['approve', 'transfer'] }, transfer, true],
    [{ token: 'punks', action: 'transfer' }, transfer, false],
    [{ token: 'usdc', action: 'transfer', amount: { lte: '1.5 usdc' } }, transfer, true],
    [{ token: 'usdc', action: 'transfer', amount: { lt: '1.5 usdc' } }, transfer, false],
    [{ token: 'usdc', action: 'transfer', to: { in: '$friends' } }, transfer, true],
    [{ token: 'usdc', action: 'transfer', to: { notIn: '$friends' } }, transfer, false],
    [{ token: 'usdc', action: 'transfer', from: { isSigner: true } }, transfer, true],
    [
      { token: 'usdc', action: 'transfer', from: { isSigner: true }, to: { isSigner: true } },
      transfer,
      false,
    ],
    // What the effect has not fails, whichever way it is compared.
    [{ token: 'usdc', action: 'transfer', spender: { notIn: [ALICE] } }, transfer, false],
    // One selector: the standard of the token says whether its number is an amount or an id.
    [
      { token: 'usdc', action: 'approve', spender: { eq: ALICE }, amount: { eq: '42' } },
      approve(TOKEN),
      true,
    ],
    [{ token: 'punks', action: 'approve', tokenId: { eq: '42' } }, approve(CAROL), true],
    [{ token: 'punks', action: 'approve', tokenId: { eq: '41' } }, approve(CAROL), false],
  ])('%j', (token, intent, expected) => {
    expect(holds({ token }, intent)).toBe(expected);
  });

  const permit = (domain: object): Intent =>
    typedDataOf({
      domain,
      types: {
        Permit: members('address owner,address spender,uint256 value,uint256 nonce,uint256 deadline'),
      },
      primaryType: 'Permit',
      message: { owner: SIGNER, spender: ALICE, value: '9', nonce: '0', deadline: '1800000000' },
    });

  test('reads permits, on the chain of their domain', () => {
    const when = { token: { token: 'usdc', action: 'permit', amount: { eq: '9' }, spender: { eq: ALICE } } };
    expect(holds(when, permit({ chainId: 31337, verifyingContract: TOKEN }))).toBe(true);
    expect(holds(when, permit({ chainId: 1, verifyingContract: TOKEN }))).toBe(false);
    expect(holds(when, permit({ chainId: 31337, verifyingContract: ALICE }))).toBe(false);
  });

  test('is unknown where the domain names no chain, but only then', () => {
    const anywhere = permit({ verifyingContract: TOKEN });
    expect(holds({ token: { token: 'usdc', action: 'permit' } }, anywhere)).toBe(true);
    expect(holds({ not: { token: { token: 'usdc', action: 'permit' } } }, anywhere)).toBe(true);
    expect(holds({ token: { token: 'usdc', action: 'approve' } }, anywhere)).toBe(false);
    expect(holds({ token: { token: 'usdc', action: 'permit', amount: { lt: '9' } } }, anywhere)).toBe(false);
    expect(holds({ token: { token: 'punks', action: 'permit' } }, anywhere)).toBe(false);
  });
});

describe('typed', () => {
  const type =
    'Mail(Person[] to,int8 mood,string text,uint256 until,uint256 since)Person(string name,address wallet)';
  const mail = typedDataOf({
    domain: { name: 'Mail', version: '1', chainId: 5, verifyingContract: CAROL },
    types: {
      Mail: members('Person[] to,int8 mood,string text,uint256 until,uint256 since'),
      Person: members('string name,address wallet'),
    },
    primaryType: 'Mail',
    message: {
      to: [{ name: 'Bob', wallet: BOB }],
      mood: -3,
      text: 'hello',
      until: `${NOW / 1000 + 60}`,
      since: `${NOW / 1000 - 1}`,
    },
  });

  test.each<[JsonValue, boolean]>([
    [{ type }, true],
    [{ type: 'Mail(string text)' }, false],
    [{ domain: { name: 'Mail', version: '1', chainId: 5, verifyingContract: { eq: CAROL } } }, true],
    [{ domain: { name: { prefix: 'Ma' }, chainId: { in: [1, 5] } } }, true],
    [{ domain: { chainId: 1 } }, false],
    [{ domain: { verifyingContract: { isSigner: true } } }, false],
    // Not there.
    [{ domain: { salt: { prefix: '0x00' } } }, false],
    [{ type, message: { mood: { lt: '0' } } }, true],
    [{ type, message: { mood: { gte: '0' } } }, false],
    [{ type, message: { text: { len: { eq: 5 } } } }, true],
    [{ type, message: { to: { every: { wallet: { in: [BOB] } }, len: { eq: 1 } } } }, true],
    [{ type, message: { to: { some: { name: { eq: 'Ann' } } } } }, false],
    [{ type, message: { until: { within: '1m' } } }, true],
    [{ type, message: { until: { within: '59s' } } }, false],
    [{ type, message: { since: { within: '1d' } } }, false],
  ])('%j', (typed, expected) => {
    expect(holds({ typed }, mail)).toBe(expected);
  });

  test('does not know the chain where the domain names none', () => {
    const anywhere = typedDataOf({
      domain: { name: 'Mail' },
      types: { Note: members('string text') },
      primaryType: 'Note',
      message: { text: 'hello' },
    });
    const chain: readonly JsonValue[] = [
      { chainId: { eq: 5 } },
      { typed: { domain: { chainId: 5 } } },
      { typed: { type: 'Note(string text)', domain: { chainId: { in: [5] } } } },
    ];
    for (const when of chain) {
      expect([holds(when, anywhere), holds({ not: when }, anywhere)]).toEqual([true, true]);
      expect(holds({ any: [when, { typed: { domain: { name: 'Post' } } }] }, anywhere)).toBe(true);
      expect(holds({ all: [when, { typed: { domain: { name: 'Post' } } }] }, anywhere)).toBe(false);
      for (const condition of [when, { not: when }]) {
        const policy = policyWith(MORE, allow(['typed-data'], condition));
        const { effect, failed } = policy.evaluate(request(anywhere));
        expect(effect).toBe('deny');
        expect(failed?.[0]?.predicate).toContain('the domain names no chain, so it may be good on any');
      }
    }
    expect(holds({ typed: { domain: { chainId: 5 }, type: 'Mail(string text)' } }, anywhere)).toBe(false);
    expect(holds({ typed: { domain: { chainId: 5, name: 'Post' } } }, anywhere)).toBe(false);
    const longer = { type: 'Note(string text)', message: { text: { len: { gt: 5 } } } };
    expect(holds({ typed: { domain: { chainId: 5 }, ...longer } }, anywhere)).toBe(false);
  });

  test('knows the chain of the domain', () => {
    expect([holds({ chainId: { eq: 5 } }, mail), holds({ chainId: { eq: 1 } }, mail)]).toEqual([true, false]);
  });
});

describe('message', () => {
  const message = (text: string): Intent => ({
    operation: 'message',
    data: `0x${Buffer.from(text).toString('hex')}`,
  });
  const login = (address: string, expires = ''): Intent =>
    message(
      `app.example wants you to sign in with your Ethereum account:\n${address}\n\nHello\n\nURI: https://app.example/in\n` +
        `Version: 1\nChain ID: 1\nNonce: 12345678\nIssued At: 2026-11-20T09:00:00Z${expires}`,
    );
  const mine = '0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf';
  const others = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';

  test.each<[JsonValue, Intent, boolean]>([
    [{ re2: 'log in to [a-z]+' }, message('log in to app'), true],
    [{ re2: 'log in to [a-z]+' }, message('please log in to app'), false],
    [{ re2: '.*' }, { operation: 'message', data: '0xff' }, false],
    [{ len: { eq: 1 } }, { operation: 'message', data: '0xff' }, true],
    [{ len: { eq: 32 } }, { operation: 'message', data: `0x${'00'.repeat(32)}` }, true],
    [{ len: { notIn: [32] } }, { operation: 'message', data: `0x${'00'.repeat(32)}` }, false],
    [{ len: { eq: 5 } }, message('Zürich'), false],
    [{ len: { eq: 7 } }, message('Zürich'), true],
    [{ siwe: { domain: { eq: 'app.example' } } }, login(mine), true],
    [{ siwe: { domain: { eq: 'evil.example' } } }, login(mine), false],
    [{ siwe: { domain: { eq: 'evil.example' } } }, login(others), false],
    [{ siwe: { uri: { prefix: 'https://app.example/' }, chainId: { eq: 1 } } }, login(mine), true],
    [{ siwe: { chainId: { eq: 10 } } }, login(mine), false],
    [{ siwe: { domain: { eq: 'app.example' } } }, message('app.example'), false],
    [{ siwe: { expiresWithin: '15m' } }, login(mine), false],
    [{ siwe: { expiresWithin: '15m' } }, login(mine, '\nExpiration Time: 2026-11-20T10:15:00Z'), true],
    [{ siwe: { expiresWithin: '15m' } }, login(mine, '\nExpiration Time: 2026-11-20t10:00:00z'), true],
    [{ siwe: { expiresWithin: '15m' } }, login(mine, '\nExpiration Time: 2026-11-20T10:15:00.001Z'), false],
    [{ siwe: { expiresWithin: '15m' } }, login(mine, '\nExpiration Time: 2026-11-20T09:59:59Z'), false],
  ])('%j', (condition, intent, expected) => {
    expect(holds({ message: condition }, intent)).toBe(expected);
  });

  describe('that logs in another address', () => {
    const siwe = (domain: string): JsonValue => ({ message: { siwe: { domain: { eq: domain } } } });
    const asked = request(login(others));

    test('is denied by the deny rules about log-ins that are for it otherwise', () => {
      const denying = (domain: string) =>
        policyWith(MORE, allow(['message']), deny(['message'], siwe(domain))).evaluate(asked);
      expect(denying('app.example')).toMatchObject({
        effect: 'deny',
        rule: 'd',
        reason: 'deny rule "d" could not be evaluated, so it denies this message',
      });
      expect(denying('evil.example').effect).toBe('allow');
    });

    test('is allowed by no rule about log-ins', () => {
      const policy = policyWith(MORE, allow(['message'], siwe('app.example')), {
        ...allow(['message'], { not: siwe('app.example') }),
        id: 'b',
      });
      const predicate =
        'the rule could not be evaluated: message.siwe.address: 0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed is not the address of the key, and not all who read such a message compare it';
      expect(policy.evaluate(asked)).toMatchObject({
        effect: 'deny',
        failed: [
          { rule: 'a', predicate },
          { rule: 'b', predicate },
        ],
      });
    });
  });

  describe('that is nearly a log-in', () => {
    const siwe = { message: { siwe: { domain: { eq: 'evil.example' } } } };
    const text =
      `app.example wants you to sign in with your Ethereum account:\n${mine}\n\n\nURI: https://app.example/in\n` +
      `Version: 1\nChain ID: 1\nNonce: 12345678\nIssued At: 2026-11-20T09:00:00Z`;
    const near: readonly (readonly [string, Intent])[] = [
      ['with carriage returns', message(text.replaceAll('\n', '\r\n'))],
      ['with a space behind', message(`${text} `)],
      ['without its first line', message(text.slice(text.indexOf('\n') + 1))],
      [
        'that is not UTF-8',
        { operation: 'message', data: `0x${Buffer.from(`${text}\xff`, 'latin1').toString('hex')}` },
      ],
    ];

    test.each(near)('is denied where a deny rule asks about log-ins, %s', (_name, intent) => {
      const policy = policyWith(MORE, allow(['message']), deny(['message'], siwe));
      expect(policy.evaluate(request(intent))).toMatchObject({
        effect: 'deny',
        rule: 'd',
        reason: 'deny rule "d" could not be evaluated, so it denies this message',
      });
    });

    test.each(near)('is allowed by no rule about log-ins, %s', (_name, intent) => {
      const policy = policyWith(MORE, allow(['message'], siwe), {
        ...allow(['message'], { not: siwe }),
        id: 'b',
      });
      const predicate =
        'the rule could not be evaluated: message.siwe: the message looks like one of EIP-4361, but is none to the letter';
      expect(policy.evaluate(request(intent))).toMatchObject({
        effect: 'deny',
        failed: [
          { rule: 'a', predicate },
          { rule: 'b', predicate },
        ],
      });
    });

    test.each(near)('is text as any other where no rule asks about log-ins, %s', (_name, intent) => {
      const policy = policyWith(MORE, allow(['message']), deny(['message'], { message: { re2: 'x' } }));
      expect(policy.evaluate(request(intent)).effect).toBe('allow');
    });
  });
});

test('create: the hash of the init code', () => {
  const initcodeHash = { eq: '0x2e2c65c4a8d2f8b7be8ee5d2bd1b4df0d6c2c9df37ba0cb2c5e8a0c4f5a6b9ef' };
  const creation: Intent = { operation: 'transaction', transaction: { ...TRANSFER, to: null, data: '0x' } };
  const empty = '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470';
  expect(holds({ create: { initcodeHash: { eq: empty } } }, creation)).toBe(true);
  expect(holds({ create: { initcodeHash } }, creation)).toBe(false);
  expect(holds({ create: { initcodeHash: { in: [empty, initcodeHash.eq] } } }, callOf('0x'))).toBe(false);
});
