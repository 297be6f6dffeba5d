import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { createProgress } from '../../src/cli/progress.ts';
import { promptHidden } from '../../src/cli/prompt.ts';
import type { Terminal } from '../../src/cli/terminal.ts';

/** A keyboard that types chunks once somebody listens, and records what is done to it. */
class Keyboard extends EventEmitter {
  readonly modes: boolean[] = [];
  readonly chunks: Buffer[];
  paused = false;

  constructor(...chunks: readonly string[]) {
    super();
    this.chunks = chunks.map((text) => Buffer.from(text, 'utf8'));
  }

  setRawMode(raw: boolean): this {
    this.modes.push(raw);
    return this;
  }

  resume(): this {
    queueMicrotask(() => {
      for (const chunk of this.chunks) this.emit('data', chunk);
    });
    return this;
  }

  pause(): this {
    this.paused = true;
    return this;
  }
}

async function type(
  ...chunks: readonly string[]
): Promise<{ text: string; shown: string; keyboard: Keyboard }> {
  const keyboard = new Keyboard(...chunks);
  let shown = '';
  const typed = await promptHidden('Secret: ', keyboard as never, (text) => (shown += text)).finally(() => {
    expect(keyboard.modes).toEqual([true, false]);
    expect(keyboard.paused).toBe(true);
    expect(keyboard.listenerCount('data')).toBe(0);
    // What was typed is nowhere but in the answer.
    for (const chunk of keyboard.chunks) expect(chunk.every((byte) => byte === 0)).toBe(true);
  });
  return { text: typed.toString('utf8'), shown, keyboard };
}

describe('promptHidden', () => {
  it('reads a line in any pieces, and shows nothing of it', async () => {
    expect(await type('sec', 'r', 'et\r')).toMatchObject({ text: 'secret', shown: 'Secret: \n' });
    expect(await type('\n')).toMatchObject({ text: '' });
  });

  it('takes back characters whole, clears the line, and ignores arrow keys', async () => {
    expect((await type('aü\u007F\u007Fb\r')).text).toBe('b');
    expect((await type('\u007F\b x\r')).text).toBe(' x');
    expect((await type('wrong\u0015right\r')).text).toBe('right');
    expect((await type('a', '\u001B[D', 'b\r')).text).toBe('ab');
    expect((await type('done\u0004')).text).toBe('done');
  });

  it('is cancelled by Ctrl-C, and by Ctrl-D on an empty line', async () => {
    await expect(type('abc\u0003')).rejects.toThrow('cancelled');
    await expect(type('\u0004')).rejects.toThrow('cancelled');
  });

  it('refuses more than a secret has', async () => {
    expect((await type(`${'x'.repeat(1024)}\r`)).text).toHaveLength(1024);
    await expect(type(`${'x'.repeat(1025)}\r`)).rejects.toThrow('1024 bytes');
  });
});

describe('createProgress', () => {
  function progressAt(interactive: boolean): {
    drawn: string[];
    at: (ms: number, done: number) => void;
    end: () => void;
  } {
    const drawn: string[] = [];
    let now = 0;
    const terminal = { interactive, redraw: (text: string) => drawn.push(text) } as unknown as Terminal;
    const progress = createProgress(terminal, 'verifying', () => now);
    return {
      drawn,
      at: (ms, done) => {
        now = ms;
        progress.update(done, 3_000);
      },
      end: () => progress.end(),
    };
  }

  it('draws after a second, not too often, and takes it away', () => {
    const { drawn, at, end } = progressAt(true);
    at(999, 1_000);
    at(1_000, 1_500);
    at(1_050, 1_600);
    at(1_100, 2_000);
    end();
    end();
    expect(drawn).toEqual(['verifying 1500 of 3000 (50%)', 'verifying 2000 of 3000 (66%)', '']);
  });

  it('draws nothing for what is over sooner, nor where nobody watches', () => {
    const short = progressAt(true);
    short.at(500, 3_000);
    short.end();
    const unwatched = progressAt(false);
    unwatched.at(5_000, 2_000);
    unwatched.end();
    expect([...short.drawn, ...unwatched.drawn]).toEqual([]);
  });
});
