import type { ReadStream } from 'node:tty';
import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';

type Keyboard = Pick<ReadStream, 'setRawMode' | 'on' | 'off' | 'resume' | 'pause'>;

const MAX_BYTES = 1_024;

const CTRL_C = 0x03;
const CTRL_D = 0x04;
const BACKSPACE = 0x08;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const CTRL_U = 0x15;
const ESCAPE = 0x1b;
const DELETE = 0x7f;

/** Reads one line from a keyboard without echo. The caller wipes it. Throws `invalid_request` when it is cancelled. */
export async function promptHidden(
  question: string,
  keyboard: Keyboard,
  show: (text: string) => void,
): Promise<Buffer> {
  const typed = Buffer.alloc(MAX_BYTES);
  keyboard.setRawMode(true);
  show(question);
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      let length = 0;
      const take = (chunk: Buffer): void => {
        const read = readKeys(chunk, typed, length);
        wipe(chunk);
        length = read.length;
        if (read.end === undefined) return;
        keyboard.off('data', take);
        if (read.end === 'cancelled') reject(new CountersignError('invalid_request', 'cancelled'));
        else if (read.end === 'too long')
          reject(new CountersignError('invalid_request', `that is over ${MAX_BYTES} bytes`));
        else resolve(Buffer.from(typed.subarray(0, length)));
      };
      keyboard.on('data', take);
      keyboard.resume();
    });
  } finally {
    wipe(typed);
    keyboard.setRawMode(false);
    keyboard.pause();
    show('\n');
  }
}

interface Keys {
  readonly length: number;
  readonly end?: 'entered' | 'cancelled' | 'too long';
}

/** Applies the keys of a chunk to the first `length` bytes of `typed`. */
function readKeys(chunk: Buffer, typed: Buffer, start: number): Keys {
  let length = start;
  // An arrow or a function key: nothing to type.
  if (chunk[0] === ESCAPE) return { length };
  for (const byte of chunk) {
    if (byte === RETURN || byte === NEWLINE) return { length, end: 'entered' };
    if (byte === CTRL_C) return { length, end: 'cancelled' };
    if (byte === CTRL_D) return { length, end: length === 0 ? 'cancelled' : 'entered' };
    if (byte === CTRL_U) length = 0;
    else if (byte === BACKSPACE || byte === DELETE) length = beforeLastCharacter(typed, length);
    else if (length < MAX_BYTES) typed[length++] = byte;
    else return { length, end: 'too long' };
  }
  return { length };
}

function beforeLastCharacter(typed: Buffer, length: number): number {
  let end = length - 1;
  // Bytes 10xxxxxx continue a character of UTF-8.
  while (end > 0 && ((typed[end] ?? 0) & 0xc0) === 0x80) end--;
  return Math.max(0, end);
}
