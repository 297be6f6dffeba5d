import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { exchangeOf } from '../../../src/http/exchange.ts';
import type { Method, Route } from '../../../src/http/route.ts';
import { Router } from '../../../src/http/router.ts';

const ROUTES = [
  at('GET', '/keys'),
  at('POST', '/keys/import'),
  at('GET', '/keys/{name}'),
  at('POST', '/keys/{name}/sign'),
  at('POST', '/{any}/import/sign'),
  at('GET', '/tile/entries/{tile}', 'tile'),
  at('GET', '/tile/{level}/{tile}', 'tile'),
];
const router = new Router(ROUTES);

/** Targets of requests: a route is found exactly if its path, as a regular expression, fits, and before others where its steps are written out. */
export function fuzz(bytes: Uint8Array): void {
  const url = Buffer.from(bytes).toString('latin1');
  const { path } = exchangeOf({ url, headers: {} } as IncomingMessage, {} as ServerResponse);
  assert.ok(!path.includes('?'));
  for (const method of ['GET', 'POST'] as const) {
    const fitting = ROUTES.filter((route) => route.method === method && patternOf(route).test(path));
    const [best] = fitting.sort((a, b) => (rankOf(a) < rankOf(b) ? -1 : 1));
    const found = router.find(method, path);
    assert.equal(found?.route.path, best?.path);
    if (found === undefined) continue;
    // The parameters put back where they stand are the path.
    const again = Object.entries(found.params).reduce(
      (text, [name, value]) => text.replace(`{${name}}`, () => value),
      found.route.path,
    );
    assert.equal(again, path);
  }
  const allowed = router.methods(path);
  assert.equal(allowed.includes('GET'), router.find('HEAD', path) !== undefined);
}

function at(method: Method, path: string, rest?: string): Route {
  const run = (): Promise<never> => Promise.reject(new Error('is not run here'));
  const answer = { status: 200, description: '' };
  return { method, path, tag: '', summary: '', access: 'public', answer, run, ...(rest && { rest }) };
}

function patternOf({ path, rest }: Route): RegExp {
  const source = path.replaceAll(/\{(\w+)\}/g, (_, name) => (name === rest ? '[^/][^]*' : '[^/]+'));
  return new RegExp(`^${source}$`);
}

/** Sorts written steps before parameters, and those before what takes all steps that are left. */
function rankOf({ path, rest }: Route): string {
  const ranks = path.split('/').map((step) => (step === `{${rest}}` ? 2 : step.startsWith('{') ? 1 : 0));
  return ranks.join('');
}
