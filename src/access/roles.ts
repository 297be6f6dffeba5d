/** Built-in roles. What each may do is said beside each route (http/routes); the matrix is generated from there. */
export const ROLES = ['admin', 'policy-admin', 'approver', 'operator', 'signer', 'auditor'] as const;
export type Role = (typeof ROLES)[number];

const FORBIDDEN_PAIRS: readonly (readonly [Role, Role])[] = [
  // Who asks for signatures must not be able to decide what may be signed, nor make the keys.
  ['signer', 'admin'],
  ['signer', 'policy-admin'],
  // Who checks must not act.
  ['auditor', 'admin'],
  ['auditor', 'policy-admin'],
  ['auditor', 'approver'],
  ['auditor', 'operator'],
  ['auditor', 'signer'],
];

/** The first two roles that one principal may not have together, or undefined when all is well. */
export function forbiddenPair(roles: readonly Role[]): readonly [Role, Role] | undefined {
  return FORBIDDEN_PAIRS.find(([a, b]) => roles.includes(a) && roles.includes(b));
}
