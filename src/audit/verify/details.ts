import { fromHex } from '../../bytes.ts';
import type { JsonValue } from '../../jcs.ts';
import { beside, wrongData } from './beside.ts';
import { LogFault } from './fault.ts';
import { member, type EntryFields } from './fields.ts';

/** The bytes kept beside the log under their SHA-256, 32 bytes; undefined where there are none. */
export type DataReader = (sha256: Uint8Array) => Promise<Uint8Array | undefined> | Uint8Array | undefined;

/** Checks the sums of limits and the data kept beside an entry; the data, where the entry has any and it can be read. */
export async function checkDetails(
  entry: EntryFields,
  index: number,
  read: DataReader | undefined,
): Promise<Uint8Array | undefined> {
  checkLimits(member(entry['decision'], 'limits'), index);
  const named = beside(entry);
  if (named === undefined || read === undefined) return undefined;
  const data = await read(fromHex(named.hash));
  if (data === undefined) {
    const what = `names data of ${named.length} bytes by its SHA-256, ${named.hash}, and it is not kept beside the log`;
    throw LogFault.ofEntry(index, 'data_missing', what);
  }
  const wrong = wrongData(data, named);
  if (wrong !== undefined) {
    throw LogFault.ofEntry(index, 'data_mismatch', `was changed: the data kept beside it ${wrong}`);
  }
  return data;
}

const AMOUNT = /^(?:0|[1-9]\d{0,99})$/;

function checkLimits(limits: JsonValue | undefined, index: number): void {
  if (limits === undefined) return;
  const all = Array.isArray(limits) ? (limits as readonly JsonValue[]) : [limits];
  for (const limit of all) {
    const [before, amount, after] = ['before', 'amount', 'after'].map((name) =>
      amountOf(member(limit, name)),
    );
    if (before !== undefined && amount !== undefined && after === before + amount) continue;
    const what = 'does not add up: what a limit holds after it is not what it held before and the amount';
    throw LogFault.ofEntry(index, 'limit_sum', what);
  }
}

function amountOf(value: JsonValue | undefined): bigint | undefined {
  return typeof value === 'string' && AMOUNT.test(value) ? BigInt(value) : undefined;
}
