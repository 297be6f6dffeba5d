import type { JsonValue } from '../jcs.ts';
import { parseInteger, UNITS } from './amount.ts';
import { readCount, readOneAddress } from './comparison.ts';
import type { Token } from './model.ts';
import { readChoice, readMapping, readNamed, type Path, type Problems } from './read.ts';

const STANDARDS = ['erc20', 'erc721', 'erc1155'] as const;

/** More than any token in use has; a uint256 still holds 10^41 of its whole units. */
const MAX_DECIMALS = 36;

/** `tokens`: by name, `{ chain, address, standard, decimals }`. */
export function readTokens(value: JsonValue | undefined, problems: Problems): ReadonlyMap<string, Token> {
  const tokens = new Map<string, Token>();
  const contracts = new Map<string, string>();
  for (const [name, item] of readNamed(value, ['tokens'], problems)) {
    const path = ['tokens', name];
    if (UNITS.includes(name)) {
      problems.add(
        path,
        'is the name of a unit of wei, so amounts would have two meanings; rename it',
        'key',
      );
    }
    const token = readToken(name, item, path, problems);
    if (token === undefined) continue;
    const contract = `${token.chain} ${token.address}`;
    const other = contracts.get(contract);
    if (other !== undefined) {
      problems.add(
        path,
        `is the contract that "${other}" is: its limits would count in two places; remove one`,
      );
    }
    contracts.set(contract, name);
    tokens.set(name, token);
  }
  return tokens;
}

function readToken(name: string, value: JsonValue, path: Path, problems: Problems): Token | undefined {
  const members = readMapping(value, path, problems, ['chain', 'address', 'standard', 'decimals']);
  if (members === undefined) return undefined;
  const chain = readChain(members.get('chain'), [...path, 'chain'], problems);
  const address = readOneAddress(members.get('address'), [...path, 'address'], problems);
  const standard = readChoice(members.get('standard'), [...path, 'standard'], problems, STANDARDS);
  const decimalsPath = [...path, 'decimals'];
  let decimals: number | undefined = 0;
  if (standard === 'erc20') {
    decimals = readCount(members.get('decimals'), decimalsPath, problems, { max: MAX_DECIMALS });
  } else if (standard !== undefined && members.has('decimals')) {
    problems.add(decimalsPath, `an ${standard} has none; remove it`, 'key');
  }
  if (chain === undefined || address === undefined || standard === undefined || decimals === undefined) {
    return undefined;
  }
  return { name, chain, address, standard, decimals };
}

function readChain(value: JsonValue | undefined, path: Path, problems: Problems): bigint | undefined {
  const parsed = value === undefined ? undefined : parseInteger(value);
  if (parsed !== undefined && 'value' in parsed && parsed.value > 0n) return parsed.value;
  problems.add(path, 'must be the id of one chain, a whole number from 1');
  return undefined;
}
