import type { Hex } from '../../src/bytes.ts';
import { decodeEffects } from '../../src/effects/decode.ts';
import type { PolicyIntent } from '../../src/effects/effect.ts';
import { CountersignError } from '../../src/errors.ts';
import type {
  BlobTransaction,
  FeeMarketTransaction,
  LegacyTransaction,
  SetCodeTransaction,
  SignedAuthorization,
  Transaction,
} from '../../src/intent/intent.ts';
import type { JsonValue } from '../../src/jcs.ts';
import type { PolicyRequest } from '../../src/policy/decision.ts';
import { compilePolicy, type CompiledPolicy } from '../../src/policy/policy.ts';

export const ETHER = 10n ** 18n;
export const GWEI = 10n ** 9n;

export const ALICE: Hex = `0x${'22'.padStart(40, '0')}`;
export const BOB: Hex = '0x1111111111111111111111111111111111111111';
export const CAROL: Hex = '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed';

/** Type 2, 1 gwei × 21,000 gas, 1 wei to Alice on chain 31337. */
export const TRANSFER: FeeMarketTransaction = {
  type: 2,
  chainId: 31337n,
  nonce: 7n,
  to: ALICE,
  value: 1n,
  data: '0x',
  gasLimit: 21_000n,
  maxFeePerGas: GWEI,
  maxPriorityFeePerGas: 1n,
  accessList: [],
};

const { type: _, maxFeePerGas: _fee, maxPriorityFeePerGas: _tip, accessList: _list, ...BASE } = TRANSFER;

export const LEGACY: LegacyTransaction = { ...BASE, type: 0, gasPrice: GWEI };

export const BLOB: BlobTransaction = {
  ...TRANSFER,
  type: 3,
  to: ALICE,
  maxFeePerBlobGas: 3n,
  blobVersionedHashes: [`0x01${'00'.repeat(31)}`],
};

export function authorization(chainId: bigint, address: Hex): SignedAuthorization {
  return { chainId, address, nonce: 0n, yParity: 0, r: 1n, s: 1n };
}

export const SET_CODE: SetCodeTransaction = {
  ...TRANSFER,
  type: 4,
  to: ALICE,
  authorizationList: [authorization(31337n, BOB)],
};

/** Who asks, with which key, and what else a request has beside what is to be signed. */
export interface Caller extends Partial<Pick<PolicyRequest, 'source' | 'now' | 'breakGlass'>> {
  readonly principal: PolicyRequest['principal'];
  readonly key: Pick<PolicyRequest['key'], 'name' | 'tags'> & Partial<PolicyRequest['key']>;
}

/** The address of the key in every request, unless it is said otherwise. */
export const SIGNER: Hex = '0x7e5f4552091a69125d5dfcb7b8c2659029395bdf';

/** A Friday, 10:00 in Greenwich. */
export const NOW = Date.parse('2026-11-20T10:00:00Z');

export const OWNER = {
  principal: { id: 'p-1', name: 'payroll', roles: ['signer'] },
  key: { name: 'treasury', tags: ['hot'] },
} satisfies Caller;

export function request(subject: Transaction | PolicyIntent, caller: Caller = OWNER): PolicyRequest {
  const intent: PolicyIntent =
    'operation' in subject ? subject : { operation: 'transaction', transaction: subject };
  const key = { address: SIGNER, draining: false, ...caller.key };
  const effects = decodeEffects(intent, key.address);
  return { source: { address: undefined, mtls: false }, now: NOW, ...caller, key, intent, effects };
}

export function policyOf(...rules: readonly JsonValue[]): CompiledPolicy {
  return compilePolicy(documentOf(...rules));
}

/** With the other parts of a document: tokens, limits and so on. */
export function policyWith(more: Members, ...rules: readonly JsonValue[]): CompiledPolicy {
  return compilePolicy({ ...documentOf(...rules), ...more });
}

export function documentOf(...rules: readonly JsonValue[]): { [name: string]: JsonValue } {
  return { apiVersion: 'countersign/policy/v1', revision: 1, rules };
}

/** An allow rule for transactions on chain 31337 with the starter's fee bound, and more conditions. */
export function allowTransfers(...conditions: readonly JsonValue[]): { [name: string]: JsonValue } {
  return {
    id: 'pay',
    effect: 'allow',
    principals: { roles: ['signer'] },
    keys: { names: ['*'] },
    operations: ['transaction'],
    when: {
      all: [{ chainId: { eq: 31337 } }, { maxTotalFee: { lte: '0.05 ether' } }, ...conditions],
    },
  };
}

/** What `work` refuses, as `path: message` lines. */
export function refusal(work: () => unknown): { message: string; lines: string[] } {
  try {
    work();
  } catch (error) {
    if (!(error instanceof CountersignError) || error.code !== 'invalid_request') throw error;
    return { message: error.message, lines: error.errors.map(({ path, message }) => `${path}: ${message}`) };
  }
  throw new Error('was not refused');
}

export type Members = { [name: string]: JsonValue | undefined };

export const CHAIN = { chainId: { eq: 1 } };
export const FEE = { maxTotalFee: { lte: '1 ether' } };

export function allow(operations: readonly string[], when?: JsonValue): Members {
  return {
    id: 'a',
    effect: 'allow',
    principals: { roles: ['signer'] },
    keys: { names: ['*'] },
    operations,
    ...(when === undefined ? {} : { when }),
  };
}

export function deny(operations: readonly string[], when: JsonValue): Members {
  return { id: 'd', effect: 'deny', operations, when };
}

export function problemsOf(rule: JsonValue, more: Members = {}): string[] {
  return refusal(() => compilePolicy({ ...documentOf(rule), ...more })).lines;
}

export function compiling(rule: JsonValue): () => unknown {
  return () => compilePolicy(documentOf(rule));
}
