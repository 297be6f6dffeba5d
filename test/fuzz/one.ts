import { createRequire, register } from 'node:module';
import path from 'node:path';

/*
 * Fuzzes one target in this process: `node one.ts TARGET [libFuzzer's options and directories]`. Not to be imported.
 * What is covered is the service's own code, read as it is; types are stripped before it is instrumented.
 */

/** Of @jazzer.js/core, what is used here; its own types are not there where it is not installed. */
interface Jazzer {
  readonly OptionsManager: new (source: number) => { merge(input: object, source: number): object };
  readonly OptionSource: { readonly DefaultCLIOptions: number; readonly CommandLineArguments: number };
  startFuzzing(options: object): Promise<{ readonly returnCode: number; readonly error?: unknown }>;
}

/** Targets that wait for something off the event loop; the others are called without leaving it, which is faster. */
const ASYNCHRONOUS: ReadonlySet<string> = new Set(['keystore']);

/** Of libraries, what does the work of a parser here, and so has to be covered too. */
const LIBRARIES: ReadonlyMap<string, readonly string[]> = new Map([
  ['pattern', ['/node_modules/re2js/']],
  ['yaml', ['/node_modules/yaml/']],
]);

const [, , target = '', ...fuzzerOptions] = process.argv;
const here = import.meta.dirname;
register('./strip-types.ts', import.meta.url);

const jazzer = createRequire(import.meta.url)('@jazzer.js/core') as Jazzer;
const { DefaultCLIOptions, CommandLineArguments } = jazzer.OptionSource;
const options = new jazzer.OptionsManager(DefaultCLIOptions).merge(
  {
    fuzzTarget: path.join(here, 'targets', `${target}.ts`),
    includes: [`${path.resolve(here, '../../src')}/`, ...(LIBRARIES.get(target) ?? [])],
    // Of shell commands, paths and the like, which no parser here has to do with.
    disableBugDetectors: ['.*'],
    sync: !ASYNCHRONOUS.has(target),
    fuzzerOptions,
  },
  CommandLineArguments,
);
const { returnCode } = await jazzer.startFuzzing(options);
process.exit(returnCode);
