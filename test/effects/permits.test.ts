import { id, TypedDataEncoder } from 'ethers';
import { describe, expect, it } from 'vitest';
import type { Hex } from '../../src/bytes.ts';
import { decodeEffects } from '../../src/effects/decode.ts';
import { UNLIMITED, type Effects, type TokenEffect } from '../../src/effects/effect.ts';
import {
  account,
  calldata,
  isCall,
  isTypedData,
  members,
  NOTHING,
  SAFE,
  SIGNER,
  typedDataOf,
  USDC,
  type TypedDataBody,
} from './intents.ts';

const OWNER = account(1);
const SPENDER = account(3);
const TO = account(2);
const DAI = account(6);
const PERMIT2 = account(5);
const B32 = `0x${'ab'.repeat(32)}`;

const EIP2612 = 'address owner,address spender,uint256 value,uint256 nonce,uint256 deadline';
const AUTHORIZATION =
  'address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce';
const DETAILS = 'address token,uint160 amount,uint48 expiration,uint48 nonce';
const SAFE_TX =
  'address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce';

const domain = (verifyingContract: Hex) => ({ name: 'Any', version: '1', chainId: 1, verifyingContract });

const permit = { owner: OWNER, spender: SPENDER, value: '5', nonce: 0, deadline: 77 };
const dai = { holder: OWNER, spender: SPENDER, nonce: 0, expiry: 77, allowed: true };
const authorization = { from: OWNER, to: TO, value: 5, validAfter: 1, validBefore: 88, nonce: B32 };
const details = { token: USDC, amount: 5, expiration: 77, nonce: 0 };
const permitted = { token: USDC, amount: 5 };
const terms = { spender: SPENDER, nonce: 0, deadline: 77 };

const single = (primaryType: string, text: string, message: object, contract = USDC): TypedDataBody => ({
  domain: domain(contract),
  types: { [primaryType]: members(text) },
  primaryType,
  message,
});

const permit2 = (primaryType: string, text: string, message: object): TypedDataBody => ({
  domain: { name: 'Permit2', chainId: 1, verifyingContract: PERMIT2 },
  types: {
    [primaryType]: members(text),
    ...(text.includes('PermitDetails') ? { PermitDetails: members(DETAILS) } : {}),
    ...(text.includes('TokenPermissions')
      ? { TokenPermissions: members('address token,uint256 amount') }
      : {}),
    ...(text.includes('Order') ? { Order: members('address taker,uint256 rate') } : {}),
  },
  primaryType,
  message,
});

const expected: TokenEffect = {
  action: 'permit',
  contract: USDC,
  from: OWNER,
  spender: SPENDER,
  amount: 5n,
  deadline: 77n,
};
const bySigner = { ...expected, from: SIGNER };
const moved = { contract: USDC, from: OWNER, to: TO, amount: 5n, deadline: 88n };
const ALLOWANCE = 'address spender,uint256 sigDeadline';
const TERMS = 'address spender,uint256 nonce,uint256 deadline';
const witness = { taker: TO, rate: 1 };

type Case = readonly [name: string, body: TypedDataBody, tokens: readonly TokenEffect[]];

const CASES: readonly Case[] = [
  ['EIP-2612', single('Permit', EIP2612, permit), [expected]],
  [
    'EIP-2612 without limit',
    single('Permit', EIP2612, { ...permit, value: UNLIMITED.toString() }),
    [{ ...expected, amount: UNLIMITED }],
  ],
  [
    'DAI',
    single('Permit', 'address holder,address spender,uint256 nonce,uint256 expiry,bool allowed', dai),
    [{ ...expected, amount: UNLIMITED }],
  ],
  [
    'DAI, revoked and without expiry',
    single('Permit', 'address holder,address spender,uint256 nonce,uint256 expiry,bool allowed', {
      ...dai,
      expiry: 0,
      allowed: false,
    }),
    [{ action: 'permit', contract: USDC, from: OWNER, spender: SPENDER, amount: 0n }],
  ],
  [
    'EIP-3009 transfer',
    single('TransferWithAuthorization', AUTHORIZATION, authorization),
    [{ action: 'transferWithAuthorization', ...moved }],
  ],
  [
    'EIP-3009 receive',
    single('ReceiveWithAuthorization', AUTHORIZATION, authorization),
    [{ action: 'receiveWithAuthorization', ...moved }],
  ],
  [
    'EIP-3009 cancel',
    single('CancelAuthorization', 'address authorizer,bytes32 nonce', { authorizer: OWNER, nonce: B32 }),
    [{ action: 'cancelAuthorization', contract: USDC, from: OWNER, amount: 0n }],
  ],
  [
    'Permit2 single',
    permit2('PermitSingle', `PermitDetails details,${ALLOWANCE}`, {
      details,
      spender: SPENDER,
      sigDeadline: 99,
    }),
    [bySigner],
  ],
  [
    'Permit2 batch',
    permit2('PermitBatch', `PermitDetails[] details,${ALLOWANCE}`, {
      details: [details, { ...details, token: DAI, amount: (2n ** 160n - 1n).toString(), expiration: 0 }],
      spender: SPENDER,
      sigDeadline: 99,
    }),
    [bySigner, { ...bySigner, contract: DAI, amount: UNLIMITED, deadline: 99n }],
  ],
  [
    'Permit2 transfer',
    permit2('PermitTransferFrom', `TokenPermissions permitted,${TERMS}`, { permitted, ...terms }),
    [bySigner],
  ],
  [
    'Permit2 batch transfer',
    permit2('PermitBatchTransferFrom', `TokenPermissions[] permitted,${TERMS}`, {
      permitted: [permitted, { token: DAI, amount: 6 }],
      ...terms,
    }),
    [bySigner, { ...bySigner, contract: DAI, amount: 6n }],
  ],
  [
    'Permit2 transfer with a witness',
    permit2('PermitWitnessTransferFrom', `TokenPermissions permitted,${TERMS},Order witness`, {
      permitted,
      ...terms,
      witness,
    }),
    [bySigner],
  ],
  [
    'Permit2 batch transfer with a witness',
    permit2('PermitBatchWitnessTransferFrom', `TokenPermissions[] permitted,${TERMS},Order witness`, {
      permitted: [permitted],
      ...terms,
      witness,
    }),
    [bySigner],
  ],
];

/** Type hashes as the contracts publish them. */
const TYPE_HASHES: readonly (readonly [name: string, typeHash: string])[] = [
  ['EIP-2612', '0x6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9'],
  ['DAI', '0xea2aa0a1be11a07ed86d755c93467f4f82362b452371d1ba94d1715123511acb'],
  ['EIP-3009 transfer', '0x7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267'],
  ['EIP-3009 receive', '0xd099cc98ef71107a616c4f0f941f04c322d8e254fe26b3c6668db87aae413de8'],
  ['EIP-3009 cancel', '0x158b0a9edf7a828aad02f63cd515c68ef2f50ba807396f6d12842833a1597429'],
  ['Permit2 single', '0xf3841cd1ff0085026a6327b620b67997ce40f282c88a8e905a7a5626e310f3d0'],
  ['Permit2 batch', '0xaf1b0d30d2cab0380e68f0689007e3254993c596f2fdd0aaa7f4d04f79440863'],
  ['Permit2 transfer', '0x939c21a48a8dbe3a9a2404a1d46691e4d39f6583d6ec6b35714604c986d80106'],
  ['Permit2 batch transfer', '0xfcf35f5ac6a2c28868dc44c302166470266239195f02b0ee408334829333b766'],
];

function decode(body: TypedDataBody): Effects {
  return decodeEffects(typedDataOf(body), SIGNER);
}

/** Of typed data that can be read: the effects of the data itself. */
function signed(body: TypedDataBody) {
  const { effects, problem } = decode(body);
  expect(problem).toBeUndefined();
  return effects.filter(isTypedData);
}

describe('permits', () => {
  it.each(CASES)('%s', (_name, body, tokens) => {
    const effects = signed(body);
    expect(effects.map(({ token }) => token)).toEqual(tokens);
    const types = Object.fromEntries(Object.entries(body.types).map(([name, of]) => [name, [...of]]));
    const encodeType = TypedDataEncoder.from(types).encodeType(body.primaryType);
    for (const effect of effects) {
      expect(effect).toMatchObject({ kind: 'typed-data', exposure: true, encodeType });
      expect(effect.typedData.primaryType).toBe(body.primaryType);
    }
  });

  it.each(TYPE_HASHES)('%s has the published type hash', (name, typeHash) => {
    const body = CASES.find(([known]) => known === name)?.[1];
    expect(body && signed(body).map(({ encodeType }) => id(encodeType))).toContain(typeHash);
  });

  it.each(CASES)('%s of another shape is exposure without a token', (_name, body) => {
    const [first, ...rest] = body.types[body.primaryType] ?? [];
    const renamed = { name: `${first?.name}_`, type: first?.type ?? '' };
    const [value, ...values] = Object.values(body.message);
    const message = Object.fromEntries([
      [renamed.name, value],
      ...rest.map(({ name }, index) => [name, values[index]]),
    ]);
    const other = { ...body, types: { ...body.types, [body.primaryType]: [renamed, ...rest] }, message };
    const effects = signed(other);
    expect(effects).toHaveLength(1);
    expect(effects[0]).toMatchObject({ exposure: true });
    expect(effects[0]).not.toHaveProperty('token');
  });

  it.each(CASES)('%s under another name is typed data like any', (_name, body) => {
    const { [body.primaryType]: own = [], ...others } = body.types;
    const effects = signed({ ...body, primaryType: 'Another', types: { ...others, Another: own } });
    expect(effects).toHaveLength(1);
    expect(effects[0]).toMatchObject({ exposure: false });
    expect(effects[0]).not.toHaveProperty('token');
  });

  it.each(CASES.slice(0, 7))('%s without verifyingContract is exposure without a token', (_name, body) => {
    const effects = signed({ ...body, domain: { name: 'Any', chainId: 1 } });
    expect(effects).toHaveLength(1);
    expect(effects[0]).toMatchObject({ exposure: true });
    expect(effects[0]).not.toHaveProperty('token');
  });

  it.each(CASES.slice(7))('%s names its tokens itself', (_name, body, tokens) => {
    expect(signed({ ...body, domain: { name: 'Permit2' } }).map(({ token }) => token)).toEqual(tokens);
  });

  it.each(['PermitWitnessTransferFrom', 'PermitBatchWitnessTransferFrom'])(
    '%s without a witness, or with other members before it, is not read',
    (primaryType) => {
      const list = primaryType.includes('Batch') ? '[]' : '';
      const tokens = list === '' ? permitted : [permitted];
      const bare = permit2(primaryType, `TokenPermissions${list} permitted,${TERMS}`, {
        permitted: tokens,
        ...terms,
      });
      const mixed = permit2(primaryType, `TokenPermissions${list} permitted,Order witness,${TERMS}`, {
        permitted: tokens,
        witness,
        ...terms,
      });
      const text = `TokenPermissions${list} permitted,${TERMS},Order witness`;
      const whole = permit2(primaryType, text, { permitted: tokens, ...terms, witness });
      const turned = {
        ...whole,
        types: { ...whole.types, TokenPermissions: members('uint256 amount,address token') },
      };
      expect(signed(whole)[0]).toHaveProperty('token');
      for (const body of [bare, mixed, turned]) {
        expect(signed(body)).toHaveLength(1);
        expect(signed(body)[0]).toMatchObject({ exposure: true });
        expect(signed(body)[0]).not.toHaveProperty('token');
      }
    },
  );

  it('an empty batch is exposure without a token', () => {
    const empty = { details: [], spender: SPENDER, sigDeadline: 99 };
    const effects = signed(permit2('PermitBatch', `PermitDetails[] details,${ALLOWANCE}`, empty));
    expect(effects).toHaveLength(1);
    expect(effects[0]).not.toHaveProperty('token');
  });

  it('has at most 256 effects', () => {
    const of = (count: number) =>
      decode(
        permit2('PermitBatch', `PermitDetails[] details,${ALLOWANCE}`, {
          details: Array.from({ length: count }, () => details),
          spender: SPENDER,
          sigDeadline: 99,
        }),
      );
    expect(of(256).problem).toBeUndefined();
    expect(of(256).effects).toHaveLength(256);
    expect(of(257).problem).toContain('more than 256');
    expect(of(257).effects).toHaveLength(1);
  });

  it('a message to a Safe is exposure', () => {
    const effects = signed(single('SafeMessage', 'bytes message', { message: '0x12' }, SAFE));
    expect(effects[0]).toMatchObject({ exposure: true, encodeType: 'SafeMessage(bytes message)' });
  });
});

describe('orders to act for the signer', () => {
  const TRANSFER = calldata('transfer(address,uint256)', [TO, 5]);
  const token = { action: 'transfer', contract: USDC, from: OWNER, to: TO, amount: 5n };
  const call = {
    kind: 'call',
    path: '0',
    from: OWNER,
    to: USDC,
    data: TRANSFER,
    delegate: false,
    ownFunds: false,
  };
  const META = 'uint256 nonce,address from,bytes functionSignature';
  const FORWARD = 'address from,address to,uint256 value,uint256 gas,uint256 nonce,bytes data';
  const forward = { from: OWNER, to: USDC, value: '7', gas: 1, nonce: 0, data: TRANSFER };

  it.each([
    [
      'a relayed call',
      single('MetaTransaction', META, { nonce: 0, from: OWNER, functionSignature: TRANSFER }),
      0n,
    ],
    ['a forwarded call', single('ForwardRequest', FORWARD, forward, account(9)), 7n],
    [
      'a forwarded call with a deadline',
      single(
        'ForwardRequest',
        FORWARD.replace('bytes', 'uint48 deadline,bytes'),
        { ...forward, deadline: 9 },
        account(9),
      ),
      7n,
    ],
  ])('reads %s', (_name, body, value) => {
    const { effects, problem } = decode(body);
    expect(problem).toBeUndefined();
    expect(effects).toHaveLength(2);
    expect(effects[0]).toMatchObject({ kind: 'typed-data', exposure: true });
    expect(effects[1]).toEqual({ ...call, value, token });
  });

  it('refuses a relayed call to no contract, and one that is cut off', () => {
    const body = single('MetaTransaction', META, { nonce: 0, from: OWNER, functionSignature: TRANSFER });
    expect(decode({ ...body, domain: { chainId: 1 } }).problem).toContain('verifyingContract');
    expect(
      decode({ ...body, message: { nonce: 0, from: OWNER, functionSignature: '0x1234' } }).problem,
    ).toContain('too short');
  });

  it.each(['OrderComponents', 'BulkOrder', 'PackedUserOperation', 'SafeOp', 'Delegation', 'MetaTransaction'])(
    '%s of whatever shape is exposure',
    (name) => {
      expect(signed(single(name, 'address who', { who: TO }))).toMatchObject([{ exposure: true }]);
    },
  );
});

describe('orders to a Safe', () => {
  const TRANSFER = calldata('transfer(address,uint256)', [TO, 5]);
  const order = { to: USDC, value: '0', data: TRANSFER, operation: 0 };
  const gas = { safeTxGas: 1, baseGas: 2, gasPrice: '0', gasToken: account(0), refundReceiver: account(0) };

  const safeTx = (fields: object = {}, safeDomain: object = { chainId: 1, verifyingContract: SAFE }) => ({
    domain: safeDomain,
    types: { SafeTx: members(SAFE_TX) },
    primaryType: 'SafeTx',
    message: { ...order, ...gas, nonce: 3, ...fields },
  });

  const inner = {
    kind: 'call',
    path: '0',
    from: SAFE,
    to: USDC,
    value: 0n,
    ownFunds: true,
    data: TRANSFER,
    delegate: false,
  };

  it.each([{ chainId: 1, verifyingContract: SAFE }, { verifyingContract: SAFE }])(
    'reads the call that %o makes',
    (safeDomain) => {
      const { effects, problem } = decode(safeTx({}, safeDomain));
      expect(problem).toBeUndefined();
      expect(effects).toHaveLength(2);
      expect(effects[0]).toMatchObject({ kind: 'typed-data', exposure: true });
      expect(effects[0]).not.toHaveProperty('token');
      expect(id(effects.find(isTypedData)?.encodeType ?? '')).toBe(
        '0xbb8310d486368db6bd6f849402fdd73ad53d316b5a4b2644ad6efe0f941286d8',
      );
      const token = { action: 'transfer', contract: USDC, from: SAFE, to: TO, amount: 5n };
      expect(effects[1]).toEqual({ ...inner, token });
    },
  );

  it('reads the form from before 1.0.0', () => {
    const { baseGas, ...others } = gas;
    const body = {
      ...safeTx(),
      types: { SafeTx: members(SAFE_TX.replace('baseGas', 'dataGas')) },
      message: { ...order, ...others, dataGas: baseGas, nonce: 3 },
    };
    expect(decode(body).effects.filter(isCall)).toHaveLength(1);
  });

  it('reads a delegatecall to multiSend as calls of the Safe', () => {
    const entry = (operation: string, to: Hex, value: string, data: Hex) =>
      `${operation}${to.slice(2)}${value.padStart(64, '0')}${((data.length - 2) / 2).toString(16).padStart(64, '0')}${data.slice(2)}`;
    const packed = `0x${entry('00', USDC, '0', TRANSFER)}${entry('00', TO, '7', NOTHING)}${entry('01', TO, '0', '0x12345678')}`;
    const data = calldata('multiSend(bytes)', [packed]);
    const { effects, problem } = decode(safeTx({ to: account(0x3d), data, operation: 1 }));
    expect(problem).toBeUndefined();
    expect(effects.filter(isCall)).toMatchObject([
      { path: '0', from: SAFE, to: account(0x3d), data, delegate: true, ownFunds: true },
      { path: '0.0', from: SAFE, to: USDC, delegate: false, ownFunds: true, token: { from: SAFE } },
      { path: '0.1', from: SAFE, to: TO, value: 7n, data: NOTHING, delegate: false, ownFunds: true },
      { path: '0.2', from: SAFE, to: TO, data: '0x12345678', delegate: true, ownFunds: true },
    ]);
  });

  it('counts its call as one of the four that may lie in each other', () => {
    const nest = (depth: number): Hex =>
      depth === 0 ? TRANSFER : calldata('multicall(bytes[])', [[nest(depth - 1)]]);
    expect(decode(safeTx({ data: nest(3) })).problem).toBeUndefined();
    expect(decode(safeTx({ data: nest(3) })).effects).toHaveLength(5);
    expect(decode(safeTx({ data: nest(4) })).problem).toContain('deeper than 4');
  });

  it.each([
    ['a refund', safeTx({ gasPrice: '1' }), 'SafeTx: gasPrice is not 0'],
    ['operation 2', safeTx({ operation: 2 }), 'SafeTx: operation 2'],
    ['no Safe', safeTx({}, { chainId: 1 }), 'verifyingContract'],
    ['calldata that is cut off', safeTx({ data: TRANSFER.slice(0, -2) }), 'the inner call 0 to transfer'],
    ['data without a selector', safeTx({ data: '0x1234' }), 'too short for a selector'],
  ])('refuses one with %s', (_name, body, problem) => {
    const decoded = decode(body);
    expect(decoded.problem).toContain(problem);
    expect(decoded.effects[0]).toMatchObject({ kind: 'typed-data', exposure: true });
  });

  it('of another shape is exposure without calls', () => {
    const body = {
      ...safeTx(),
      types: { SafeTx: members('address to,bytes data') },
      message: { to: USDC, data: TRANSFER },
    };
    const { effects, problem } = decode(body);
    expect(problem).toBeUndefined();
    expect(effects).toHaveLength(1);
    expect(effects[0]).toMatchObject({ exposure: true });
  });
});
