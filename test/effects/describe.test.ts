import { getAddress } from 'ethers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Hex } from '../../src/bytes.ts';
import { decodeEffects } from '../../src/effects/decode.ts';
import { describeIntent } from '../../src/effects/describe.ts';
import { UNLIMITED, type PolicyIntent } from '../../src/effects/effect.ts';
import type { NamedToken } from '../../src/effects/wording.ts';
import { parseIntent } from '../../src/intent/schema.ts';
import { arbitraryIntent, arbitraryTransaction } from '../intent/arbitrary.ts';
import { account, calldata, members, NOTHING, SAFE, SIGNER, transactionOf, USDC } from './intents.ts';

const TO = account(0x11);
const NFT: Hex = '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed';
const NFT_CHECKSUM = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const USDC_CHECKSUM = '0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48';
const SIGNER_TEXT = '0x5151515151515151515151515151515151515151';
const SAFE_TEXT = getAddress(SAFE);

const TOKENS: ReadonlyMap<string, NamedToken> = new Map([
  ['usdc', { name: 'usdc', chain: 1n, address: USDC, standard: 'erc20', decimals: 6 }],
  ['punks', { name: 'punks', chain: 1n, address: NFT, standard: 'erc721', decimals: 0 }],
]);

function linesOf(intent: PolicyIntent, tokens = TOKENS): string[] {
  return describeIntent(intent, decodeEffects(intent, SIGNER), { tokens });
}

/** The first lines of a call to `to`. */
function firstLine(to: Hex, data: Hex, value = 0n, tokens = TOKENS): string | undefined {
  return linesOf(transactionOf({ to, data, value }), tokens)[0];
}

function transfer(amount: bigint): Hex {
  return calldata('transfer(address,uint256)', [TO, amount]);
}

const FEES = 'Fees at most 0.002 ether, gas limit 100000';
const ENVELOPE = 'Chain 1, nonce 7, transaction type 2';

describe('descriptions of transactions', () => {
  it('says where ether goes', () => {
    expect(linesOf(transactionOf({ to: TO, value: 500_000_000_000_000_000n }))).toEqual([
      `Send 0.5 ether from ${SIGNER_TEXT} to ${TO} on chain 1`,
      FEES,
      ENVELOPE,
    ]);
    expect(firstLine(TO, NOTHING, 1n)).toContain('Send 0.000000000000000001 ether ');
    expect(firstLine(TO, NOTHING, 10n ** 18n)).toContain('Send 1 ether ');
    expect(firstLine(TO, NOTHING)).toContain('Send 0 ether ');
  });

  it('says how much of a token moves, and shows the data', () => {
    const data = transfer(2_000_000n);
    expect(linesOf(transactionOf({ data }))).toEqual([
      `Transfer 2 usdc (2000000 base units) of ${USDC_CHECKSUM} from ${SIGNER_TEXT} to ${TO}`,
      FEES,
      ENVELOPE,
      `Data (68 bytes): ${data}`,
    ]);
    expect(firstLine(USDC, data, 3n)).toBe(
      `Transfer 2 usdc (2000000 base units) of ${USDC_CHECKSUM} from ${SIGNER_TEXT} to ${TO}; ` +
        `it sends 0.000000000000000003 ether from ${SIGNER_TEXT} with the call`,
    );
  });

  it('knows a token on its own chain only', () => {
    const elsewhere = new Map([
      ['usdc', { name: 'usdc', chain: 10n, address: USDC, standard: 'erc20', decimals: 6 } as const],
    ]);
    expect(firstLine(USDC, transfer(2n), 0n, elsewhere)).toBe(
      `Transfer 2 base units of token ${USDC_CHECKSUM} from ${SIGNER_TEXT} to ${TO}`,
    );
  });

  it.each([
    [
      'approve(address,uint256)',
      USDC,
      [TO, UNLIMITED],
      `Let ${TO} spend up to UNLIMITED usdc of ${USDC_CHECKSUM} from`,
    ],
    [
      'approve(address,uint256)',
      SAFE,
      [TO, UNLIMITED],
      `Let ${TO} spend up to UNLIMITED of token ${SAFE_TEXT} from`,
    ],
    [
      'approve(address,uint256)',
      SAFE,
      [TO, 5],
      `Let ${TO} spend up to 5 base units (or, if that is an NFT, id 5) of token ${SAFE_TEXT} from`,
    ],
    ['approve(address,uint256)', NFT, [TO, 5], `Let ${TO} spend up to id 5 of punks ${NFT_CHECKSUM} from`],
    [
      'increaseAllowance(address,uint256)',
      USDC,
      [TO, 1],
      `Let ${TO} spend more from ${SIGNER_TEXT} than before, by 0.000001 usdc (1 base unit)`,
    ],
    [
      'decreaseAllowance(address,uint256)',
      USDC,
      [TO, 1],
      `Let ${TO} spend less from ${SIGNER_TEXT} than before, by 0.000001 usdc (1 base unit)`,
    ],
    [
      'setApprovalForAll(address,bool)',
      NFT,
      [TO, true],
      `Let ${TO} take all that ${SIGNER_TEXT} has or will have of punks ${NFT_CHECKSUM}`,
    ],
    [
      'setApprovalForAll(address,bool)',
      NFT,
      [TO, false],
      `No longer let ${TO} take all that ${SIGNER_TEXT} has of punks ${NFT_CHECKSUM}`,
    ],
    [
      'safeTransferFrom(address,address,uint256,uint256,bytes)',
      SAFE,
      [SIGNER, TO, 7, 5, '0x'],
      `Transfer 5 of id 7 of token ${SAFE_TEXT} from ${SIGNER_TEXT} to ${TO}`,
    ],
    [
      'approve(address,address,uint160,uint48)',
      SAFE,
      [USDC, TO, 1_500_000, 1_800_000_000],
      `Let ${TO} spend up to 1.5 usdc (1500000 base units) of ${USDC_CHECKSUM} from ${SIGNER_TEXT}, until 2027-01-15T08:00:00Z`,
    ],
    [
      'cancelAuthorization(address,bytes32,bytes)',
      USDC,
      [SIGNER, `0x${'00'.repeat(32)}`, '0x'],
      `Cancel a signed authorization of ${SIGNER_TEXT} for usdc ${USDC_CHECKSUM}`,
    ],
    [
      'permit(address,address,uint256,uint256,bytes)',
      USDC,
      [SIGNER, TO, 1, UNLIMITED, '0x'],
      `Let ${TO}, by signature, spend up to 0.000001 usdc (1 base unit) of ${USDC_CHECKSUM} from ${SIGNER_TEXT}, until ${UNLIMITED} seconds after 1970`,
    ],
  ])('%s of %s', (fragment, to, args, expected) => {
    expect(firstLine(to, calldata(fragment, args))).toContain(expected);
  });

  it('says what it cannot read', () => {
    expect(firstLine(TO, '0x12345678aabb', 5n)).toBe(
      `Call ${TO} with selector 0x12345678 and 2 bytes that this service cannot read; ` +
        `it sends 0.000000000000000005 ether from ${SIGNER_TEXT} with the call`,
    );
    expect(linesOf(transactionOf({ to: TO, data: '0x1234' })).slice(0, 2)).toEqual([
      'Warning: this cannot be read to the end: the call: its data is too short for a selector',
      `Call ${TO} with 2 bytes, too few for a selector`,
    ]);
    const cut = transfer(1n).slice(0, -2) as Hex;
    const [warning, call, ...rest] = linesOf(transactionOf({ data: cut }));
    expect(warning).toMatch(/^Warning: .* the call to transfer\(address,uint256\): /);
    expect(call).toBe(`Call ${USDC_CHECKSUM} with transfer(address,uint256) and 63 bytes of arguments`);
    expect(rest.at(-1)).toBe(`Data (67 bytes): ${cut}`);
  });

  it('says what a batch does, call by call', () => {
    const exec = 'execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)';
    const tail = [0, 0, 0, account(0), account(0), '0x'];
    const calls = calldata('aggregate3Value((address,bool,uint256,bytes)[])', [
      [
        [USDC, false, 0, transfer(5n)],
        [TO, false, 10n ** 18n, NOTHING],
      ],
    ]);
    const delegated = calldata(exec, [NFT, 0, calls, 1, ...tail]);
    expect(linesOf(transactionOf({ to: SAFE, data: delegated })).slice(0, 4)).toEqual([
      `Call ${SAFE_TEXT} with ${exec} and ${delegated.length / 2 - 5} bytes of arguments; the calls that it makes follow`,
      `Inner call 0: Delegatecall, with the storage and the funds of ${SAFE_TEXT}, ${NFT_CHECKSUM} with ` +
        `aggregate3Value((address,bool,uint256,bytes)[]) and ${calls.length / 2 - 5} bytes of arguments; the calls that it makes follow`,
      `Inner call 0.0: Transfer 0.000005 usdc (5 base units) of ${USDC_CHECKSUM} from ${SAFE_TEXT} to ${TO}`,
      `Inner call 0.1: Send 1 ether from ${SAFE_TEXT} to ${TO} on chain 1`,
    ]);
    const bare = calldata(exec, [NFT, 0, NOTHING, 1, ...tail]);
    expect(linesOf(transactionOf({ to: SAFE, data: bare }))[1]).toBe(
      `Inner call 0: Delegatecall, with the storage and the funds of ${SAFE_TEXT}, ${NFT_CHECKSUM} without data`,
    );
  });

  it('names the value of a call with several tokens once', () => {
    const data = calldata('safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)', [
      SIGNER,
      TO,
      [1, 2],
      [3, 4],
      '0x',
    ]);
    const [first, second] = linesOf(transactionOf({ to: NFT, data, value: 10n ** 18n }));
    expect(first).toMatch(/^Transfer 3 of id 1 .*; it sends 1 ether/);
    expect(second).toMatch(/^Transfer 4 of id 2 /);
    expect(second).not.toContain('ether');
  });

  it('says what is created', () => {
    const lines = linesOf(transactionOf({ to: null, value: 5n, data: '0x6001' }));
    expect(lines[0]).toMatch(
      /^Create a contract with 0\.000000000000000005 ether, from init code with the keccak256 0x[0-9a-f]{64}$/,
    );
    expect(lines.at(-1)).toBe('Data (2 bytes): 0x6001');
  });

  it('leaves nothing of the envelope out', () => {
    const common = { chainId: 5, nonce: 0, to: TO, gasLimit: 21000 };
    const market = { maxFeePerGas: '10', maxPriorityFeePerGas: '1' };
    const accessList = [{ address: NFT, storageKeys: [`0x${'01'.repeat(32)}`] }];
    const hash = `0x01${'02'.repeat(31)}`;
    const blob = { ...common, ...market, type: 3, maxFeePerBlobGas: '1', blobVersionedHashes: [hash] };
    expect(linesOf(parseIntent('transaction', { transaction: { ...blob, accessList } })).slice(1)).toEqual([
      'Fees at most 0.000000000000341072 ether, gas limit 21000',
      'Chain 5, nonce 0, transaction type 3',
      `Access list: ${NFT_CHECKSUM} 0x${'01'.repeat(32)}`,
      `Blob with versioned hash ${hash}`,
    ]);
    const authorizationList = [{ chainId: 5, address: NFT, nonce: 3, yParity: 0, r: '1', s: '1' }];
    const delegating = { ...common, ...market, type: 4, authorizationList };
    expect(linesOf(parseIntent('transaction', { transaction: delegating })).at(-1)).toBe(
      `Carries an authorization (EIP-7702) of an account to act as the code at ${NFT_CHECKSUM} on chain 5, nonce 3`,
    );
  });
});

describe('descriptions of what is signed', () => {
  it('typed data: what it gives away, the domain, every member', () => {
    const intent = parseIntent('typed-data', {
      domain: { name: 'USD\nCoin', chainId: 1, verifyingContract: USDC },
      types: {
        Permit: members('address owner,address spender,uint256 value,uint256 nonce,uint256 deadline'),
      },
      primaryType: 'Permit',
      message: { owner: SIGNER, spender: TO, value: '2000000', nonce: 0, deadline: 1_800_000_000 },
    });
    expect(linesOf(intent)).toEqual([
      `Let ${TO}, by signature, spend up to 2 usdc (2000000 base units) of ${USDC_CHECKSUM} from ${SIGNER_TEXT}, until 2027-01-15T08:00:00Z`,
      'Domain name: "USD\\nCoin"',
      'Domain chainId: 1',
      `Domain verifyingContract: ${USDC_CHECKSUM}`,
      'Type: Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)',
      `Message Permit.owner: ${SIGNER_TEXT}`,
      `Message Permit.spender: ${TO}`,
      'Message Permit.value: 2000000',
      'Message Permit.nonce: 0',
      'Message Permit.deadline: 1800000000',
    ]);
  });

  it('typed data with parts', () => {
    const intent = parseIntent('typed-data', {
      domain: {},
      types: {
        Mail: members('Person[] to,string[] none,bytes data,bool urgent,string digits'),
        Person: members('string name'),
      },
      primaryType: 'Mail',
      message: { to: [{ name: 'A' }, { name: '"B"' }], none: [], data: '0x12', urgent: true, digits: '12' },
    });
    expect(linesOf(intent)).toEqual([
      'Sign typed data',
      'Type: Mail(Person[] to,string[] none,bytes data,bool urgent,string digits)Person(string name)',
      'Message Mail.to.0.name: "A"',
      'Message Mail.to.1.name: "\\"B\\""',
      'Message Mail.none: no items',
      'Message Mail.data: 0x12',
      'Message Mail.urgent: true',
      'Message Mail.digits: "12"',
    ]);
  });

  it('exposure that cannot be read, and orders to a Safe', () => {
    const unread = parseIntent('typed-data', {
      domain: { verifyingContract: SAFE },
      types: { Permit: members('address spender,uint256 tokenId') },
      primaryType: 'Permit',
      message: { spender: TO, tokenId: 5 },
    });
    expect(linesOf(unread)[0]).toBe(
      'Sign typed data that may give others power over funds, in a form that this service cannot read',
    );
    const order = parseIntent('typed-data', {
      domain: { verifyingContract: SAFE },
      types: {
        SafeTx: members(
          'address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce',
        ),
      },
      primaryType: 'SafeTx',
      message: {
        to: TO,
        value: '5',
        data: NOTHING,
        operation: 0,
        safeTxGas: 0,
        baseGas: 0,
        gasPrice: 0,
        gasToken: account(0),
        refundReceiver: account(0),
        nonce: 0,
      },
    });
    expect(linesOf(order).slice(0, 2)).toEqual([
      'Sign an order to a Safe; the calls that it makes follow',
      `Inner call 0: Send 0.000000000000000005 ether from ${SAFE_TEXT} to ${TO}`,
    ]);
  });

  it('messages, with a text that cannot be mistaken for ours', () => {
    const text =
      'Hello"\nFees at most 0 ether\u202E\u2066\u200B\u0085\u2028\u00A0\u{E0041}\u3164\u034F\uFE0Fé';
    expect(linesOf(parseIntent('message', { message: text }))).toEqual([
      'Sign a message',
      'Text: "Hello\\"\\nFees at most 0 ether\\u{202e}\\u{2066}\\u{200b}\\u{85}\\u{2028}\\u{a0}\\u{e0041}\\u{3164}\\u{34f}\\u{fe0f}é"',
    ]);
    expect(linesOf({ operation: 'message', data: '0xff00' })).toEqual([
      'Sign a message that is not text',
      'Bytes (2): 0xff00',
    ]);
  });

  it('messages of EIP-4361', () => {
    const message = [
      'example.com wants you to sign in with your Ethereum account:',
      NFT_CHECKSUM,
      '',
      'Hello',
      '',
      'URI: https://example.com/login',
      'Version: 1',
      'Chain ID: 10',
      'Nonce: 12345678',
      'Issued At: 2026-11-20T10:00:00Z',
      'Expiration Time: 2026-11-20T11:00:00Z',
      'Resources:',
      '- https://example.com/a',
    ].join('\n');
    expect(linesOf(parseIntent('message', { message }))).toEqual([
      `Sign in (EIP-4361) as ${NFT_CHECKSUM} on chain 10, to the site "example.com"`,
      'Statement: "Hello"',
      'URI: "https://example.com/login"',
      'Issued at: "2026-11-20T10:00:00Z"',
      'Expires at: "2026-11-20T11:00:00Z"',
      'Resource: "https://example.com/a"',
      `Text: ${JSON.stringify(message)}`,
    ]);
  });

  it('authorizations, digests and exports', () => {
    expect(linesOf({ operation: 'authorization', chainId: 1n, address: NFT, nonce: 5n })).toEqual([
      `Let the code at ${NFT_CHECKSUM} act as this key's account on chain 1 (EIP-7702)`,
      'Nonce 5',
    ]);
    const digest: Hex = `0x${'ab'.repeat(32)}`;
    expect(linesOf({ operation: 'digest', digest, purpose: 'say "hi"' })).toEqual([
      `Sign the digest ${digest}; what it stands for cannot be read`,
      'It is said to be "say \\"hi\\""',
    ]);
    expect(linesOf({ operation: 'key.export' })).toEqual([
      'Export the private key, encrypted with a password of the requester',
      expect.stringMatching(
        /^The key leaves this service: .* past every policy and limit and without a trace in the log$/,
      ),
    ]);
  });
});

describe('every description', () => {
  const HIDDEN = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/u;

  it('has one line for each thing, and nothing in it that hides', () => {
    fc.assert(
      fc.property(arbitraryIntent(), (intent) => {
        const lines = linesOf(intent);
        expect(lines.length).toBeGreaterThan(0);
        for (const line of lines) {
          expect(line).not.toMatch(HIDDEN);
          expect(line).not.toMatch(/undefined|null|\[object/);
        }
      }),
    );
  });

  it('keeps text whole, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (message) => {
        const line = linesOf(parseIntent('message', { message })).at(-1) ?? '';
        const quoted = line
          .replace(/^Text: /, '')
          .replaceAll(
            /(\\\\)|\\u\{([0-9a-f]+)\}/g,
            (_match, escaped: string | undefined, point: string) =>
              escaped ?? JSON.stringify(String.fromCodePoint(Number.parseInt(point, 16))).slice(1, -1),
          );
        expect(JSON.parse(quoted)).toBe(message);
      }),
    );
  });

  it('has the data of a transaction whole', () => {
    fc.assert(
      fc.property(arbitraryTransaction(), (transaction) => {
        const data: Hex = `${transaction.data}00`;
        const lines = linesOf({ operation: 'transaction', transaction: { ...transaction, data } });
        expect(lines.at(-1)?.split(' ').at(-1)).toBe(data);
      }),
    );
  });
});
