import { Content } from '../content.ts';
import { openApiDocument } from '../openapi.ts';
import { referencePage } from '../reference-page.ts';
import { publicRoute, type Route } from '../route.ts';

const tag = 'Reference';

/** The API's own description, of the routes given and of itself. */
export function withReference(routes: readonly Route[], version: string): Route[] {
  const all: Route[] = [...routes];
  // Anybody may ask for them as often as they like, and they never change: all get the same bytes.
  let document: Content | undefined;
  let page: Content | undefined;
  all.push(
    publicRoute(
      {
        method: 'GET',
        path: '/openapi.json',
        tag,
        summary: 'OpenAPI document',
        access: 'public',
        answer: { status: 200, description: 'OpenAPI 3.1.', mediaType: 'application/json' },
      },
      () => (document ??= textContent(JSON.stringify(openApiDocument(all, version)))),
    ),
    publicRoute(
      {
        method: 'GET',
        path: '/docs',
        tag,
        summary: 'This page',
        access: 'public',
        answer: { status: 200, description: 'The API to read.', mediaType: 'text/html' },
      },
      () => (page ??= textContent(referencePage(all, version))),
    ),
  );
  return all;
}

function textContent(text: string): Content {
  return new Content(Buffer.from(text));
}
