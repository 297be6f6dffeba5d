import type { Role } from '../access/roles.ts';
import type { Hex } from '../bytes.ts';
import type { AbiFunction } from '../effects/abi.ts';
import type { TokenAction } from '../effects/effect.ts';
import { OPERATIONS } from '../intent/intent.ts';
import type { Path } from './read.ts';

/** Compared as counts and identifiers; written as integers. */
export const INTEGER_FIELDS = ['chainId', 'txType', 'nonce', 'gasLimit'] as const;

/** Compared in wei (fees per gas: wei per gas); written as amounts. */
export const AMOUNT_FIELDS = [
  'value',
  'gasPrice',
  'maxFeePerGas',
  'maxPriorityFeePerGas',
  'maxFeePerBlobGas',
  'maxTotalFee',
] as const;

export type NumberField = (typeof INTEGER_FIELDS)[number] | (typeof AMOUNT_FIELDS)[number];

/** Comparisons that must all hold. */
export interface NumberTest {
  readonly eq?: bigint;
  readonly lt?: bigint;
  readonly lte?: bigint;
  readonly gt?: bigint;
  readonly gte?: bigint;
  readonly in?: ReadonlySet<bigint>;
  readonly notIn?: ReadonlySet<bigint>;
  /** Milliseconds: the number is a time in seconds since 1970, from now to this much later. */
  readonly within?: number;
}

/** Lower-case addresses; `eq` is an `in` of one. */
export interface AddressTest {
  readonly in?: ReadonlySet<Hex>;
  readonly notIn?: ReadonlySet<Hex>;
  /** Whether it is the address of the key version that is to sign. */
  readonly isSigner?: boolean;
}

/** Of text, or of bytes as lower-case hex. `eq` is an `in` of one. `len` counts UTF-16 units, of bytes the bytes. */
export interface TextTest {
  readonly in?: ReadonlySet<string>;
  readonly notIn?: ReadonlySet<string>;
  readonly prefix?: string;
  readonly len?: NumberTest;
}

/** `eq` is an `in` of one. */
export interface PurposeTest {
  readonly in?: ReadonlySet<string>;
  readonly prefix?: string;
}

/** A test of one value whose type is known from an ABI or from EIP-712 types. */
export type ValueTest =
  | { readonly kind: 'number'; readonly test: NumberTest }
  | { readonly kind: 'address'; readonly test: AddressTest }
  | { readonly kind: 'text' | 'bytes'; readonly test: TextTest }
  | { readonly kind: 'bool'; readonly eq: boolean }
  | {
      readonly kind: 'list';
      readonly len?: NumberTest;
      /** Hold for each item, or for one at least; steps lead from the item. */
      readonly every?: readonly MemberTest[];
      readonly some?: readonly MemberTest[];
    };

/** A value inside arguments or a message, and its test. */
export interface MemberTest {
  /** As written: `order.amount`; the empty string for the value itself. */
  readonly name: string;
  /** Positions (ABI) or member names (EIP-712) from the root. */
  readonly steps: readonly (number | string)[];
  readonly test: ValueTest;
}

export interface Token {
  readonly name: string;
  readonly chain: bigint;
  /** Lower-case. */
  readonly address: Hex;
  readonly standard: 'erc20' | 'erc721' | 'erc1155';
  /** 0 unless it is an ERC-20. */
  readonly decimals: number;
}

/** An EIP-712 domain's members; each must be there and pass. */
export interface DomainTest {
  readonly name?: TextTest;
  readonly version?: TextTest;
  readonly chainId?: NumberTest;
  readonly verifyingContract?: AddressTest;
  readonly salt?: TextTest;
}

export interface SiweTest {
  readonly domain?: TextTest;
  readonly uri?: TextTest;
  readonly chainId?: NumberTest;
  /** Milliseconds: it says when it expires, and that is from now to this much later. */
  readonly expiresWithin?: number;
}

export type Predicate =
  | { readonly kind: 'number'; readonly path: Path; readonly field: NumberField; readonly test: NumberTest }
  | {
      readonly kind: 'to';
      readonly path: Path;
      readonly test: AddressTest;
      /** true: the transaction creates a contract; false: it does not. */
      readonly create?: boolean;
    }
  | { readonly kind: 'accessList'; readonly path: Path; readonly max: number }
  | { readonly kind: 'blobs'; readonly path: Path; readonly max: number }
  | { readonly kind: 'create'; readonly path: Path; readonly initcodeHash: TextTest }
  | {
      readonly kind: 'authorizations';
      readonly path: Path;
      readonly max?: number;
      readonly address?: AddressTest;
      readonly chainId?: NumberTest;
    }
  | {
      readonly kind: 'call';
      readonly path: Path;
      readonly to?: AddressTest;
      /** Whether it is a delegatecall; without it, either. */
      readonly delegate?: boolean;
      readonly fn: AbiFunction;
      readonly args: readonly MemberTest[];
    }
  | {
      readonly kind: 'token';
      readonly path: Path;
      readonly token: Token;
      readonly actions: ReadonlySet<TokenAction>;
      readonly from?: AddressTest;
      readonly to?: AddressTest;
      readonly spender?: AddressTest;
      /** Base units. */
      readonly amount?: NumberTest;
      readonly tokenId?: NumberTest;
    }
  | {
      readonly kind: 'typed';
      readonly path: Path;
      readonly domain: DomainTest;
      /** EIP-712 `encodeType` of the primary type, in full. */
      readonly type?: string;
      /** Needs `type`. */
      readonly message: readonly MemberTest[];
    }
  /** Exactly one of the three. */
  | {
      readonly kind: 'message';
      readonly path: Path;
      /** RE2 syntax; the whole text must match. */
      readonly re2?: string;
      readonly siwe?: SiweTest;
      /** In bytes. */
      readonly len?: NumberTest;
    }
  | { readonly kind: 'digest'; readonly path: Path; readonly purpose: PurposeTest };

export type Condition =
  | { readonly kind: 'all'; readonly path: Path; readonly of: readonly Condition[] }
  | { readonly kind: 'any'; readonly path: Path; readonly of: readonly Condition[] }
  | { readonly kind: 'not'; readonly path: Path; readonly of: Condition }
  | Predicate;

export interface PrincipalSelector {
  readonly roles: ReadonlySet<string>;
  readonly ids: ReadonlySet<string>;
}

/** Groups are resolved to the names and tags they stand for. */
export interface KeySelector {
  readonly every: boolean;
  readonly names: ReadonlySet<string>;
  readonly tags: ReadonlySet<string>;
}

export interface SourceTest {
  /** Networks, one of which has the caller's address. */
  readonly cidr?: readonly string[];
  /** Whether the caller proved itself with a client certificate. */
  readonly mtls?: boolean;
}

export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Day = (typeof DAYS)[number];

/** Wall-clock time of a time zone, `from` inclusive, `to` exclusive; where `to` is not later, it is of the next day. */
export interface TimeWindow {
  /** IANA name. */
  readonly tz: string;
  /** The days on which the window begins. */
  readonly days: ReadonlySet<Day>;
  /** Minutes from midnight. */
  readonly from: number;
  readonly to: number;
}

/** Beside the sign operations. A wildcard matches none of them, and `digest` neither: each is named. */
export const POLICY_OPERATIONS = [...OPERATIONS, 'key.export'] as const;
export type PolicyOperation = (typeof POLICY_OPERATIONS)[number];

/** A rule that was read and checked; what is absent does not restrict. */
export interface Rule {
  readonly id: string;
  readonly effect: 'allow' | 'deny' | 'require';
  /** Of a deny rule: break-glass does not override it. */
  readonly hard: boolean;
  /** Decides nothing; what it would have done is logged. */
  readonly shadow: boolean;
  /** Of an allow rule: applies to a superseded key version too. */
  readonly draining: boolean;
  readonly principals?: PrincipalSelector;
  readonly source?: SourceTest;
  readonly keys?: KeySelector;
  readonly operations: ReadonlySet<PolicyOperation>;
  readonly when?: Condition;
  /** Milliseconds since 1970; from inclusive, until exclusive. */
  readonly validity?: { readonly from?: number; readonly until?: number };
  /** One is enough. */
  readonly windows?: readonly TimeWindow[];
  /** Of a require rule, and of no other: the name of the approval. */
  readonly approval?: string;
}

/** Who has to consent. */
export interface Approval {
  readonly name: string;
  /** Each has to be met by `m` different principals. */
  readonly all: readonly { readonly role: Role; readonly m: number }[];
  /** One principal counts for one of `all` only. */
  readonly distinct: boolean;
  readonly excludeRequester: boolean;
  /** Milliseconds. */
  readonly ttl: number;
  /** This many rejections end the request. */
  readonly rejects: number;
  /** How an approver has to prove itself, beyond its credential. */
  readonly credential?: 'otp' | 'mtls';
}

export type Meter =
  | { readonly kind: 'value' | 'maxTotalFee' | 'count' }
  | { readonly kind: 'token'; readonly token: Token; readonly include: ReadonlySet<TokenAction> };

export const LIMIT_SCOPES = ['key', 'keyGroup', 'principal', 'chain'] as const;
export type LimitScope = (typeof LIMIT_SCOPES)[number];

export interface Limit {
  readonly name: string;
  readonly meter: Meter;
  /** Empty: one window for everything. */
  readonly per: readonly LimitScope[];
  /** Milliseconds; `rolling` is a multiple of `bucket`. */
  readonly window: { readonly rolling: number; readonly bucket: number };
  readonly max: bigint;
  readonly onExceed: 'deny' | { readonly approval: string };
}

/** Who may ask that a denial be overridden, on which keys, and who has to consent each time. */
export interface BreakGlass {
  readonly approval: string;
  readonly principals: PrincipalSelector;
  readonly keys: KeySelector;
  readonly operations: ReadonlySet<Exclude<PolicyOperation, 'digest' | 'key.export'>>;
}

/** A whole document, read and checked. */
export interface PolicyModel {
  readonly tokens: ReadonlyMap<string, Token>;
  readonly keyGroups: ReadonlyMap<string, KeySelector>;
  readonly approvals: ReadonlyMap<string, Approval>;
  readonly limits: readonly Limit[];
  readonly rules: readonly Rule[];
  readonly breakGlass?: BreakGlass;
  /** How the document itself is changed: by which approval. Absent: one other policy-admin. */
  readonly change?: { readonly approval: string };
  /** The hash of the document that this one follows, where it says so. */
  readonly parent?: string;
}

/** What is wrong with a rule that reads well. */
export interface Fault {
  readonly path: Path;
  readonly message: string;
}
