/**
 * A policy of 50 rules as a company with several desks would have: each desk pays from its keys to its recipients on its
 * chain, up to an amount. All value and all fees are under rolling limits; what the benchmark signs is charged on three.
 */
export const RECIPIENT = '0x1111111111111111111111111111111111111111';
export const CHAIN = 31337;

const DESKS = 48;
const CHAINS = [1, 10, 137, 8453, 42161, CHAIN];

function desk(i: number): string {
  const recipients = Array.from(
    { length: 5 },
    (_, j) => `'0x${(0xa000 + 16 * i + j).toString(16).padStart(40, '0')}'`,
  );
  return `
  - id: desk-${i}
    effect: allow
    principals: { roles: [signer] }
    keys: { tags: [desk-${i}] }
    operations: [transaction]
    when:
      all:
        - chainId: { eq: ${CHAINS[i % CHAINS.length]} }
        - to: { in: [${recipients.join(', ')}] }
        - value: { lte: '${1 + (i % 9)} ether' }
        - maxTotalFee: { lte: '0.01 ether' }`;
}

export const FIFTY_RULES = `apiVersion: countersign/policy/v1
revision: 1

limits:
  value-day:
    meter: value
    per: [key]
    window: { rolling: 24h, bucket: 5m }
    max: '1000000000 ether'
    onExceed: deny
  fees-hour:
    meter: maxTotalFee
    per: [key]
    window: { rolling: 1h, bucket: 1m }
    max: '1000000000 ether'
    onExceed: deny
  value-hour:
    meter: value
    per: [principal]
    window: { rolling: 1h, bucket: 1m }
    max: '1000000000 ether'
    onExceed: deny

rules:
  - id: nothing-to-zero
    effect: deny
    principals: { roles: [signer] }
    keys: { names: ['*'] }
    operations: [transaction]
    when: { to: { in: ['0x0000000000000000000000000000000000000000'] } }

  - id: payouts
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ['*'] }
    operations: [transaction]
    when:
      all:
        - chainId: { eq: ${CHAIN} }
        - to: { in: ['${RECIPIENT}', '0x2222222222222222222222222222222222222222'] }
        - value: { lte: '1 ether' }
        - maxTotalFee: { lte: '0.05 ether' }
${Array.from({ length: DESKS }, (_, i) => desk(i)).join('\n')}
`;
