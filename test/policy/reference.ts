/**
 * A second interpreter of the policy grammar, straight on the JSON document and with none of the compiler's code:
 * slow, small, and only for documents that compile. It answers with the effect, the deciding rule, and the
 * allow rules that matched in everything but their condition or cover.
 */
import type { Intent, Transaction } from '../../src/intent/intent.ts';
import type { PolicyRequest } from '../../src/policy/decision.ts';

// Documents here were compiled before, so their shape is known.
// oxlint-disable-next-line typescript/no-explicit-any
type Json = any;

export interface Verdict {
  readonly effect: 'allow' | 'deny';
  readonly rule: string | undefined;
  readonly failed: readonly string[];
}

export function decideByReference(document: Json, request: PolicyRequest): Verdict {
  const applies = (rule: Json): boolean =>
    rule.operations.includes(request.intent.operation) &&
    (!rule.principals || namesPrincipal(rule.principals, request)) &&
    (!rule.keys || namesKey(document, rule.keys, request));
  const holds = (rule: Json): boolean => !rule.when || evaluate(document, rule.when, request.intent);
  const rules = document.rules.filter(applies);
  const deny = rules.find((rule: Json) => rule.effect === 'deny' && holds(rule));
  if (deny) return { effect: 'deny', rule: deny.id, failed: [] };
  const allows = rules.filter((rule: Json) => rule.effect === 'allow');
  const allow = allows.find((rule: Json) => holds(rule) && covers(rule, request.intent));
  if (allow) return { effect: 'allow', rule: allow.id, failed: [] };
  return { effect: 'deny', rule: undefined, failed: allows.slice(0, 5).map((rule: Json) => rule.id) };
}

function namesPrincipal({ roles = [], ids = [] }: Json, { principal }: PolicyRequest): boolean {
  return ids.includes(principal.id) || principal.roles.some((role) => roles.includes(role));
}

function namesKey(
  document: Json,
  { names = [], tags = [], groups = [] }: Json,
  request: PolicyRequest,
): boolean {
  const { key } = request;
  if (names.includes('*') || names.includes(key.name) || key.tags.some((tag) => tags.includes(tag)))
    return true;
  return groups.some((group: string) => namesKey(document, document.keyGroups[group], request));
}

function evaluate(document: Json, condition: Json, intent: Intent): boolean {
  const [[name, body]] = Object.entries<Json>(condition) as [[string, Json]];
  if (name === 'all') return body.every((branch: Json) => evaluate(document, branch, intent));
  if (name === 'any') return body.some((branch: Json) => evaluate(document, branch, intent));
  if (name === 'not') return !evaluate(document, body, intent);
  const transaction = intent.operation === 'transaction' ? intent.transaction : undefined;
  if (name === 'to') return transaction !== undefined && testsRecipient(document, body, transaction.to);
  if (name === 'digest')
    return intent.operation === 'digest' && compare(document, body.purpose, intent.purpose);
  if (name === 'accessList') return lengthOf(transaction, 'accessList') <= Number(body.max);
  if (name === 'blobs') return lengthOf(transaction, 'blobVersionedHashes') <= Number(body.max);
  if (name === 'authorizations') {
    const list: Json[] =
      intent.operation === 'authorization' ? [intent] : ((transaction as Json)?.authorizationList ?? []);
    if (body.max !== undefined && list.length > Number(body.max)) return false;
    return list.every((item) =>
      Object.entries<Json>(body.every ?? {}).every(([field, cmp]) => compare(document, cmp, item[field])),
    );
  }
  const value = numberOf(name, intent);
  return value !== undefined && compare(document, body, value);
}

function testsRecipient(document: Json, { create, ...cmp }: Json, to: string | null): boolean {
  if (create !== undefined && create !== (to === null)) return false;
  return Object.keys(cmp).length === 0 || (to !== null && compare(document, cmp, to));
}

function lengthOf(transaction: Transaction | undefined, list: string): number {
  return (transaction as Json)?.[list]?.length ?? 0;
}

function numberOf(name: string, intent: Intent): bigint | undefined {
  if (intent.operation === 'authorization')
    return name === 'chainId' || name === 'nonce' ? intent[name] : undefined;
  if (intent.operation !== 'transaction') return undefined;
  const transaction: Json = intent.transaction;
  if (name === 'txType') return BigInt(transaction.type);
  if (name !== 'maxTotalFee') return transaction[name];
  const blobs = BigInt(transaction.blobVersionedHashes?.length ?? 0);
  const price: bigint = transaction.gasPrice ?? transaction.maxFeePerGas;
  const gas = BigInt(transaction.gasLimit) * price;
  return gas + 131072n * blobs * (transaction.maxFeePerBlobGas ?? 0n);
}

function compare(document: Json, cmp: Json, value: bigint | string): boolean {
  return Object.entries<Json>(cmp).every(([operator, operand]) => {
    const read = (item: Json): bigint | string => (typeof value === 'bigint' ? amount(item) : fold(item));
    if (operator === 'in' || operator === 'notIn') {
      const items = typeof operand === 'string' ? document.lists[operand.slice(1)] : operand;
      return items.some((item: Json) => read(item) === value) === (operator === 'in');
    }
    const bound = read(operand);
    if (operator === 'eq') return value === bound;
    if (operator === 'lt') return value < bound;
    if (operator === 'lte') return value <= bound;
    if (operator === 'gt') return value > bound;
    if (operator === 'gte') return value >= bound;
    return (value as string).startsWith(bound as string);
  });
}

function fold(text: string): string {
  return text.startsWith('0x') ? text.toLowerCase() : text;
}

function amount(item: string | number): bigint {
  const [digits = '', unit = 'wei'] = String(item).split(' ');
  const [whole = '', fraction = ''] = digits.split('.');
  const decimals =
    new Map([
      ['wei', 0],
      ['gwei', 9],
      ['ether', 18],
    ]).get(unit) ?? Number.NaN;
  return BigInt(whole) * 10n ** BigInt(decimals) + BigInt(fraction.padEnd(decimals, '0') || '0');
}

function covers(rule: Json, intent: Intent): boolean {
  if (intent.operation !== 'transaction') return true;
  const { transaction } = intent;
  const bound = (test: (name: string, body: Json) => boolean): boolean =>
    pathsOf(rule.when).every((path) =>
      path.some((predicate) => Object.entries(predicate).some(([n, b]) => test(n, b))),
    );
  if (transaction.to === null ? !bound((n, b) => n === 'to' && b.create === true) : transaction.data !== '0x')
    return false;
  if (transaction.type === 3) return bound((n) => n === 'blobs');
  if (transaction.type !== 4) return true;
  const listed = (cmp: Json): boolean => cmp?.eq !== undefined || cmp?.in !== undefined;
  return (
    bound((n, b) => n === 'authorizations' && b.max !== undefined) &&
    bound((n, b) => n === 'authorizations' && listed(b.every?.chainId))
  );
}

/** Every way to satisfy a condition, each as the predicates that then hold for certain. */
export function pathsOf(condition: Json): Json[][] {
  if (condition.any) return condition.any.flatMap(pathsOf);
  if (condition.not) return [[]];
  if (!condition.all) return [[condition]];
  return condition.all
    .map(pathsOf)
    .reduce(
      (paths: Json[][], next: Json[][]) => paths.flatMap((path) => next.map((more) => path.concat(more))),
      [[]],
    );
}
