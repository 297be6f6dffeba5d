import { FunctionFragment } from 'ethers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Hex } from '../../src/bytes.ts';
import { UNLIMITED, type TokenEffect } from '../../src/effects/effect.ts';
import { KNOWN_FUNCTIONS } from '../../src/effects/functions.ts';
import { account, calldata, callsOf, decodeCall, SAFE, SIGNER, USDC } from './intents.ts';

const OWNER = account(1);
const TO = account(2);
const SPENDER = account(3);
const NFT = account(4);
const PERMIT2 = account(5);
const DAI = account(6);
const B32 = `0x${'ab'.repeat(32)}`;
const SIGNATURE = `0x${'cd'.repeat(65)}`;
const PARTS = [27, B32, B32];

const AUTHORIZATION = 'address,address,uint256,uint256,uint256,bytes32';
const TRANSFER = '((address,uint256),uint256,uint256),(address,uint256),address';
const TRANSFERS = '((address,uint256)[],uint256,uint256),(address,uint256)[],address';

/** Function, arguments, and what that does when the signer calls it on `to`. */
type Case = readonly [fragment: string, to: Hex, args: readonly unknown[], effects: readonly TokenEffect[]];

const single = [[USDC, 5], 1, 99];
const batch = [
  [
    [USDC, 5],
    [DAI, 6],
  ],
  1,
  99,
];
const moved: TokenEffect = {
  action: 'transferFrom',
  contract: USDC,
  from: OWNER,
  to: TO,
  amount: 4n,
  deadline: 99n,
};
const alsoMoved: TokenEffect = { ...moved, contract: DAI, to: SPENDER, amount: 3n };
const allowed: TokenEffect = {
  action: 'permit',
  contract: USDC,
  from: OWNER,
  spender: SPENDER,
  amount: 5n,
  deadline: 77n,
};

const CASES: readonly Case[] = [
  [
    'transfer(address,uint256)',
    USDC,
    [TO, 5],
    [{ action: 'transfer', contract: USDC, from: SIGNER, to: TO, amount: 5n }],
  ],
  [
    'transferFrom(address,address,uint256)',
    USDC,
    [OWNER, TO, 5],
    [{ action: 'transferFrom', contract: USDC, from: OWNER, to: TO, amountOrId: 5n }],
  ],
  [
    'approve(address,uint256)',
    USDC,
    [SPENDER, UNLIMITED],
    [{ action: 'approve', contract: USDC, from: SIGNER, spender: SPENDER, amountOrId: UNLIMITED }],
  ],
  [
    'increaseAllowance(address,uint256)',
    USDC,
    [SPENDER, 5],
    [{ action: 'increaseAllowance', contract: USDC, from: SIGNER, spender: SPENDER, amount: 5n }],
  ],
  [
    'decreaseAllowance(address,uint256)',
    USDC,
    [SPENDER, 5],
    [{ action: 'decreaseAllowance', contract: USDC, from: SIGNER, spender: SPENDER, amount: 5n }],
  ],
  [
    'permit(address,address,uint256,uint256,uint8,bytes32,bytes32)',
    USDC,
    [OWNER, SPENDER, 5, 77, ...PARTS],
    [allowed],
  ],
  ['permit(address,address,uint256,uint256,bytes)', USDC, [OWNER, SPENDER, 5, 77, SIGNATURE], [allowed]],
  [
    'permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)',
    DAI,
    [OWNER, SPENDER, 0, 77, true, ...PARTS],
    [{ ...allowed, contract: DAI, amount: UNLIMITED }],
  ],
  [
    'permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)',
    DAI,
    [OWNER, SPENDER, 0, 0, false, ...PARTS],
    [{ action: 'permit', contract: DAI, from: OWNER, spender: SPENDER, amount: 0n }],
  ],
  ...[
    { types: 'uint8,bytes32,bytes32', signature: PARTS },
    { types: 'bytes', signature: [SIGNATURE] },
  ].flatMap(({ types, signature }): Case[] => [
    [
      `transferWithAuthorization(${AUTHORIZATION},${types})`,
      USDC,
      [OWNER, TO, 5, 1, 88, B32, ...signature],
      [
        {
          action: 'transferWithAuthorization',
          contract: USDC,
          from: OWNER,
          to: TO,
          amount: 5n,
          deadline: 88n,
        },
      ],
    ],
    [
      `receiveWithAuthorization(${AUTHORIZATION},${types})`,
      USDC,
      [OWNER, TO, 5, 1, 88, B32, ...signature],
      [
        {
          action: 'receiveWithAuthorization',
          contract: USDC,
          from: OWNER,
          to: TO,
          amount: 5n,
          deadline: 88n,
        },
      ],
    ],
    [
      `cancelAuthorization(address,bytes32,${types})`,
      USDC,
      [OWNER, B32, ...signature],
      [{ action: 'cancelAuthorization', contract: USDC, from: OWNER, amount: 0n }],
    ],
  ]),
  [
    'setApprovalForAll(address,bool)',
    NFT,
    [SPENDER, true],
    [{ action: 'setApprovalForAll', contract: NFT, from: SIGNER, spender: SPENDER, amount: UNLIMITED }],
  ],
  [
    'setApprovalForAll(address,bool)',
    NFT,
    [SPENDER, false],
    [{ action: 'setApprovalForAll', contract: NFT, from: SIGNER, spender: SPENDER, amount: 0n }],
  ],
  [
    'safeTransferFrom(address,address,uint256)',
    NFT,
    [OWNER, TO, 9],
    [{ action: 'transferFrom', contract: NFT, from: OWNER, to: TO, tokenId: 9n }],
  ],
  [
    'safeTransferFrom(address,address,uint256,bytes)',
    NFT,
    [OWNER, TO, 9, '0x1234'],
    [{ action: 'transferFrom', contract: NFT, from: OWNER, to: TO, tokenId: 9n }],
  ],
  [
    'safeTransferFrom(address,address,uint256,uint256,bytes)',
    NFT,
    [OWNER, TO, 9, 5, '0x'],
    [{ action: 'transferFrom', contract: NFT, from: OWNER, to: TO, tokenId: 9n, amount: 5n }],
  ],
  [
    'safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)',
    NFT,
    [OWNER, TO, [9, 0], [5, 0], '0x'],
    [
      { action: 'transferFrom', contract: NFT, from: OWNER, to: TO, tokenId: 9n, amount: 5n },
      { action: 'transferFrom', contract: NFT, from: OWNER, to: TO, tokenId: 0n, amount: 0n },
    ],
  ],
  [
    'approve(address,address,uint160,uint48)',
    PERMIT2,
    [USDC, SPENDER, 5, 77],
    [{ action: 'approve', contract: USDC, from: SIGNER, spender: SPENDER, amount: 5n, deadline: 77n }],
  ],
  [
    'approve(address,address,uint160,uint48)',
    PERMIT2,
    [USDC, SPENDER, 2n ** 160n - 1n, 77],
    [{ action: 'approve', contract: USDC, from: SIGNER, spender: SPENDER, amount: UNLIMITED, deadline: 77n }],
  ],
  [
    'transferFrom(address,address,uint160,address)',
    PERMIT2,
    [OWNER, TO, 5, USDC],
    [{ action: 'transferFrom', contract: USDC, from: OWNER, to: TO, amount: 5n }],
  ],
  [
    'transferFrom((address,address,uint160,address)[])',
    PERMIT2,
    [
      [
        [OWNER, TO, 5, USDC],
        [SPENDER, OWNER, 6, DAI],
      ],
    ],
    [
      { action: 'transferFrom', contract: USDC, from: OWNER, to: TO, amount: 5n },
      { action: 'transferFrom', contract: DAI, from: SPENDER, to: OWNER, amount: 6n },
    ],
  ],
  [
    'permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)',
    PERMIT2,
    [OWNER, [[USDC, 5, 77, 0], SPENDER, 99], SIGNATURE],
    [allowed],
  ],
  [
    'permit(address,((address,uint160,uint48,uint48)[],address,uint256),bytes)',
    PERMIT2,
    [
      OWNER,
      [
        [
          [USDC, 5, 77, 0],
          [DAI, 2n ** 160n - 1n, 0, 0],
        ],
        SPENDER,
        99,
      ],
      SIGNATURE,
    ],
    [allowed, { ...allowed, contract: DAI, amount: UNLIMITED, deadline: 99n }],
  ],
  [`permitTransferFrom(${TRANSFER},bytes)`, PERMIT2, [single, [TO, 4], OWNER, SIGNATURE], [moved]],
  [
    `permitWitnessTransferFrom(${TRANSFER},bytes32,string,bytes)`,
    PERMIT2,
    [single, [TO, 4], OWNER, B32, 'Witness w)Witness(bool b)', SIGNATURE],
    [moved],
  ],
  ...[
    [`permitTransferFrom(${TRANSFERS},bytes)`, [SIGNATURE]] as const,
    [`permitWitnessTransferFrom(${TRANSFERS},bytes32,string,bytes)`, [B32, 'x', SIGNATURE]] as const,
  ].map(([fragment, rest]): Case => [
    fragment,
    PERMIT2,
    [
      batch,
      [
        [TO, 4],
        [SPENDER, 3],
      ],
      OWNER,
      ...rest,
    ],
    [moved, alsoMoved],
  ]),
];

describe('token functions', () => {
  it.each(CASES)('%s', (fragment, to, args, expected) => {
    const calls = callsOf(decodeCall(to, calldata(fragment, args)));
    expect(calls.map(({ token }) => token)).toEqual(expected);
    for (const call of calls) {
      expect(call).toMatchObject({ path: '', from: SIGNER, to, value: 0n, ownFunds: false, delegate: false });
    }
  });

  it('has a case for each of them', () => {
    const tested = new Set(CASES.map(([fragment]) => fragment));
    const known = KNOWN_FUNCTIONS.filter(({ kind }) => kind === 'token').map(({ fn }) => fn.signature);
    expect(tested).toEqual(new Set(known));
  });

  it('has the selectors that ethers computes, each once', () => {
    expect(KNOWN_FUNCTIONS.map(({ fn }) => fn.selector)).toEqual(
      KNOWN_FUNCTIONS.map(({ fn }) => FunctionFragment.from(fn.signature).selector),
    );
    expect(new Set(KNOWN_FUNCTIONS.map(({ fn }) => fn.selector)).size).toBe(KNOWN_FUNCTIONS.length);
  });

  it.each([
    ['0xa9059cbb', 'transfer(address,uint256)'],
    ['0x23b872dd', 'transferFrom(address,address,uint256)'],
    ['0x095ea7b3', 'approve(address,uint256)'],
    ['0x39509351', 'increaseAllowance(address,uint256)'],
    ['0xa457c2d7', 'decreaseAllowance(address,uint256)'],
    ['0xd505accf', 'permit(address,address,uint256,uint256,uint8,bytes32,bytes32)'],
    ['0x8fcbaf0c', 'permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)'],
    ['0xa22cb465', 'setApprovalForAll(address,bool)'],
    ['0x42842e0e', 'safeTransferFrom(address,address,uint256)'],
    ['0xb88d4fde', 'safeTransferFrom(address,address,uint256,bytes)'],
    ['0xf242432a', 'safeTransferFrom(address,address,uint256,uint256,bytes)'],
    ['0x2eb2c2d6', 'safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)'],
    ['0xe3ee160e', `transferWithAuthorization(${AUTHORIZATION},uint8,bytes32,bytes32)`],
    ['0xef55bec6', `receiveWithAuthorization(${AUTHORIZATION},uint8,bytes32,bytes32)`],
    ['0x5a049a70', 'cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)'],
    ['0x87517c45', 'approve(address,address,uint160,uint48)'],
    ['0x36c78516', 'transferFrom(address,address,uint160,address)'],
    ['0x0d58b1db', 'transferFrom((address,address,uint160,address)[])'],
    ['0x2b67b570', 'permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)'],
    ['0x2a2d80d1', 'permit(address,((address,uint160,uint48,uint48)[],address,uint256),bytes)'],
    ['0x30f28b7a', `permitTransferFrom(${TRANSFER},bytes)`],
    ['0xedd9444b', `permitTransferFrom(${TRANSFERS},bytes)`],
    ['0x137c29fe', `permitWitnessTransferFrom(${TRANSFER},bytes32,string,bytes)`],
    ['0xac9650d8', 'multicall(bytes[])'],
    ['0x5ae401dc', 'multicall(uint256,bytes[])'],
    ['0x1f0464d1', 'multicall(bytes32,bytes[])'],
    ['0x82ad56cb', 'aggregate3((address,bool,bytes)[])'],
    ['0x174dea71', 'aggregate3Value((address,bool,uint256,bytes)[])'],
    ['0x252dba42', 'aggregate((address,bytes)[])'],
    ['0xc3077fa9', 'blockAndAggregate((address,bytes)[])'],
    ['0xbce38bd7', 'tryAggregate(bool,(address,bytes)[])'],
    ['0x399542e9', 'tryBlockAndAggregate(bool,(address,bytes)[])'],
    ['0x8d80ff0a', 'multiSend(bytes)'],
    [
      '0x6a761202',
      'execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)',
    ],
  ])('knows the published selector %s', (selector, signature) => {
    expect(KNOWN_FUNCTIONS.find(({ fn }) => fn.selector === selector)?.fn.signature).toBe(signature);
  });

  it('reads the transfer of 2 USDC, digit by digit', () => {
    const data: Hex = `0xa9059cbb${'0'.repeat(24)}${'11'.repeat(20)}${'1e8480'.padStart(64, '0')}`;
    expect(decodeCall(USDC, data, 3n)).toEqual({
      effects: [
        {
          kind: 'call',
          path: '',
          from: SIGNER,
          to: USDC,
          value: 3n,
          ownFunds: false,
          data,
          delegate: false,
          token: { action: 'transfer', contract: USDC, from: SIGNER, to: account(0x11), amount: 2_000_000n },
        },
      ],
    });
  });

  it('stands once as a call without token when a list is empty', () => {
    const fragment = 'safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)';
    const calls = callsOf(decodeCall(NFT, calldata(fragment, [OWNER, TO, [], [], '0x'])));
    expect(calls).toHaveLength(1);
    expect(calls[0]).not.toHaveProperty('token');
  });

  it('refuses lists of different lengths', () => {
    const fragment = 'safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)';
    for (const [ids, values] of [
      [[1, 2], [1]],
      [[1], [1, 2]],
      [[], [0]],
    ]) {
      const decoded = decodeCall(NFT, calldata(fragment, [OWNER, TO, ids, values, '0x']));
      expect(decoded.problem).toContain('do not go together');
      expect(decoded.effects).toHaveLength(1);
    }
    const transfers = calldata(`permitTransferFrom(${TRANSFERS},bytes)`, [batch, [[TO, 4]], OWNER, '0x']);
    expect(decodeCall(PERMIT2, transfers).problem).toContain('lists of 2 and of 1');
  });

  it.each(CASES)(
    '%s with malformed arguments is a problem, and a call without token',
    (fragment, to, args) => {
      const data = calldata(fragment, args);
      const malformed: Hex[] = [
        `${data}00`,
        `${data}${'00'.repeat(32)}`,
        data.slice(0, -2) as Hex,
        data.slice(0, -64) as Hex,
        data.slice(0, 10) as Hex,
        `${data.slice(0, 10)}${'f'.repeat(64)}${data.slice(74)}` as Hex,
      ];
      for (const bad of malformed) {
        const decoded = decodeCall(to, bad);
        expect(decoded.problem).toContain(`the call to ${fragment}: `);
        expect(decoded.effects).toEqual([
          {
            kind: 'call',
            path: '',
            from: SIGNER,
            to,
            value: 0n,
            ownFunds: false,
            data: bad,
            delegate: false,
          },
        ]);
      }
    },
  );

  it('refuses a bool of 2', () => {
    const data = calldata('setApprovalForAll(address,bool)', [SPENDER, true]);
    expect(decodeCall(NFT, `${data.slice(0, -1)}2` as Hex).problem).toContain('bool');
  });

  it('reads amounts and accounts of every size', () => {
    const address = fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes): Hex => {
      return `0x${Buffer.from(bytes).toString('hex')}`;
    });
    const uint = fc.bigInt({ min: 0n, max: UNLIMITED });
    fc.assert(
      fc.property(address, address, address, uint, (contract, from, to, amountOrId) => {
        const data = calldata('transferFrom(address,address,uint256)', [from, to, amountOrId]);
        expect(callsOf(decodeCall(contract, data)).map(({ token }) => token)).toEqual([
          { action: 'transferFrom', contract, from, to, amountOrId },
        ]);
      }),
    );
  });

  it('is not a move of the token when its code runs as another account', () => {
    const data = calldata('transfer(address,uint256)', [TO, 5]);
    const order = calldata(
      'execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)',
      [USDC, 0, data, 1, 0, 0, 0, account(0), account(0), '0x'],
    );
    const [, inner] = callsOf(decodeCall(SAFE, order));
    expect(inner).toEqual({
      kind: 'call',
      path: '0',
      from: SAFE,
      to: USDC,
      value: 0n,
      ownFunds: true,
      data,
      delegate: true,
    });
  });
});
