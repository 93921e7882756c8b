/** Takes what is secret out of an endpoint's words. */

/** Shorter texts in an answer are not the secret, only equal to it. */
const MIN_REDACTED_CHARACTERS = 6;

interface Secrets {
  readonly headers: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
  readonly proxy?: { readonly authorization?: string };
}

export function redaction(options: Secrets): (text: string) => string {
  const secrets = secretTexts(options);
  return (text) => secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text);
}

/** What an endpoint might repeat in its answer and nobody may read there: whole values, and their last words. */
function secretTexts({ headers, secrets, proxy }: Secrets): string[] {
  const login = proxy?.authorization ?? '';
  const texts = [...secrets, ...Object.values(headers), login].flatMap((text) => {
    const whole = text.trim();
    return [whole, whole.slice(whole.lastIndexOf(' ') + 1), whole.replace(/^(?:whsec|whsk)_/, '')];
  });
  // The longest first: a part taken out of a whole would leave the rest of it.
  return [...new Set(texts)]
    .filter((text) => text.length >= MIN_REDACTED_CHARACTERS)
    .sort((one, other) => other.length - one.length);
}
