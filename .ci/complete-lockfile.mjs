#!/usr/bin/env node
/*
 * npm leaves an optional package out of the lockfile when the registry in use does not have it, and `npm ci` then
 * refuses the lockfile. Run this after `npm install` has changed package-lock.json: it adds what is missing, with the
 * version that the parent pins and the platform that the name says. Such an entry has no integrity hash; it is used
 * only on that platform, for development tools.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const OS = {
  android: 'android',
  darwin: 'darwin',
  freebsd: 'freebsd',
  linux: 'linux',
  openharmony: 'openharmony',
  win32: 'win32',
};
const CPU = {
  amd64: 'x64',
  x64: 'x64',
  arm64: 'arm64',
  arm: 'arm',
  ia32: 'ia32',
  ppc64: 'ppc64',
  riscv64: 'riscv64',
  s390x: 's390x',
};

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));
for (const [place, { dev, optionalDependencies = {} }] of Object.entries(lock.packages)) {
  if (place === '') continue;
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const path = `node_modules/${name}`;
    if (lock.packages[path] !== undefined || lock.packages[`${place}/${path}`] !== undefined) continue;
    const words = name.split(/[/-]/);
    const os = words.map((word) => OS[word]).find(Boolean);
    const cpu = words.map((word) => CPU[word]).find(Boolean);
    if (!/^\d/.test(version) || os === undefined) continue;
    const entry = { version, ...(cpu && { cpu: [cpu] }), ...(dev && { dev }), optional: true, os: [os] };
    lock.packages[path] = entry;
    console.log(`added ${name} ${version}`);
  }
}
const { '': root, ...packages } = lock.packages;
const sorted = Object.entries(packages).toSorted(([a], [b]) => (a < b ? -1 : 1));
lock.packages = Object.fromEntries([['', root], ...sorted]);
writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`);
