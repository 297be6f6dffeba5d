import type { JsonValue } from '../jcs.ts';
import { openApiDocument, accessText } from './openapi.ts';
import type { Route } from './route.ts';

/** The API as a page to read: no script, nothing loaded from elsewhere. */
export function referencePage(routes: readonly Route[], version: string): string {
  const document = openApiDocument(routes, version) as unknown as OpenApi;
  const tags = Map.groupBy(routes, ({ tag }) => tag);
  const menu = [...tags].map(
    ([tag, group]) =>
      `<li>${escape(tag)}<ul>${group
        .map((route) => `<li><a href="#${anchor(route)}">${escape(route.summary)}</a></li>`)
        .join('')}</ul></li>`,
  );
  const sections = [...tags].map(
    ([tag, group]) => `<h2>${escape(tag)}</h2>${group.map((route) => section(route, document)).join('')}`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Countersign API ${escape(version)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>${STYLE}</style></head>
<body><nav><strong>Countersign API</strong> ${escape(version)}<ul>${menu.join('')}</ul>
<p><a href="/openapi.json">openapi.json</a></p></nav><main><h1>HTTP API</h1>
<p>${escape(document.info.description)}</p>${sections.join('')}</main></body></html>
`;
}

interface OpenApi {
  readonly info: { readonly description: string };
  readonly paths: { readonly [path: string]: { readonly [method: string]: Operation } };
}

interface Operation {
  readonly parameters: readonly {
    name: string;
    in: string;
    required: boolean;
    description?: string;
    schema: Schema;
  }[];
  readonly requestBody?: { readonly content: { readonly [type: string]: { readonly schema: Schema } } };
  readonly responses: {
    readonly [status: string]: { description: string; content: { [type: string]: { schema: Schema } } };
  };
}

type Schema = { readonly [name: string]: JsonValue };

function section(route: Route, document: OpenApi): string {
  const operation = document.paths[route.path]?.[route.method.toLowerCase()];
  if (operation === undefined) return '';
  const parameters = operation.parameters.map(
    (parameter) =>
      `<tr><td><code>${escape(parameter.name)}</code></td><td>${parameter.in}${parameter.required ? ', required' : ''}</td>` +
      `<td>${escape(constraints(parameter.schema))} ${escape(parameter.description ?? '')}</td></tr>`,
  );
  const body = operation.requestBody?.content['application/json']?.schema;
  const answer = operation.responses[String(route.answer.status)];
  const answerSchema = answer?.content['application/json']?.schema;
  return `<section id="${anchor(route)}"><h3>${escape(route.summary)}</h3>
<p class="call"><b>${route.method}</b> ${escape(route.path)}</p>
${route.description === undefined ? '' : `<p>${escape(route.description)}</p>`}<p class="access">${escape(accessText(route.access))}</p>
${parameters.length === 0 ? '' : `<table>${parameters.join('')}</table>`}
${body === undefined ? '' : `<h4>Body</h4>${fields(body)}`}
<h4>${route.answer.status}</h4><p>${escape(route.answer.description)}</p>${answerSchema === undefined ? '' : fields(answerSchema)}</section>`;
}

/** The members of an object schema, and theirs, as a nested list. */
function fields(schema: Schema): string {
  const variants = (schema['oneOf'] ?? schema['anyOf']) as readonly Schema[] | undefined;
  if (variants !== undefined) return `<div class="any">one of ${variants.map(fields).join(' or ')}</div>`;
  if (schema['type'] === 'array') return fields((schema['items'] ?? {}) as Schema);
  const properties = schema['properties'] as { readonly [name: string]: Schema } | undefined;
  if (properties === undefined) return '';
  const required = (schema['required'] ?? []) as readonly string[];
  const rows = Object.entries(properties).map(
    ([name, property]) =>
      `<li><code>${escape(name)}</code> <i>${escape(constraints(property))}${required.includes(name) ? '' : ', optional'}</i> ` +
      `${escape(typeof property['description'] === 'string' ? property['description'] : '')}${fields(property)}</li>`,
  );
  return `<ul class="fields">${rows.join('')}</ul>`;
}

function constraints(schema: Schema): string {
  if (Array.isArray(schema['enum'])) return schema['enum'].map((value) => JSON.stringify(value)).join(' | ');
  if (schema['const'] !== undefined) return JSON.stringify(schema['const']);
  return typeof schema['type'] === 'string' ? schema['type'] : '';
}

function anchor({ method, path }: Route): string {
  return `${method}-${path}`.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

const STYLE = `
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;grid-template-columns:17rem minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1.2rem;box-sizing:border-box;border-right:1px solid var(--line);font-size:.87rem}
nav ul{list-style:none;padding-left:.8rem}nav a{color:inherit}
main{max-width:52rem;padding:1rem 2.5rem 5rem}
section{border-top:1px solid var(--line);padding:.5rem 0 1rem}
.call{font-family:ui-monospace,monospace;background:var(--soft);padding:.5rem .8rem;border-radius:.4rem}
.access,i{opacity:.7;font-size:.9rem}h4{margin:.8rem 0 .2rem}
table{border-collapse:collapse}td{padding:.15rem 1.2rem .15rem 0;vertical-align:top}
.fields{padding-left:1.2rem;border-left:2px solid var(--line);list-style:none}.fields .fields{margin:.1rem 0}
code{font-size:.92em}@media(max-width:50rem){body{display:block}nav{position:static;height:auto}}
`;
