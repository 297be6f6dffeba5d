import type { JsonValue } from '../jcs.ts';
import { parseInteger } from './amount.ts';
import { bytesForm, readAddressTest, readNumberTest, readTextTest, textForm } from './comparison.ts';
import type { Context } from './context.ts';
import { readMembers } from './members.ts';
import type { DomainTest, MemberTest, Predicate, SiweTest } from './model.ts';
import { readDuration } from './moment.ts';
import { compilePattern } from './pattern.ts';
import { isList, readMapping, readText, type Path } from './read.ts';
import { shapeOfStruct } from './shape.ts';
import { parseEncodeType } from './struct-text.ts';

/** `typed: { domain?, type?, message? }`. */
export function readTyped(value: JsonValue, path: Path, context: Context): Predicate | undefined {
  const { problems } = context;
  const members = readMapping(value, path, problems, ['domain', 'type', 'message']);
  if (members === undefined) return undefined;
  if (members.size === 0) problems.add(path, 'restricts nothing; write { domain: { … }, type: "…" }');
  const domain = members.has('domain') ? readDomain(members.get('domain'), [...path, 'domain'], context) : {};
  const typePath = [...path, 'type'];
  const messagePath = [...path, 'message'];
  const message = members.get('message');
  const type = members.has('type') ? readText(members.get('type'), typePath, problems, /^/, '') : undefined;
  if (type === undefined) {
    if (message !== undefined && !members.has('type')) {
      problems.add(
        messagePath,
        'needs `type`, which says what its members are; write the full encodeType',
        'key',
      );
    }
    return { kind: 'typed', path, domain, message: [] };
  }
  context.quota.spend('characters of EIP-712 types', typePath, type.length);
  const parsed = parseEncodeType(type);
  if ('problem' in parsed) problems.add(typePath, parsed.problem);
  let tests: readonly MemberTest[] = [];
  if (message !== undefined && !('problem' in parsed)) {
    tests = readMembers(message, messagePath, shapeOfStruct(parsed.structs, parsed.primary), context);
  }
  return { kind: 'typed', path, domain, type, message: tests };
}

const DOMAIN = ['name', 'version', 'chainId', 'verifyingContract', 'salt'];

function readDomain(value: JsonValue | undefined, path: Path, context: Context): DomainTest {
  const { problems } = context;
  const members = readMapping(value, path, problems, DOMAIN);
  if (members?.size === 0) problems.add(path, 'restricts nothing; write { name: "…", chainId: 1 }');
  const domain: { -readonly [K in keyof DomainTest]: DomainTest[K] } = {};
  for (const [name, member] of members ?? []) {
    const test = asTest(member);
    const memberPath = [...path, name];
    if (name === 'name' || name === 'version')
      domain[name] = readTextTest(test, memberPath, problems, textForm(problems));
    else if (name === 'chainId') domain.chainId = readNumberTest(test, memberPath, problems, parseInteger);
    else if (name === 'salt') domain.salt = readTextTest(test, memberPath, problems, bytesForm(problems, 32));
    else domain.verifyingContract = readAddressTest(test, memberPath, context);
  }
  return domain;
}

/** A bare value is to be equal. */
function asTest(value: JsonValue): JsonValue {
  return typeof value === 'object' && value !== null && !isList(value) ? value : { eq: value };
}

/** Stands for so many characters of patterns that compile. */
const MISTAKEN_PATTERN = 1_024;

/** `message: { re2 }`, `message: { siwe: { … } }` or `message: { len: { … } }`. */
export function readMessage(value: JsonValue, path: Path, context: Context): Predicate | undefined {
  const { problems, quota } = context;
  const members = readMapping(value, path, problems, ['re2', 'siwe', 'len']);
  if (members === undefined) return undefined;
  if (members.size !== 1) {
    problems.add(
      path,
      'must have one of the three, re2, siwe or len; for more, write { all: [{ message: … }, …] }',
    );
  }
  const siwe = members.get('siwe');
  if (siwe !== undefined) return { kind: 'message', path, siwe: readSiwe(siwe, [...path, 'siwe'], context) };
  if (members.has('len')) {
    const len = readNumberTest(members.get('len'), [...path, 'len'], problems, parseInteger);
    return { kind: 'message', path, len };
  }
  const re2Path = [...path, 're2'];
  const re2 = members.has('re2') ? readText(members.get('re2'), re2Path, problems, /^/, '') : undefined;
  if (re2 === undefined) return undefined;
  quota.spend('characters of patterns (re2)', re2Path, re2.length);
  const compiled = compilePattern(re2);
  if ('problem' in compiled) {
    problems.add(re2Path, compiled.problem);
    // It can take a hundred times as long as what compiles.
    quota.spend('characters of patterns (re2)', re2Path, MISTAKEN_PATTERN);
  }
  return { kind: 'message', path, re2 };
}

function readSiwe(value: JsonValue, path: Path, { problems }: Context): SiweTest {
  const members = readMapping(value, path, problems, ['domain', 'uri', 'chainId', 'expiresWithin']);
  if (members?.size === 0) problems.add(path, 'restricts nothing; write { domain: { eq: "app.example" } }');
  const siwe: { -readonly [K in keyof SiweTest]: SiweTest[K] } = {};
  for (const [name, member] of members ?? []) {
    const memberPath = [...path, name];
    if (name === 'domain' || name === 'uri')
      siwe[name] = readTextTest(member, memberPath, problems, textForm(problems));
    else if (name === 'chainId') siwe.chainId = readNumberTest(member, memberPath, problems, parseInteger);
    else {
      const duration = readDuration(member, memberPath, problems);
      if (duration !== undefined) siwe.expiresWithin = duration;
    }
  }
  return siwe;
}
