import type { JsonValue } from '../jcs.ts';
import { parseInteger, parseWithin } from './amount.ts';
import { bytesForm, readAddressTest, readNumberTest, readTextTest, textForm } from './comparison.ts';
import type { ListContext } from './context.ts';
import type { MemberTest, ValueTest } from './model.ts';
import { listNames, quote, readBoolean, readEntries, readMapping, type Path } from './read.ts';
import type { Member, RecordShape, Shape } from './shape.ts';

/** What can be tested, with the steps that lead there. */
interface Place {
  readonly steps: readonly (number | string)[];
  readonly shape: Exclude<Shape, RecordShape>;
}

/** `{ path: Cmp }`: tests of values inside arguments, a message or one item of a list. */
export function readMembers(
  value: JsonValue | undefined,
  path: Path,
  shape: RecordShape,
  context: ListContext,
): MemberTest[] {
  const entries = readEntries(value, path, context.problems) ?? [];
  if (entries.length === 0) context.problems.add(path, 'restricts nothing; write { name: { eq: … } }');
  const tests: MemberTest[] = [];
  const names = new Map<string, string>();
  for (const [name, comparison] of entries) {
    const memberPath = [...path, name];
    const place = find(name, memberPath, shape, context);
    if (place === undefined) continue;
    const position = place.steps.join('.');
    const earlier = names.get(position);
    if (earlier !== undefined) {
      context.problems.add(memberPath, `is what ${quote(earlier)} is; write their comparisons as one`, 'key');
    }
    names.set(position, name);
    const test = readValueTest(comparison, memberPath, place.shape, context);
    if (test !== undefined) tests.push({ name, steps: place.steps, test });
  }
  return tests;
}

/** Follows a dotted path, such as `order.amount` or `0.1`, to what can be compared. */
function find(name: string, path: Path, root: RecordShape, { problems }: ListContext): Place | undefined {
  const steps: (number | string)[] = [];
  const passed: string[] = [];
  let shape: Shape = root;
  for (const segment of name.split('.')) {
    const here = passed.join('.');
    if (shape.kind === 'list') {
      const message = `leads through a list; write ${here}: { every: { … } }, or in a deny or require rule some`;
      problems.add(path, message, 'key');
      return undefined;
    }
    if (shape.kind !== 'record') {
      problems.add(path, `goes on after ${here}, which has no members; write ${here}`, 'key');
      return undefined;
    }
    const members = shape.members();
    const member = members.find((one) => one.name === segment || String(one.step) === segment);
    if (member === undefined) {
      problems.add(path, `there is no ${quote(segment)} here: ${listMembers(members, passed)}`, 'key');
      return undefined;
    }
    steps.push(member.step);
    passed.push(segment);
    ({ shape } = member);
  }
  if (shape.kind !== 'record') return { steps, shape };
  problems.add(path, `has members of its own; write one: ${listMembers(shape.members(), passed)}`, 'key');
  return undefined;
}

function listMembers(members: readonly Member[], passed: readonly string[]): string {
  return listNames(members.map(({ name, step }) => [...passed, name === '' ? step : name].join('.')));
}

function readValueTest(
  value: JsonValue | undefined,
  path: Path,
  shape: Exclude<Shape, RecordShape>,
  context: ListContext,
): ValueTest | undefined {
  const { problems } = context;
  switch (shape.kind) {
    case 'number': {
      const { type, min, max } = shape;
      const parse = (item: JsonValue) => parseWithin(item, type, min, max);
      return { kind: 'number', test: readNumberTest(value, path, problems, parse, true) };
    }
    case 'address':
      return { kind: 'address', test: readAddressTest(value, path, context) };
    case 'text':
      return { kind: 'text', test: readTextTest(value, path, problems, textForm(problems)) };
    case 'bytes':
      return { kind: 'bytes', test: readTextTest(value, path, problems, bytesForm(problems, shape.size)) };
    case 'bool': {
      const members = readMapping(value, path, problems, ['eq']);
      const eq = members && readBoolean(members.get('eq'), [...path, 'eq'], problems);
      return eq === undefined ? undefined : { kind: 'bool', eq };
    }
    case 'list':
    default:
      return readListTest(value, path, shape.of, context);
  }
}

/** `{ len: { lte: 3 }, every: …, some: … }`, all of them required to hold. */
function readListTest(
  value: JsonValue | undefined,
  path: Path,
  item: Shape,
  context: ListContext,
): ValueTest | undefined {
  const members = readMapping(value, path, context.problems, ['len', 'every', 'some']);
  if (members === undefined) return undefined;
  if (members.size === 0) context.problems.add(path, 'compares with nothing; write { every: { … } }');
  const len = members.get('len');
  const every = members.get('every');
  const some = members.get('some');
  return {
    kind: 'list',
    ...(len === undefined
      ? {}
      : { len: readNumberTest(len, [...path, 'len'], context.problems, parseInteger) }),
    ...(every === undefined ? {} : { every: readItems(every, [...path, 'every'], item, context) }),
    ...(some === undefined ? {} : { some: readItems(some, [...path, 'some'], item, context) }),
  };
}

function readItems(value: JsonValue, path: Path, item: Shape, context: ListContext): readonly MemberTest[] {
  if (item.kind === 'record') return readMembers(value, path, item, context);
  const test = readValueTest(value, path, item, context);
  return test === undefined ? [] : [{ name: '', steps: [], test }];
}
