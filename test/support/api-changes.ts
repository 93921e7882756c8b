/** What changed between two OpenAPI descriptions that a client of the older one would not outlive. */

export type ApiDescription = Readonly<Record<string, unknown>>;
type Node = Readonly<Record<string, unknown>>;

/** Words for a person: they may change. */
const WORDS = new Set(['description', 'summary', 'title', 'example', 'examples', 'info', 'tags']);

/**
 * Whatever is gone, or says another thing, and whatever is asked for now that was not. More paths, members of answers and
 * options are no break. It says too much rather than too little: a limit that is wider now is named as well.
 */
export function breakingChanges(before: ApiDescription, now: ApiDescription): string[] {
  return new Comparison(before, now).compare(before['paths'], now['paths'], '/paths');
}

/** A schema that is named elsewhere is compared where it is used: what an answer has more of breaks nobody, what is asked for does. */
class Comparison {
  readonly #before: ApiDescription;
  readonly #now: ApiDescription;
  readonly #seen = new Set<string>();

  constructor(before: ApiDescription, now: ApiDescription) {
    this.#before = before;
    this.#now = now;
  }

  compare(before: unknown, now: unknown, place: string): string[] {
    if (now === undefined) return [`${place} is gone`];
    if (Array.isArray(before) && Array.isArray(now)) return this.#lists(before, now, place);
    if (!isObject(before) || !isObject(now)) {
      return before === now
        ? []
        : [`${place} is ${JSON.stringify(now)} and was ${JSON.stringify(before)}`];
    }
    const [older, newer] = [resolved(before, this.#before), resolved(now, this.#now)];
    if (older !== before && this.#isSeen(before, now, place)) return [];
    const members = Object.entries(older)
      .filter(([name]) => !WORDS.has(name) || place.endsWith('/properties'))
      .flatMap(([name, value]) => this.compare(value, newer[name], `${place}/${escaped(name)}`));
    const asked = older['required'] === undefined ? addedIn([], newer['required'], place) : [];
    return [...members, ...asked];
  }

  /** Also what names itself within. */
  #isSeen(before: Node, now: Node, place: string): boolean {
    const what = [before['$ref'], now['$ref'], place.includes('/responses/')].join(' ');
    if (this.#seen.has(what)) return true;
    this.#seen.add(what);
    return false;
  }

  /** Parameters by their names, alternatives of a schema by their place, and all others as sets. */
  #lists(before: unknown[], now: unknown[], place: string): string[] {
    if (place.endsWith('/required')) {
      const gone = place.includes('/responses/') ? missing(before, now, place) : [];
      return [...addedIn(before, now, place.slice(0, -'/required'.length)), ...gone];
    }
    if (place.endsWith('/parameters')) {
      const [old, newer] = [byName(before), byName(now)];
      const kept = [...old].flatMap(([name, value]) =>
        this.compare(value, newer.get(name), `${place}/${name}`),
      );
      const added = [...newer].filter(
        ([name, value]) => !old.has(name) && value['required'] === true,
      );
      return [...kept, ...added.map(([name]) => `${place}/${name} asks for itself`)];
    }
    if (before.some(isObject)) {
      return before.flatMap((one, index) => this.compare(one, now[index], `${place}/${index}`));
    }
    return missing(before, now, place);
  }
}

/** What `#/components/…` names. */
function resolved(node: Node, document: ApiDescription): Node {
  const reference = node['$ref'];
  if (typeof reference !== 'string') return node;
  let found: unknown = document;
  for (const name of reference.split('/').slice(1)) found = isObject(found) ? found[name] : null;
  if (!isObject(found)) throw new Error(`${reference} names nothing`);
  return found;
}

function addedIn(before: unknown[], now: unknown, place: string): string[] {
  if (!Array.isArray(now) || place.includes('/responses/')) return [];
  return missing(now, before, place).map((text) =>
    text.replace(/ has no (.*) any more$/, ' asks for $1'),
  );
}

function missing(before: unknown[], now: unknown[], place: string): string[] {
  return before
    .filter((one) => !now.includes(one))
    .map((one) => `${place} has no ${String(one)} any more`);
}

function byName(parameters: unknown[]): Map<string, Node> {
  return new Map(parameters.filter(isObject).map((one) => [String(one['name']), one]));
}

function isObject(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 6901. */
function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
