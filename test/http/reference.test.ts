import { expect, test } from 'vitest';
import type { Content } from '../../src/http/content.ts';
import { withReference } from '../../src/http/routes/reference.ts';
import { publicRoute, type Route } from '../../src/http/route.ts';

test('the document and the page are made once, however often they are asked for', async () => {
  let made = 0;
  const answer = { status: 200, description: '' };
  const spec = { method: 'GET', path: '/x', tag: '', summary: '', access: 'public', answer } as const;
  const described: Route = {
    ...publicRoute(spec, () => ''),
    get summary() {
      made++;
      return 'described';
    },
  };
  const routes = withReference([described], '0');
  expect(made).toBe(0);
  for (const path of ['/openapi.json', '/docs']) {
    const run = routes.find((route) => route.path === path)!.run;
    const ask = async (): Promise<unknown> =>
      (await run({ params: {}, query: {}, body: undefined }, undefined)).body;
    const first = (await ask()) as Content;
    expect(String(first.body)).toContain('described');
    const after = made;
    expect(await ask()).toBe(first);
    expect(made, path).toBe(after);
  }
});
