import { CountersignError } from '../errors.ts';
import { encodeType, parseTypes, type StructTypes } from '../intent/typed-data-types.ts';

const STRUCT = /([A-Za-z_$][A-Za-z0-9_$:]*)\(([^()]*)\)/y;

/** 32 types with fields of some words each. */
const MAX_LENGTH = 16_384;

const FORM = 'write it as EIP-712 encodes it, as in "Mail(Person from,string text)Person(address wallet)"';

/**
 * Reads the text that EIP-712 calls `encodeType`: the primary type, then the types that it refers to, sorted, each
 * once and all used. What would hash to another type than it shows is refused, since it would never match.
 */
export function parseEncodeType(
  text: string,
): { readonly primary: string; readonly structs: StructTypes } | { readonly problem: string } {
  if (text.length > MAX_LENGTH) return { problem: `has more than ${MAX_LENGTH} characters` };
  const types = new Map<string, { readonly type: string; readonly name: string }[]>();
  let position = 0;
  while (position < text.length) {
    STRUCT.lastIndex = position;
    const match = STRUCT.exec(text);
    if (match === null) return { problem: `is not a type at character ${position + 1}; ${FORM}` };
    const [whole, name = '', fields = ''] = match;
    if (types.has(name)) return { problem: `has the type ${name} twice; remove one` };
    types.set(name, fields === '' ? [] : fields.split(',').map(splitField));
    position += whole.length;
  }
  const [primary] = types.keys();
  if (primary === undefined) return { problem: `is empty; ${FORM}` };
  try {
    const structs = parseTypes(Object.fromEntries(types), primary, 'types');
    const expected = encodeType(structs, primary);
    return expected === text
      ? { primary, structs }
      : { problem: `is not in the order of EIP-712; write "${expected}"` };
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    return { problem: `${error.message}; ${FORM}` };
  }
}

/** What is no type, one space and a name ends up in a name or a type that is refused. */
function splitField(text: string): { readonly type: string; readonly name: string } {
  const space = text.indexOf(' ');
  return { type: text.slice(0, Math.max(space, 0)), name: text.slice(space + 1) };
}
