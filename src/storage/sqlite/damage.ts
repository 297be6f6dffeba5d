/** More than that lie behind each other nowhere; a circle ends here. */
const MAX_CAUSES = 8;

/** SQLite's error of damage, where it is this one or lies behind it. */
export function damageIn(error: unknown): Error | undefined {
  for (let each = error, i = 0; each instanceof Error && i < MAX_CAUSES; each = each.cause, i++)
    if (isDamage(each)) return each;
  return undefined;
}

/** By its result code, or its extended one: SQLITE_CORRUPT or SQLITE_NOTADB (https://www.sqlite.org/rescode.html). */
function isDamage(error: Error): boolean {
  const { errcode: code } = error as { readonly errcode?: unknown };
  return typeof code === 'number' && [11, 26].includes(code & 0xff);
}

/** What is to be said of a database in which SQLite has found a page that cannot be one. */
export function describeDamage({ message }: Error): string {
  return `the database is damaged (${message}): look with audit verify --data, and restore a backup`;
}

/**
 * Whether anything that reads the database has met damage. From then on nothing is signed: what else is broken nobody knows, and what decides about
 * signatures is read from the same file.
 */
export class Damage {
  readonly #onFound: (reason: string) => void;
  #hindrance: string | undefined;

  /** @param onFound is told once. */
  constructor(onFound: (reason: string) => void) {
    this.#onFound = onFound;
  }

  /** Why nothing is to be signed, or undefined while nothing was found. Only another start makes it good. */
  get hindrance(): string | undefined {
    return this.#hindrance;
  }

  /** To be told of every error. */
  look(error: unknown): void {
    if (this.#hindrance !== undefined) return;
    const damage = damageIn(error);
    if (damage === undefined) return;
    this.#hindrance = describeDamage(damage);
    this.#onFound(this.#hindrance);
  }
}
