import type { CompiledRule } from './compiled-rule.ts';
import type { Excluding, Ranged, Restriction, Tested } from './restriction.ts';
import type { Subject } from './subject.ts';
import type { Value } from './value-test.ts';

type Rules = readonly CompiledRule[];

/** The rules that demand nothing else of the value. */
export type Sieve = (value: Value, subject: Subject) => Rules;

const NONE: Rules = [];

/** Of demands that are all of one kind. */
export function sieveOf(rules: Rules, demands: readonly Restriction[]): Sieve {
  const ranged = demands.filter((each) => 'low' in each);
  const excluding = demands.filter((each) => 'excluded' in each);
  const tested = demands.filter((each) => 'test' in each);
  if (ranged.length > 0) return withinRange(rules, ranged);
  return excluding.length > 0 ? notExcluded(rules, excluding) : passing(rules, tested);
}

/** So many ranges are passed over at once where all of them end too early. */
const BLOCK = 16;

/** By their lower ends, so that the rest begins too late as soon as one does. */
function withinRange(rules: Rules, ranges: readonly Ranged[]): Sieve {
  const sorted = ranges
    .flatMap(({ low, high }, i) => ({ low, high, rule: rules[i] }))
    .toSorted((one, other) => (one.low === other.low ? 0 : one.low - other.low));
  const low = Float64Array.from(sorted, (each) => each.low);
  const high = Float64Array.from(sorted, (each) => each.high);
  const highest = Float64Array.from({ length: Math.ceil(high.length / BLOCK) }, (_, block) =>
    Math.max(...high.subarray(block * BLOCK, (block + 1) * BLOCK)),
  );
  return (value) => {
    // What is no number is left to the rules: no comparison with NaN is true.
    const number = Number(value);
    const left: CompiledRule[] = [];
    for (let block = 0; block < highest.length; block++) {
      if ((low[block * BLOCK] ?? NaN) > number) break;
      if ((highest[block] ?? NaN) < number) continue;
      const end = Math.min((block + 1) * BLOCK, sorted.length);
      for (let i = block * BLOCK; i < end; i++) {
        const rule = sorted[i]?.rule;
        const isOutside = number < (low[i] ?? NaN) || number > (high[i] ?? NaN);
        if (!isOutside && rule !== undefined) left.push(rule);
      }
    }
    return left.length < 2 ? left : left.sort((one, other) => one.order - other.order);
  };
}

function notExcluded(rules: Rules, demands: readonly Excluding[]): Sieve {
  const byValue = new Map<Value, Set<CompiledRule>>();
  for (const [i, { excluded }] of demands.entries()) {
    const rule = rules[i];
    if (rule === undefined) continue;
    for (const value of excluded) {
      const known = byValue.get(value);
      if (known === undefined) byValue.set(value, new Set([rule]));
      else known.add(rule);
    }
  }
  return (value) => {
    const leftOut = byValue.get(value);
    if (leftOut === undefined) return rules;
    return leftOut.size === rules.length ? NONE : rules.filter((rule) => !leftOut.has(rule));
  };
}

function passing(rules: Rules, demands: readonly Tested[]): Sieve {
  const tests = demands.map(({ test }) => test);
  const isLeft = (test: Tested['test'], value: Value, subject: Subject): boolean => {
    try {
      return test.passes(value, subject);
    } catch {
      return true;
    }
  };
  return (value, subject) => {
    const left: CompiledRule[] = [];
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i];
      const test = tests[i];
      if (rule !== undefined && test !== undefined && isLeft(test, value, subject)) left.push(rule);
    }
    return left;
  };
}
