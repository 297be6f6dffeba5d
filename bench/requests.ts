import { CHAIN, RECIPIENT } from './fifty-rules.ts';

export const BATCH_ITEMS = 100;

interface Asked {
  readonly path: string;
  readonly body: string;
}

let nonce = 0;

function transaction(): object {
  return {
    type: 2,
    chainId: CHAIN,
    nonce: nonce++,
    to: RECIPIENT,
    value: '1000000000000000',
    gasLimit: 21000,
    maxFeePerGas: '2000000000',
    maxPriorityFeePerGas: '1000000000',
  };
}

/** A transfer that the policy of 50 rules allows and charges on its limits; each has the next nonce. */
export function transfer(): Asked {
  return { path: '/v1/keys/demo/sign/transaction', body: JSON.stringify({ transaction: transaction() }) };
}

export function batchOfTransfers(): Asked {
  const items = Array.from({ length: BATCH_ITEMS }, () => ({
    key: 'demo',
    operation: 'transaction',
    transaction: transaction(),
  }));
  return { path: '/v1/sign/batch', body: JSON.stringify({ items }) };
}
