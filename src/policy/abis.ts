import type { AbiField, AbiFunction, AbiType } from '../effects/abi.ts';
import { fromJsonAbi, parseFunction } from '../effects/abi-signature.ts';
import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import type { Quota } from './quota.ts';
import { isList, listNames, quote, readList, readNamed, type Path, type Problems } from './read.ts';

/** The functions that a document declares under one name; no two have one selector. */
export type Abi = readonly AbiFunction[];

const FUNCTION_HINT = 'write its signature as "transfer(address to, uint256 amount)", or its JSON ABI item';

/** `abis`: by name, a list of signatures in text and of JSON ABI items. */
export function readAbis(
  value: JsonValue | undefined,
  problems: Problems,
  quota: Quota,
): ReadonlyMap<string, Abi> {
  const abis = new Map<string, Abi>();
  for (const [name, items] of readNamed(value, ['abis'], problems)) {
    const bySelector = new Map<string, AbiFunction>();
    readList(items, ['abis', name], problems, (item, path) => {
      quota.spend('functions in abis', path);
      const fn = readFunction(item, path, problems);
      const other = fn && bySelector.get(fn.selector);
      if (fn !== undefined && other === undefined) bySelector.set(fn.selector, fn);
      if (fn === undefined || other === undefined) return fn;
      const message =
        other.signature === fn.signature
          ? `${fn.signature} is in this ABI twice; remove one`
          : `${fn.signature} and ${other.signature} have one selector, ${fn.selector}: calldata does not say which is called; put them into two ABIs`;
      problems.add(path, message);
      return undefined;
    });
    abis.set(name, [...bySelector.values()]);
  }
  return abis;
}

function readFunction(item: JsonValue, path: Path, problems: Problems): AbiFunction | undefined {
  if (typeof item !== 'string' && (typeof item !== 'object' || item === null || isList(item))) {
    problems.add(path, `is not a function; ${FUNCTION_HINT}`);
    return undefined;
  }
  try {
    return typeof item === 'string' ? parseFunction(item) : fromJsonAbi(item);
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    const inside = error.errors[0]?.path ?? '';
    const steps =
      inside === '' ? [] : inside.split('.').map((step) => (/^\d+$/.test(step) ? Number(step) : step));
    problems.add([...path, ...steps], error.errors[0]?.message ?? error.message);
    return undefined;
  }
}

/**
 * The function that `fn` of a call means: a name that only one function has, or a whole signature. Parameters that
 * the ABI does not name may be named there.
 */
export function findFunction(
  abi: Abi,
  fn: JsonValue | undefined,
  path: Path,
  problems: Problems,
): AbiFunction | undefined {
  if (typeof fn !== 'string') {
    problems.add(path, 'must be text: a name or a signature, as in "transfer(address,uint256)"');
    return undefined;
  }
  return fn.includes('(') ? findBySignature(abi, fn, path, problems) : findByName(abi, fn, path, problems);
}

function findByName(abi: Abi, name: string, path: Path, problems: Problems): AbiFunction | undefined {
  const [first, ...others] = abi.filter((fn) => fn.name === name);
  if (first !== undefined && others.length === 0) return first;
  const message =
    first === undefined
      ? `${quote(name)} is not a function of this ABI, which has ${listSignatures(abi)}`
      : `${quote(name)} is the name of several functions; write one of ${listSignatures([first, ...others])}`;
  problems.add(path, message);
  return undefined;
}

function findBySignature(abi: Abi, text: string, path: Path, problems: Problems): AbiFunction | undefined {
  const written = readFunction(text, path, problems);
  if (written === undefined) return undefined;
  const declared = abi.find(({ signature }) => signature === written.signature);
  if (declared === undefined) {
    problems.add(
      path,
      `${written.signature} is not a function of this ABI, which has ${listSignatures(abi)}`,
    );
    return undefined;
  }
  const conflict = findRenamed(declared.inputs, written.inputs);
  if (conflict !== undefined) {
    problems.add(path, `${conflict}; write the names of the ABI, or none`);
    return undefined;
  }
  return { ...declared, inputs: mergeNames(declared.inputs, written.inputs) };
}

function listSignatures(abi: Abi): string {
  return listNames(abi.map(({ signature }) => signature));
}

/** A name that means one argument here and another there would test the wrong one. */
function findRenamed(declared: readonly AbiField[], written: readonly AbiField[]): string | undefined {
  for (const [index, { name, type }] of declared.entries()) {
    const other = written[index];
    if (other === undefined) continue;
    if (name !== '' && other.name !== '' && name !== other.name) {
      return `names a parameter ${quote(other.name)} that the ABI names ${quote(name)}`;
    }
    const inner = findRenamed(fieldsOf(type), fieldsOf(other.type));
    if (inner !== undefined) return inner;
  }
  return undefined;
}

/** Of a tuple, or of a list of tuples. */
function fieldsOf(type: AbiType): readonly AbiField[] {
  if (type.kind === 'array') return fieldsOf(type.of);
  return type.kind === 'tuple' ? type.of : [];
}

/** Both have the same types. */
function mergeNames(declared: readonly AbiField[], written: readonly AbiField[]): AbiField[] {
  return declared.map(({ name, type }, index) => ({
    name: name === '' ? (written[index]?.name ?? '') : name,
    type: mergeType(type, written[index]?.type ?? type),
  }));
}

function mergeType(declared: AbiType, written: AbiType): AbiType {
  if (declared.kind === 'array' && written.kind === 'array') {
    return { ...declared, of: mergeType(declared.of, written.of) };
  }
  if (declared.kind !== 'tuple' || written.kind !== 'tuple') return declared;
  return { kind: 'tuple', of: mergeNames(declared.of, written.of) };
}
