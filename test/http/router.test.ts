import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Method, Route } from '../../src/http/route.ts';
import { Router } from '../../src/http/router.ts';
import { allRoutes } from './all-routes.ts';

const answer = { status: 200, description: '' };

function at(method: Method, path: string, rest?: string): Route {
  const run = (): Promise<never> => Promise.reject(new Error('is not run here'));
  return { method, path, tag: '', summary: '', access: 'public', answer, run, ...(rest && { rest }) };
}

const ROUTES = [
  at('GET', '/keys'),
  at('POST', '/keys'),
  at('POST', '/keys/import'),
  at('GET', '/keys/{name}'),
  at('PATCH', '/keys/{name}'),
  at('POST', '/keys/{name}/versions/{version}/disable'),
  at('GET', '/tile/entries/{tile}', 'tile'),
  at('GET', '/tile/{level}/{tile}', 'tile'),
];
const router = new Router(ROUTES);

const found = (method: string, path: string): unknown => {
  const { route, params } = router.find(method, path) ?? {};
  return route && [route.path, params];
};

describe('the router', () => {
  it.each([
    ['GET', '/keys', ['/keys', {}]],
    ['HEAD', '/keys', ['/keys', {}]],
    ['POST', '/keys/import', ['/keys/import', {}]],
    ['GET', '/keys/import', ['/keys/{name}', { name: 'import' }]],
    ['PATCH', '/keys/a.b', ['/keys/{name}', { name: 'a.b' }]],
    ['POST', '/keys/import/versions/2/disable', [ROUTES[5]?.path, { name: 'import', version: '2' }]],
    ['GET', '/tile/entries/x001/067', ['/tile/entries/{tile}', { tile: 'x001/067' }]],
    ['GET', '/tile/0/x001/067.p/5', ['/tile/{level}/{tile}', { level: '0', tile: 'x001/067.p/5' }]],
  ])('finds what %s %s is', (method, path, expected) => {
    expect(found(method, path)).toEqual(expected);
  });

  it.each([
    ['GET', '/'],
    ['GET', '/Keys'],
    ['GET', '*keys'],
    ['GET', 'xkeys'],
    ['GET', ''],
    ['GET', '/keys/'],
    ['GET', '/keys/a/'],
    ['GET', '/keys/a/b'],
    ['POST', '/keys//versions/2/disable'],
    ['GET', '/tile/0'],
    ['GET', '/tile/0/'],
    ['GET', '/tile'],
    ['DELETE', '/keys'],
    ['get', '/keys'],
  ])('finds nothing for %s %s', (method, path) => {
    expect(found(method, path)).toBeUndefined();
  });

  it('knows the methods of a path', () => {
    expect(router.methods('/keys')).toEqual(['GET', 'POST']);
    expect(router.methods('/keys/import')).toEqual(['POST', 'GET', 'PATCH']);
    expect(router.methods('/keys/x')).toEqual(['GET', 'PATCH']);
    expect(router.methods('/nothing')).toEqual([]);
  });

  it('finds what patterns find, for all that the service has', () => {
    const routes = allRoutes();
    const all = new Router(routes);
    const patterns = routes.map((route) => ({ route, pattern: patternOf(route) }));
    const steps = [...new Set(routes.flatMap(({ path }) => path.split('/')))].map((step) =>
      step.startsWith('{') ? 'x7' : step,
    );
    const path = fc
      .array(fc.constantFrom(...steps), { minLength: 1, maxLength: 8 })
      .map((some) => `/${some.join('/')}`);
    const known = fc.constantFrom(...routes).map((route) => route.path.replaceAll(/\{\w+\}/g, 'x7'));
    fc.assert(
      fc.property(fc.oneof(path, known), fc.constantFrom('GET', 'POST', 'PATCH'), (target, method) => {
        const here = patterns.filter(({ pattern }) => pattern.test(target)).map(({ route }) => route);
        expect(new Set(all.methods(target))).toEqual(new Set(here.map((route) => route.method)));
        const candidates = here.filter((route) => route.method === method);
        const { route } = all.find(method, target) ?? {};
        expect(candidates.length === 0 ? [undefined] : candidates).toContain(route);
      }),
      { numRuns: 2_000 },
    );
  });
});

function patternOf({ path, rest }: Route): RegExp {
  const pattern = path
    .replaceAll('.', '\\.')
    .replaceAll(/\{(\w+)\}/g, (_, name: string) => (name === rest ? '[^/].*' : '[^/]+'));
  return new RegExp(`^${pattern}$`);
}
