import { asBuffer } from '../../bytes.ts';
import { LogFault } from './fault.ts';
import type { Outline } from './scan.ts';

const TIME_BYTES = 24;
/** A digit at each 0, as in RFC 3339, UTC, with milliseconds. */
const TIME_FORM = Buffer.from('0000-00-00T00:00:00.000Z');
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** What entries say of their places in the log, checked one after the other: version, index, time, run of the service. */
export class Order {
  /** Of the last entry; of one length and form, so that their order as bytes is their order in time. */
  readonly #time = new Uint8Array(TIME_BYTES);
  #epoch = -1;

  check(outline: Outline, bytes: Uint8Array, index: number): void {
    if (!outline.versionOne) throw LogFault.ofEntry(index, 'entry_version', 'is not of schema version 1');
    if (outline.index !== index) throw LogFault.ofEntry(index, 'entry_index', 'carries another index');
    if (!outline.named) throw LogFault.ofEntry(index, 'entry_shape', 'has no kind or no outcome');
    this.#checkTime(bytes, outline.timeAt, index);
    // The first entry of a run carries its own index, and the others the first one's.
    if (outline.epoch !== this.#epoch && outline.epoch !== index) {
      const said = outline.epoch === -1 ? 'says not' : `says that it was ${outline.epoch}`;
      const what = `${said} with which entry the service that wrote it began: that is this one, or the entry before it knows`;
      throw LogFault.ofEntry(index, 'entry_epoch', what);
    }
    this.#epoch = outline.epoch;
  }

  #checkTime(bytes: Uint8Array, at: number, index: number): void {
    const last = this.#time;
    let i = 0;
    if (at !== -1) while (i < TIME_BYTES && bytes[at + i] === last[i]) i++;
    if (i === TIME_BYTES) return;
    if (at === -1 || !isTime(bytes, at)) {
      throw LogFault.ofEntry(index, 'entry_time', 'has no time in RFC 3339 form, UTC, with milliseconds');
    }
    const time = bytes.subarray(at, at + TIME_BYTES);
    if ((time[i] as number) < (last[i] as number)) {
      const text = asBuffer(time).toString('latin1');
      const what = `has the time ${text}, before that of the entry ahead of it`;
      throw LogFault.ofEntry(index, 'time_backwards', what);
    }
    last.set(time);
  }
}

/** Whether 24 bytes are what `Date.prototype.toISOString` writes for a year from 0 to 9999. */
export function isTime(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < TIME_BYTES; i++) {
    const form = TIME_FORM[i] as number;
    const byte = bytes[at + i] as number;
    if (form === 0x30 ? byte < 0x30 || byte > 0x39 : byte !== form) return false;
  }
  const digits = (offset: number): number =>
    ((bytes[at + offset] as number) - 0x30) * 10 + ((bytes[at + offset + 1] as number) - 0x30);
  const year = digits(0) * 100 + digits(2);
  const month = digits(5);
  const day = digits(8);
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = (DAYS[month - 1] ?? 0) + (leap ? 1 : 0);
  return day >= 1 && day <= days && digits(11) <= 23 && digits(14) <= 59 && digits(17) <= 59;
}
