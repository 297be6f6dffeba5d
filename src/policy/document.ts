import type { Hex } from '../bytes.ts';
import type { JsonValue } from '../jcs.ts';
import { readAbis } from './abis.ts';
import { readApprovals, readStrictApprovalName } from './approvals.ts';
import { readOneAddress } from './comparison.ts';
import type { Lists } from './context.ts';
import { readLimits } from './limits.ts';
import { POLICY_OPERATIONS, type BreakGlass, type PolicyModel } from './model.ts';
import { createQuota } from './quota.ts';
import { readList, readMapping, readNamed, readText, type Path, type Problems } from './read.ts';
import { readOperation, readRules, type RuleContext } from './rules.ts';
import { readKeyGroups, readKeys, readPrincipals } from './selectors.ts';
import { readTokens } from './tokens.ts';

export const API_VERSION = 'countersign/policy/v1';

interface Named<T> {
  readonly [name: string]: T;
}

/** The JSON form of a policy, as it was written: what is hashed, compared and stored. */
export interface PolicyDocument {
  readonly apiVersion: typeof API_VERSION;
  readonly revision: number;
  /** Hash of the document that this one follows. */
  readonly parent?: string;
  readonly lists?: Named<readonly string[]>;
  readonly tokens?: Named<JsonValue>;
  readonly abis?: Named<readonly JsonValue[]>;
  readonly keyGroups?: Named<{ readonly names?: readonly string[]; readonly tags?: readonly string[] }>;
  readonly approvals?: Named<JsonValue>;
  readonly limits?: Named<JsonValue>;
  readonly rules: readonly RuleDocument[];
  readonly breakGlass?: JsonValue;
  readonly change?: { readonly approval: string };
}

export interface RuleDocument {
  readonly id: string;
  readonly effect: 'allow' | 'deny' | 'require';
  readonly hard?: boolean;
  readonly mode?: 'enforce' | 'shadow';
  readonly principals?: { readonly roles?: readonly string[]; readonly ids?: readonly string[] };
  readonly source?: { readonly cidr?: readonly string[]; readonly mtls?: boolean };
  readonly keys?: {
    readonly groups?: readonly string[];
    readonly names?: readonly string[];
    readonly tags?: readonly string[];
  };
  readonly draining?: boolean;
  readonly operations: readonly string[];
  readonly when?: JsonValue;
  readonly validity?: { readonly from?: string; readonly until?: string };
  readonly windows?: readonly JsonValue[];
  readonly approval?: string;
}

const DOCUMENT = [
  'apiVersion',
  'revision',
  'parent',
  'lists',
  'tokens',
  'abis',
  'keyGroups',
  'approvals',
  'limits',
  'rules',
  'breakGlass',
  'change',
];

const HASH = /^[0-9a-f]{64}$/;

const NOTHING: PolicyModel = {
  tokens: new Map(),
  keyGroups: new Map(),
  approvals: new Map(),
  limits: [],
  rules: [],
};

/** Reads and checks a whole document; every mistake lands in `problems`, and then the model is not whole. */
export function readDocument(value: JsonValue, problems: Problems): PolicyModel {
  const members = readMapping(value, [], problems, DOCUMENT);
  if (members === undefined) return NOTHING;
  if (members.get('apiVersion') !== API_VERSION) {
    problems.add(['apiVersion'], `must be ${API_VERSION}; another version has another meaning`);
  }
  const revision = members.get('revision');
  if (typeof revision !== 'number' || !Number.isSafeInteger(revision) || revision < 1) {
    problems.add(['revision'], 'must be a whole number from 1, without quotes');
  }
  const parent = members.has('parent')
    ? readText(
        members.get('parent'),
        ['parent'],
        problems,
        HASH,
        'write the 64 lower-case hex digits of a hash',
      )
    : undefined;
  const quota = createQuota(problems);
  const context = {
    problems,
    quota,
    lists: readLists(members.get('lists'), problems),
    tokens: readTokens(members.get('tokens'), problems),
    abis: readAbis(members.get('abis'), problems, quota),
    keyGroups: readKeyGroups(members.get('keyGroups'), problems),
    approvals: readApprovals(members.get('approvals'), problems),
  };
  const breakGlass = members.has('breakGlass')
    ? readBreakGlass(members.get('breakGlass'), ['breakGlass'], context)
    : undefined;
  const change = members.has('change') ? readChange(members.get('change'), ['change'], context) : undefined;
  return {
    tokens: context.tokens,
    keyGroups: context.keyGroups,
    approvals: context.approvals,
    limits: readLimits(members.get('limits'), context),
    rules: readRules(members.get('rules'), context),
    ...(breakGlass === undefined ? {} : { breakGlass }),
    ...(change === undefined ? {} : { change }),
    ...(parent === undefined ? {} : { parent }),
  };
}

function readLists(value: JsonValue | undefined, problems: Problems): Lists {
  const lists = new Map<string, ReadonlySet<Hex>>();
  for (const [name, items] of readNamed(value, ['lists'], problems)) {
    const read = readList(items, ['lists', name], problems, (item, path) =>
      readOneAddress(item, path, problems),
    );
    lists.set(name, read);
  }
  return lists;
}

const BREAKABLE = POLICY_OPERATIONS.filter((name) => name !== 'digest' && name !== 'key.export');

/** `breakGlass: { approval, principals, keys, operations }`. */
function readBreakGlass(
  value: JsonValue | undefined,
  path: Path,
  context: RuleContext,
): BreakGlass | undefined {
  const { problems, approvals } = context;
  const members = readMapping(value, path, problems, ['approval', 'principals', 'keys', 'operations']);
  if (members === undefined) return undefined;
  const approvalPath = [...path, 'approval'];
  const approval = readStrictApprovalName(members.get('approval'), approvalPath, problems, approvals);
  const principals = readPrincipals(members.get('principals'), [...path, 'principals'], problems);
  const keys = readKeys(members.get('keys'), [...path, 'keys'], context);
  const operations = readList(members.get('operations'), [...path, 'operations'], problems, (item, to) =>
    readOperation(item, to, problems, BREAKABLE),
  );
  return approval && { approval: approval.name, principals, keys, operations };
}

/** `change: { approval }`. */
function readChange(
  value: JsonValue | undefined,
  path: Path,
  { problems, approvals }: RuleContext,
): { readonly approval: string } | undefined {
  const members = readMapping(value, path, problems, ['approval']);
  if (members === undefined) return undefined;
  const approval = readStrictApprovalName(
    members.get('approval'),
    [...path, 'approval'],
    problems,
    approvals,
  );
  return approval && { approval: approval.name };
}
