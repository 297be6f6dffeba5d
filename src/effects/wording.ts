import type { Hex } from '../bytes.ts';
import { toChecksumAddress } from '../intent/fields.ts';
import { UNLIMITED, type TokenAction, type TokenEffect } from './effect.ts';

/** A token that is known by a name; `address` is lower-case, `decimals` 0 unless it is an ERC-20. */
export interface NamedToken {
  readonly name: string;
  readonly chain: bigint;
  readonly address: Hex;
  readonly standard: 'erc20' | 'erc721' | 'erc1155';
  readonly decimals: number;
}

/** What cannot be seen, what turns the direction of text, and every white space but the plain one. */
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/gu;

/** Text of strangers in quotes on one line. Nothing is lost: what is escaped can be read back in one way only. */
export function quote(text: string): string {
  return JSON.stringify(text).replaceAll(
    HIDDEN,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** A whole number of the smallest unit as an exact decimal: `1500000`, 6 is `1.5`. */
export function formatUnits(amount: bigint, decimals: number): string {
  const digits = amount.toString().padStart(decimals + 1, '0');
  const point = digits.length - decimals;
  const whole = digits.slice(0, point);
  let end = digits.length;
  while (end > point && digits[end - 1] === '0') end -= 1;
  const fraction = digits.slice(point, end);
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

export function formatEther(wei: bigint): string {
  return `${formatUnits(wei, 18)} ether`;
}

export function plural(count: number | bigint, noun: string): string {
  return `${count} ${noun}${BigInt(count) === 1n ? '' : 's'}`;
}

/** The last second of the year 9999: RFC 3339 has no year after it. */
const LAST_TIME = 253_402_300_799n;

/** Of seconds since 1970. */
function formatTime(seconds: bigint): string {
  if (seconds > LAST_TIME) return `${seconds} seconds after 1970`;
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}Z`;
}

/** What a token effect does, as a sentence without a full stop. `token` is the effect's own, when it is known. */
export function describeToken(effect: TokenEffect, token: NamedToken | undefined): string {
  const { action, deadline } = effect;
  const sentence = SENTENCES[action]({
    what: describeAmount(effect, token),
    contract: contractOf(effect, token),
    owner: account(effect.from),
    to: account(effect.to),
    spender: account(effect.spender),
    revoked: effect.amount === 0n,
  });
  return deadline === undefined ? sentence : `${sentence}, until ${formatTime(deadline)}`;
}

interface Parts {
  /** How much of which token. */
  readonly what: string;
  readonly contract: string;
  readonly owner: string;
  readonly to: string;
  readonly spender: string;
  readonly revoked: boolean;
}

const transfer = ({ what, owner, to }: Parts) => `Transfer ${what} from ${owner} to ${to}`;

const SENTENCES: { readonly [action in TokenAction]: (parts: Parts) => string } = {
  transfer,
  transferFrom: transfer,
  approve: ({ what, owner, spender }) => `Let ${spender} spend up to ${what} from ${owner}`,
  increaseAllowance: ({ what, owner, spender }) =>
    `Let ${spender} spend more from ${owner} than before, by ${what}`,
  decreaseAllowance: ({ what, owner, spender }) =>
    `Let ${spender} spend less from ${owner} than before, by ${what}`,
  setApprovalForAll: ({ revoked, contract, owner, spender }) =>
    revoked
      ? `No longer let ${spender} take all that ${owner} has of ${contract}`
      : `Let ${spender} take all that ${owner} has or will have of ${contract}`,
  permit: ({ what, owner, spender }) => `Let ${spender}, by signature, spend up to ${what} from ${owner}`,
  transferWithAuthorization: ({ what, owner, to }) =>
    `Let anyone, by signature, transfer ${what} from ${owner} to ${to}`,
  receiveWithAuthorization: ({ what, owner, to }) => `Let ${to}, by signature, fetch ${what} from ${owner}`,
  cancelAuthorization: ({ contract, owner }) => `Cancel a signed authorization of ${owner} for ${contract}`,
};

function account(address: Hex | undefined): string {
  return address === undefined ? 'an unknown account' : toChecksumAddress(address);
}

function contractOf({ contract }: TokenEffect, token: NamedToken | undefined): string {
  return `${token?.name ?? 'token'} ${toChecksumAddress(contract)}`;
}

function describeAmount(effect: TokenEffect, token: NamedToken | undefined): string {
  const { amountOrId, tokenId, amount } = effect;
  const contract = contractOf(effect, token);
  if (tokenId !== undefined) {
    return amount === undefined
      ? `id ${tokenId} of ${contract}`
      : `${amount} of id ${tokenId} of ${contract}`;
  }
  if (amountOrId !== undefined && token?.standard !== 'erc20') {
    if (token !== undefined) return `id ${amountOrId} of ${contract}`;
    return amountOrId === UNLIMITED
      ? `UNLIMITED of ${contract}`
      : `${plural(amountOrId, 'base unit')} (or, if that is an NFT, id ${amountOrId}) of ${contract}`;
  }
  const units = amountOrId ?? amount;
  if (units === undefined) return `an unknown amount of ${contract}`;
  if (token?.standard !== 'erc20') {
    return units === UNLIMITED ? `UNLIMITED of ${contract}` : `${plural(units, 'base unit')} of ${contract}`;
  }
  const address = toChecksumAddress(effect.contract);
  return units === UNLIMITED
    ? `UNLIMITED ${token.name} of ${address}`
    : `${formatUnits(units, token.decimals)} ${token.name} (${plural(units, 'base unit')}) of ${address}`;
}
