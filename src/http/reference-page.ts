import { CountersignError, invalidField, type ErrorCode } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import { openApiDocument, accessText } from './openapi.ts';
import { STATUS_OF, toProblem } from './problems.ts';
import type { Route } from './route.ts';

/** The API as a page to read: no script, nothing loaded from elsewhere. */
export function referencePage(routes: readonly Route[], version: string): string {
  const document = openApiDocument(routes, version) as unknown as OpenApi;
  const tags = Map.groupBy(routes, ({ tag }) => tag);
  const menu = [...tags].map(
    ([tag, group]) =>
      `<li>${escape(tag)}<ul>${group
        .map((route) => `<li><a href="#${anchor(route)}">${prose(route.summary)}</a></li>`)
        .join('')}</ul></li>`,
  );
  const sections = [...tags].map(
    ([tag, group]) => `<h2>${escape(tag)}</h2>${group.map((route) => section(route, document)).join('')}`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Countersign API ${escape(version)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>${STYLE}</style></head>
<body><nav><strong>Countersign API</strong> ${escape(version)}<ul><li><a href="#use">Credential and errors</a></li>${menu.join('')}</ul>
<p><a href="/openapi.json">openapi.json</a></p></nav><main><h1>HTTP API</h1>
<p>${prose(document.info.description)}</p>${use()}${sections.join('')}</main></body></html>
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

/** What every call has in common. */
function use(): string {
  const rows = Object.keys(STATUS_OF).map((name) => {
    const { code, status, title } = toProblem(new CountersignError(name as ErrorCode, ''), '');
    return `<tr><td><code>${escape(code)}</code></td><td>${status}</td><td>${escape(title)}</td></tr>`;
  });
  const example = toProblem(
    invalidField(
      'transaction.value',
      'must be a string, such as "1000": JSON numbers lose digits above 2^53',
    ),
    '6f1c8e52-3d0b-4c55-9a67-2b8f0d1e7a34',
  );
  return `<section id="use"><h2>Credential and errors</h2>
<p>Send the credential with every call that is not open to anybody:</p>
<pre>Authorization: Bearer cs_&lt;credential id&gt;_&lt;secret&gt;</pre>
<p>Bodies are JSON: <code>Content-Type: application/json</code>. Amounts are strings, in wei: <code>"value": "1000000000000000"</code>.</p>
<p>An error is <code>application/problem+json</code> (RFC 9457). Tell errors apart by <code>code</code>;
<code>errors</code> names the fields that do not fit, and <code>requestId</code> finds the request in the service's log.</p>
<pre>${escape(JSON.stringify(example, null, 2))}</pre>
<table><tr><th>code</th><th>status</th><th>meaning</th></tr>${rows.join('')}</table></section>`;
}

function section(route: Route, document: OpenApi): string {
  const operation = document.paths[route.path]?.[route.method.toLowerCase()];
  if (operation === undefined) return '';
  const parameters = operation.parameters.map(
    ({ name, in: place, required, description, schema }) =>
      `<tr><td><code>${escape(name)}</code></td><td>${place}${required ? ', required' : absence(schema)}</td>` +
      `<td><i>${escape(typeText(schema))}</i> ${prose(description ?? '')}${exampleOf(schema)}</td></tr>`,
  );
  const body = operation.requestBody?.content['application/json']?.schema;
  const answer = operation.responses[String(route.answer.status)];
  const answerSchema = answer?.content['application/json']?.schema;
  return `<section id="${anchor(route)}"><h3>${prose(route.summary)}</h3>
<p class="call"><b>${route.method}</b> ${escape(route.path)}</p>
${route.description === undefined ? '' : `<p>${prose(route.description)}</p>`}<p class="access">${escape(accessText(route.access))}</p>
${parameters.length === 0 ? '' : `<table>${parameters.join('')}</table>`}
${body === undefined ? '' : `<h4>Body</h4>${members(body) || '<p><code>{}</code></p>'}`}
<h4>${route.answer.status}</h4><p>${prose(route.answer.description)}</p>${answerSchema === undefined ? '' : members(answerSchema)}</section>`;
}

/** The members of an object schema, and theirs, as a nested list; of alternatives, those that have members. */
function members(schema: Schema): string {
  const alternatives = variantsOf(schema)
    ?.map(members)
    .filter((list) => list !== '');
  if (alternatives !== undefined) {
    return alternatives.length < 2
      ? alternatives.join('')
      : `<div class="any">one of ${alternatives.join(' or ')}</div>`;
  }
  if (schema['type'] === 'array') return members((schema['items'] ?? {}) as Schema);
  const properties = schema['properties'] as { readonly [name: string]: Schema } | undefined;
  if (properties === undefined) return '';
  const required = (schema['required'] ?? []) as readonly string[];
  const rows = Object.entries(properties).map(([name, property]) => {
    const description = typeof property['description'] === 'string' ? property['description'] : '';
    return (
      `<li><code>${escape(name)}</code> <i>${escape(typeText(property))}${required.includes(name) ? '' : absence(property)}</i> ` +
      `${prose(description)}${exampleOf(property)}${members(property)}</li>`
    );
  });
  return rows.length === 0 ? '' : `<ul class="fields">${rows.join('')}</ul>`;
}

/** What it means to leave it out. */
function absence({ default: value }: Schema): string {
  return value === undefined ? ', optional' : escape(`, default ${JSON.stringify(value)}`);
}

function variantsOf(schema: Schema): readonly Schema[] | undefined {
  return (schema['oneOf'] ?? schema['anyOf']) as readonly Schema[] | undefined;
}

/** What a value may be, in one line: its choices, or its JSON type, as in `array of string` or `string or null`. */
function typeText(schema: Schema): string {
  const variants = variantsOf(schema);
  if (variants !== undefined) return [...new Set(variants.map(typeText))].join(' or ');
  if (Array.isArray(schema['enum'])) return schema['enum'].map((value) => JSON.stringify(value)).join(' | ');
  if (schema['const'] !== undefined) return JSON.stringify(schema['const']);
  if (Array.isArray(schema['type'])) return schema['type'].join(' or ');
  if (schema['type'] === 'array') return `array of ${typeText((schema['items'] ?? {}) as Schema)}`;
  return typeof schema['type'] === 'string' ? schema['type'] : 'anything';
}

/** The first example, as JSON. */
function exampleOf({ examples }: Schema): string {
  if (!Array.isArray(examples) || examples.length === 0) return '';
  return ` <span class="example">e.g. <code>${escape(JSON.stringify(examples[0]))}</code></span>`;
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

/** Text of ours, with what stands in backticks as code. */
function prose(text: string): string {
  return escape(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');
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
table{border-collapse:collapse}td,th{padding:.15rem 1.2rem .15rem 0;vertical-align:top;text-align:left}
pre{background:var(--soft);padding:.5rem .8rem;border-radius:.4rem;white-space:pre-wrap;font-size:.85rem}
.fields{padding-left:1.2rem;border-left:2px solid var(--line);list-style:none}.fields .fields{margin:.1rem 0}
td:nth-child(-n+2){white-space:nowrap}
code{font-size:.92em;overflow-wrap:anywhere}.example{opacity:.7;font-size:.9rem}@media(max-width:50rem){body{display:block}nav{position:static;height:auto}}
`;
