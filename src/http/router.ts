import type { Method, Route } from './route.ts';

/** Values of the parameters in a path; a percent sign is in no path here, so that nothing has to be decoded. */
export type PathValues = Readonly<Record<string, string>>;

export interface Found {
  readonly route: Route;
  readonly params: PathValues;
}

interface Target {
  readonly route: Route;
  /** By step of its path: the parameter that it gives a value. */
  readonly names: readonly (string | undefined)[];
}

interface Node {
  readonly steps: Map<string, Node>;
  /** What any one step leads to. */
  any: Node | undefined;
  readonly ends: Target[];
  /** Those that take all steps from here on, of which there must be one. */
  readonly rest: Target[];
}

/**
 * Finds routes by their paths, exactly: case counts, and a slash at the end. A step that is written in a path goes before a
 * parameter. What it costs does not grow with the number of routes.
 */
export class Router {
  readonly #root = nodeOf();

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const names = stepsOf(route.path).map(parameterOf);
      let node = this.#root;
      for (const [at, step] of stepsOf(route.path).entries()) {
        if (names[at] !== undefined && names[at] === route.rest) break;
        node = names[at] === undefined ? stepFrom(node, step) : (node.any ??= nodeOf());
      }
      (route.rest === undefined ? node.ends : node.rest).push({ route, names });
    }
  }

  /** @param method of the request; HEAD is answered as GET (RFC 9110, 9.3.2). */
  find(method: string | undefined, path: string): Found | undefined {
    const steps = stepsOf(path);
    const wanted = method === 'HEAD' ? 'GET' : method;
    const target = this.#targets(steps).find(({ route }) => route.method === wanted);
    return target && { route: target.route, params: valuesOf(target, steps) };
  }

  /** Of the routes that have this path. */
  methods(path: string): Method[] {
    return [...new Set(this.#targets(stepsOf(path)).map(({ route }) => route.method))];
  }

  #targets(steps: readonly string[]): Target[] {
    const targets: Target[] = [];
    collect(this.#root, steps, 0, targets);
    return targets;
  }
}

function nodeOf(): Node {
  return { steps: new Map(), any: undefined, ends: [], rest: [] };
}

function stepFrom(node: Node, step: string): Node {
  const next = node.steps.get(step) ?? nodeOf();
  node.steps.set(step, next);
  return next;
}

function collect(node: Node, steps: readonly string[], at: number, into: Target[]): void {
  const step = steps[at];
  if (step === undefined) {
    into.push(...node.ends);
    return;
  }
  const written = node.steps.get(step);
  if (written !== undefined) collect(written, steps, at + 1, into);
  if (step === '') return;
  if (node.any !== undefined) collect(node.any, steps, at + 1, into);
  into.push(...node.rest);
}

function valuesOf({ route, names }: Target, steps: readonly string[]): PathValues {
  const params: Record<string, string> = {};
  for (let at = 0; at < names.length; at++) {
    const name = names[at];
    if (name !== undefined)
      params[name] = name === route.rest ? steps.slice(at).join('/') : (steps[at] ?? '');
  }
  return params;
}

/** `/a/b` has the steps a and b, `/a/b/` also an empty one; what does not begin with a slash (`*a`) has none. */
function stepsOf(path: string): string[] {
  return path.startsWith('/') ? path.slice(1).split('/') : [];
}

/** Of a step that is `{name}`. */
function parameterOf(step: string): string | undefined {
  return /^\{(\w+)\}$/.exec(step)?.[1];
}
