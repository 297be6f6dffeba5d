import { keccak256 } from 'ethers';
import fc from 'fast-check';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Hex } from '../../src/bytes.ts';
import type * as AbiDecode from '../../src/effects/abi-decode.ts';
import { decodeEffects } from '../../src/effects/decode.ts';
import { MAX_DATA_BYTES } from '../../src/intent/fields.ts';
import { parseIntent } from '../../src/intent/schema.ts';
import { arbitraryIntent } from '../intent/arbitrary.ts';
import {
  account,
  calldata,
  callsOf,
  decodeCall,
  isTypedData,
  NOTHING,
  SIGNER,
  transactionOf,
} from './intents.ts';

const work = vi.hoisted(() => ({ digits: 0, calls: 0 }));

/** Counts what the decoders are given; they work as ever. */
vi.mock('../../src/effects/abi-decode.ts', async (load) => {
  const original = await load<typeof AbiDecode>();
  const createDecoder: typeof AbiDecode.createDecoder = (...args) => {
    const decode = original.createDecoder(...args);
    return (data) => {
      work.digits += data.length;
      work.calls += 1;
      return decode(data);
    };
  };
  return { ...original, createDecoder };
});

const TO = account(2);
const TRANSFER = calldata('transfer(address,uint256)', [TO, 5]);

const multicall = (items: readonly Hex[]): Hex => calldata('multicall(bytes[])', [items]);

/** A multicall in a multicall, `depth` of them around the data. */
function nested(depth: number, data: Hex): Hex {
  return depth === 0 ? data : multicall([nested(depth - 1, data)]);
}

const times = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);

describe('effects', () => {
  beforeEach(() => {
    work.digits = 0;
    work.calls = 0;
  });

  it('a transfer of ether is one call without data', () => {
    expect(decodeEffects(transactionOf({ to: TO, value: 5n }), SIGNER)).toEqual({
      effects: [
        {
          kind: 'call',
          path: '',
          from: SIGNER,
          to: TO,
          value: 5n,
          ownFunds: false,
          data: NOTHING,
          delegate: false,
        },
      ],
    });
    expect(work.calls).toBe(0);
  });

  it('a creation has the hash of its init code', () => {
    const initCode: Hex = '0x6001600c60003960016000f300';
    expect(decodeEffects(transactionOf({ to: null, value: 5n, data: initCode }), SIGNER)).toEqual({
      effects: [{ kind: 'create', path: '', value: 5n, initCode, initcodeHash: keccak256(initCode) }],
    });
  });

  it('a creation is not read as a call', () => {
    const { effects, problem } = decodeEffects(transactionOf({ to: null, data: '0xa9059cbb' }), SIGNER);
    expect(problem).toBeUndefined();
    expect(effects.map(({ kind }) => kind)).toEqual(['create']);
  });

  it('an unknown call is an effect as any', () => {
    const [call, ...others] = callsOf(decodeCall(TO, '0xdeadbeef00'));
    expect(call).toMatchObject({ to: TO, data: '0xdeadbeef00' });
    expect(call).not.toHaveProperty('token');
    expect(others).toEqual([]);
  });

  it.each(['authorization', 'digest', 'key.export'] as const)('%s says it all itself', (operation) => {
    const intents = {
      authorization: { operation: 'authorization', chainId: 1n, address: TO, nonce: 0n },
      digest: { operation: 'digest', digest: `0x${'11'.repeat(32)}`, purpose: 'test' },
      'key.export': { operation: 'key.export' },
    } as const;
    expect(decodeEffects(intents[operation], SIGNER)).toEqual({ effects: [{ kind: operation }] });
  });

  it.each([
    ['plain', 'hello'],
    ['empty', ''],
    ['with a byte order mark', '\uFEFFhello'],
    ['with controls', 'a\u0000b\r\n\u202Ec'],
    ['beyond the basic plane', '🔑'],
  ])('a message is text: %s', (_name, text) => {
    const data: Hex = `0x${Buffer.from(text, 'utf8').toString('hex')}`;
    expect(decodeEffects({ operation: 'message', data }, SIGNER)).toEqual({
      effects: [{ kind: 'message', text }],
    });
  });

  it.each(['0xff', '0xc0af', '0xeda080', '0x68656c6c80', '0xf4908080'] as const)(
    'the message %s is not text',
    (data) => {
      expect(decodeEffects({ operation: 'message', data }, SIGNER)).toEqual({
        effects: [{ kind: 'message' }],
      });
    },
  );

  it('a message of EIP-4361 is read as such', () => {
    const text = [
      'example.com wants you to sign in with your Ethereum account:',
      '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
      '',
      'Hello',
      '',
      'URI: https://example.com/login',
      'Version: 1',
      'Chain ID: 10',
      'Nonce: 12345678',
      'Issued At: 2026-11-20T10:00:00Z',
    ].join('\n');
    const intent = parseIntent('message', { message: text });
    expect(decodeEffects(intent, SIGNER).effects).toMatchObject([
      { kind: 'message', text, siwe: { domain: 'example.com', chainId: 10n, statement: 'Hello' } },
    ]);
  });

  it.each([
    ['in 16-bit units', 'a wants you to sign in with your Ethereum account:\n', 'utf16le', true],
    ['with carriage returns', 'a wants you to sign in with your Ethereum account:\r\n', 'utf8', true],
    ['that is not UTF-8', 'a wants you to sign in with your Ethereum account:\n\xFF', 'latin1', false],
  ] as const)(
    'a message that only looks like one of EIP-4361 is marked: %s',
    (_name, text, encoding, isText) => {
      const bytes = Buffer.from(text, encoding);
      const data: Hex = `0x${bytes.toString('hex')}`;
      expect(decodeEffects({ operation: 'message', data }, SIGNER)).toEqual({
        effects: [{ kind: 'message', ...(isText ? { text: bytes.toString('utf8') } : {}), nearSiwe: true }],
      });
    },
  );

  it('typed data that is not well known is not exposure', () => {
    const body = {
      domain: { name: 'Mail' },
      types: { Mail: [{ name: 'text', type: 'string' }] },
      primaryType: 'Mail',
      message: { text: 'hi' },
    };
    const intent = parseIntent('typed-data', body);
    expect(decodeEffects(intent, SIGNER)).toEqual({
      effects: [{ kind: 'typed-data', typedData: body, encodeType: 'Mail(string text)', exposure: false }],
    });
  });

  it('says something of every intent', () => {
    fc.assert(
      fc.property(arbitraryIntent(), (intent) => {
        const { effects, problem } = decodeEffects(intent, SIGNER);
        expect(effects.length > 0 || problem !== undefined).toBe(true);
        const kinds: Record<string, readonly string[]> = { transaction: ['call', 'create'] };
        const allowed = kinds[intent.operation] ?? [intent.operation];
        expect(effects.filter(({ kind }) => !allowed.includes(kind))).toEqual([]);
        expect(effects.filter(isTypedData).filter(({ exposure }) => exposure)).toEqual([]);
      }),
    );
  });
});

describe('bounds of effects', () => {
  beforeEach(() => {
    work.digits = 0;
    work.calls = 0;
  });

  it('reads calls four deep and no deeper', () => {
    const calls = callsOf(decodeCall(TO, nested(4, TRANSFER)));
    expect(calls.map(({ path }) => path)).toEqual(['', '0', '0.0', '0.0.0', '0.0.0.0']);
    expect(calls.at(-1)).toHaveProperty('token');
    expect(decodeCall(TO, nested(5, TRANSFER)).problem).toBe('calls are nested deeper than 4, at 0.0.0.0.0');
    expect(decodeCall(TO, nested(5, NOTHING)).problem).toBeDefined();
  });

  it('reads 256 effects and no more', () => {
    expect(callsOf(decodeCall(TO, multicall(times(255, TRANSFER))))).toHaveLength(256);
    const { effects, problem } = decodeCall(TO, multicall(times(256, TRANSFER)));
    expect(problem).toBe('there are more than 256 effects');
    expect(effects).toHaveLength(256);
  });

  it('counts the token effects of a call', () => {
    const batch = (count: number) =>
      calldata('safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)', [
        TO,
        TO,
        times(count, 1),
        times(count, 1),
        NOTHING,
      ]);
    expect(callsOf(decodeCall(TO, batch(256)))).toHaveLength(256);
    expect(decodeCall(TO, batch(257)).problem).toContain('more than 256');
    expect(decodeCall(TO, multicall([batch(200), batch(56)])).problem).toContain('more than 256');
    expect(callsOf(decodeCall(TO, multicall([batch(200), batch(55)])))).toHaveLength(256);
  });

  it.each([
    ['wide', () => multicall(times(2000, NOTHING))],
    ['wide and full', () => multicall(times(800, TRANSFER))],
    ['deep', () => nested(60, `0xdeadbeef${'00'.repeat(100_000)}`)],
    ['wide in wide in wide', () => multicall(times(9, multicall(times(9, multicall(times(8, TRANSFER))))))],
    ['one huge call in four others', () => nested(4, `0xa9059cbb${'00'.repeat(120_000)}`)],
    [
      'packed',
      () => calldata('multiSend(bytes)', [`0x${`00${'22'.repeat(20)}${'0'.repeat(128)}`.repeat(1500)}`]),
    ],
  ])('refuses hostile data after little work: %s', (_name, build) => {
    const data = build();
    const bytes = (data.length - 2) / 2;
    expect(bytes).toBeGreaterThan(30_000);
    expect(bytes).toBeLessThanOrEqual(MAX_DATA_BYTES);
    const { effects, problem } = decodeCall(TO, data);
    expect(problem).toBeDefined();
    expect(effects.length).toBeLessThanOrEqual(256);
    // Each level is read once, and nothing is read twice on one level.
    expect(work.digits).toBeLessThanOrEqual(5 * data.length);
    expect(work.calls).toBeLessThanOrEqual(257);
  });
});
