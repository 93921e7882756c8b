/** Takes what is secret out of an endpoint's words. */

/** Shorter texts in an answer are not the secret, only equal to it. */
const MIN_REDACTED_CHARACTERS = 6;

interface Secrets {
  /** Endpoints often take a token in its query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
  readonly proxy?: { readonly authorization?: string };
}

export function redaction(options: Secrets): (text: string) => string {
  const secrets = secretTexts(options);
  return (text) => secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text);
}

/** What an endpoint might repeat in its answer and nobody may read there: whole values, and their last words. */
function secretTexts({ url, headers, secrets, proxy }: Secrets): string[] {
  const logins = [...Object.values(headers), proxy?.authorization ?? ''];
  const texts = [...secrets, ...logins].flatMap((text) => {
    const whole = text.trim();
    return [whole, whole.slice(whole.lastIndexOf(' ') + 1), whole.replace(/^(?:whsec|whsk)_/, '')];
  });
  texts.push(...queryTexts(url), ...logins.flatMap(loginTexts));
  // The longest first: a part taken out of a whole would leave the rest of it.
  return [...new Set(texts)]
    .filter((text) => text.length >= MIN_REDACTED_CHARACTERS)
    .sort((one, other) => other.length - one.length);
}

/** The query as it is sent, and each of its values, sent and read. */
function queryTexts(url: string): string[] {
  const { search, searchParams } = new URL(url);
  const sent = search.slice(1).split('&');
  const values = sent.map((pair) => pair.slice(pair.indexOf('=') + 1));
  return [search.slice(1), ...values, ...searchParams.values()];
}

/** User and password of `Basic …` as an endpoint reads them (RFC 7617). */
function loginTexts(header: string): string[] {
  const [, encoded] = /^basic +([a-z0-9+/=]+)$/i.exec(header.trim()) ?? [];
  if (encoded === undefined) return [];
  const login = Buffer.from(encoded, 'base64').toString('utf8');
  return [login, login.slice(login.indexOf(':') + 1)];
}
