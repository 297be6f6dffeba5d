import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { STATUS_OF } from '../../src/http/problems.ts';
import { allRoutes, nameOf } from './all-routes.ts';
import { run, type Json, type Running } from './running.ts';

let service: Running;
let document: Json;

beforeAll(async () => {
  service = await run();
  document = (await service.client(undefined).get('/openapi.json')).body;
});
afterAll(() => service.end());

const METHODS = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace']);

function operations(): { name: string; path: string; operation: Json }[] {
  return Object.entries<Json>(document.paths).flatMap(([path, item]) =>
    Object.entries<Json>(item).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      path,
      operation,
    })),
  );
}

/** Every object in a JSON document, with a pointer to it. */
function* objectsOf(value: Json, at = '#'): Generator<{ at: string; value: Json }> {
  if (typeof value !== 'object' || value === null) return;
  yield { at, value };
  for (const [name, member] of Object.entries(value)) yield* objectsOf(member, `${at}/${name}`);
}

function resolve(pointer: string): Json {
  expect(pointer).toMatch(/^#\//);
  const steps = pointer
    .slice(2)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  return steps.reduce((at, step) => at?.[step], document);
}

describe('GET /openapi.json', () => {
  test('has every registered route and nothing else', () => {
    expect(
      operations()
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(allRoutes().map(nameOf).toSorted());
  });

  test('is an OpenAPI 3.1 document', () => {
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    expect(document.info).toMatchObject({ title: expect.any(String), version: expect.any(String) });
    expect(Object.keys(document)).toEqual(['openapi', 'info', 'tags', 'paths', 'components']);
    for (const [path, item] of Object.entries<Json>(document.paths)) {
      expect(path).toMatch(/^\//);
      expect(Object.keys(item).filter((method) => !METHODS.has(method))).toEqual([]);
    }
    const tags = document.tags.map(({ name }: Json) => name);
    expect(new Set(tags).size).toBe(tags.length);
    for (const { operation } of operations()) expect(tags).toEqual(expect.arrayContaining(operation.tags));
  });

  test('every reference resolves', () => {
    let count = 0;
    for (const { at, value } of objectsOf(document)) {
      if (typeof value.$ref !== 'string') continue;
      count++;
      expect(resolve(value.$ref), `${at} → ${value.$ref}`).toBeTypeOf('object');
    }
    expect(count).toBeGreaterThan(10);
  });

  test('every operation has responses with descriptions and schemas, among them an error', () => {
    for (const { name, operation } of operations()) {
      const statuses = Object.keys(operation.responses);
      expect(statuses, name).toContain('default');
      expect(
        statuses.some((status) => /^2\d\d$/.test(status)),
        name,
      ).toBe(true);
      for (const [status, response] of Object.entries<Json>(operation.responses)) {
        expect(status, name).toMatch(/^(?:default|[1-5]\d\d)$/);
        expect(response.description, name).toBeTypeOf('string');
        for (const media of Object.values<Json>(response.content))
          expect(media.schema, name).toBeTypeOf('object');
      }
    }
  });

  test('every path parameter is declared, once, and required', () => {
    for (const { name, path, operation } of operations()) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      const declared = operation.parameters.filter((parameter: Json) => parameter.in === 'path');
      expect(new Set(declared.map((parameter: Json) => parameter.name)), name).toEqual(new Set(inPath));
      expect(
        declared.every((parameter: Json) => parameter.required === true),
        name,
      ).toBe(true);
      const all = operation.parameters.map((parameter: Json) => `${parameter.in} ${parameter.name}`);
      expect(new Set(all).size, name).toBe(all.length);
      for (const parameter of operation.parameters) {
        expect(['path', 'query', 'header', 'cookie']).toContain(parameter.in);
        expect(parameter.schema, `${name} ${parameter.name}`).toHaveProperty('type');
      }
    }
  });

  test('security names a declared scheme; only public routes have none', () => {
    const schemes = Object.keys(document.components.securitySchemes);
    for (const route of allRoutes()) {
      const operation = document.paths[route.path][route.method.toLowerCase()];
      expect('security' in operation, nameOf(route)).toBe(route.access !== 'public');
      const named = (operation.security ?? []).flatMap((requirement: Json) => Object.keys(requirement));
      expect(schemes).toEqual(expect.arrayContaining(named));
    }
  });

  test('a body is declared exactly where one is taken; every POST takes an Idempotency-Key', () => {
    for (const { name, operation } of operations()) {
      const keyed = operation.parameters.some((parameter: Json) => parameter.name === 'Idempotency-Key');
      expect(keyed, name).toBe(name.startsWith('POST '));
      expect('requestBody' in operation, name).toBe(/^(?:POST|PATCH) /.test(name));
      const schema = operation.requestBody?.content['application/json'].schema;
      expect(schema?.type ?? 'object', name).toBe('object');
    }
  });

  test('schemas are of JSON Schema 2020-12: known types, nothing of OpenAPI 3.0', () => {
    const types = ['null', 'boolean', 'object', 'array', 'number', 'string', 'integer'];
    let count = 0;
    for (const { at, value } of objectsOf(document)) {
      // Below these, a name is a caller's and not a keyword.
      if (/\/(?:properties|examples|default)$|\/(?:examples|default)\//.test(at) || value.type === 'http')
        continue;
      if (value.type === undefined) continue;
      count++;
      for (const type of [value.type].flat()) expect(types, at).toContain(type);
      expect(value, at).not.toHaveProperty('nullable');
    }
    expect(count).toBeGreaterThan(200);
  });
});

test('GET /docs says how to send a credential, and every code with its status', async () => {
  const { text } = await service.client(undefined).get('/docs');
  expect(text).toContain('Authorization: Bearer cs_');
  expect(text).toContain('application/problem+json');
  expect(text).toContain('Amounts are strings');
  for (const [code, status] of Object.entries(STATUS_OF)) {
    expect(text).toContain(`<tr><td><code>${code}</code></td><td>${status}</td>`);
  }
});

test('GET /docs: every member and parameter has a type, texts have no markup of their own', async () => {
  const { text } = await service.client(undefined).get('/docs');
  expect(text).not.toContain('`');
  expect(text).not.toMatch(/<i>(?:,[^<]*)?<\/i>/);
  expect(text).not.toMatch(/one of\s+or|array of (?:,|<)| or (?:,|<\/)/);
  expect(text).toMatch(/<code>nextCursor<\/code> <i>string or null<\/i>/);
  expect(text).toContain('<i>&quot;file&quot; | &quot;passphrase&quot; | &quot;shamir&quot; or null</i>');
  expect(text).toContain('<i>array of string, optional</i>');
  expect(text).toContain('query, default &quot;asc&quot;');
  expect(text).toContain('e.g. <code>&quot;treasury&quot;</code>');
  expect(text).toContain('Every POST takes an <code>Idempotency-Key</code>');
});

test('GET /docs is one HTML page with every route, without script and without anything from elsewhere', async () => {
  const page = await service.client(undefined).get('/docs');
  expect(page.status).toBe(200);
  expect(page.headers.get('content-type')).toMatch(/^text\/html\b/);
  expect(page.text).toMatch(/^<!doctype html>/);
  for (const { method, path, summary } of allRoutes()) {
    expect(page.text).toContain(`<b>${method}</b> ${path}</p>`);
    expect(page.text.replaceAll(/<\/?code>/g, '')).toContain(summary.replaceAll('`', ''));
  }
  expect(page.text).not.toMatch(/<script|\son\w+=|javascript:/i);
  expect(page.text).not.toMatch(/https?:|\/\/[a-z]|@import|url\(/i);
  const links = [...page.text.matchAll(/(?:href|src)="([^"]*)"/g)].map((match) => match[1] ?? '');
  const anchors = new Set([...page.text.matchAll(/ id="([^"]*)"/g)].map((match) => `#${match[1]}`));
  expect(anchors.size).toBe(allRoutes().length + 1);
  for (const link of links) expect(link === '/openapi.json' || anchors.has(link), link).toBe(true);
});

test('what is not there points to the page', async () => {
  const answer = await service.client(undefined).get('/');
  expect(answer.status).toBe(404);
  expect(answer.body.detail).toBe('there is nothing at /: the API is described at /docs');
});
