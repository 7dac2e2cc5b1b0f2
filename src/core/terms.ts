/** One document that new users agree to (client-server API, Terms of service at registration). */
export interface TermsPolicy {
  readonly version: string;
  /** What it is called and where it is, by language (`en`, `de-AT`); at least one. */
  readonly languages: Readonly<Record<string, { readonly name: string; readonly url: string }>>;
}

/** Documents by id, such as `privacy_policy`. */
export type TermsPolicies = Readonly<Record<string, TermsPolicy>>;

/** `id version language url name`; a language can not be confused with the key `version` that stands beside it. */
const ITEM = /^([\w.-]{1,64}) +(\S{1,64}) +([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})?) +(\S+) +(\S.*)$/;

/** Reads the documents of an operator, each language an item. Throws an `Error` that says what does not fit. */
export function parseTerms(items: readonly string[]): TermsPolicies {
  const found = new Map<string, TermsPolicy>();
  for (const item of items) {
    const parts = ITEM.exec(item);
    if (parts === null) throw new Error(`'${item}' is not id, version, language, URL and name`);
    const [, id = '', version = '', language = '', url = '', name = ''] = parts;
    const known = found.get(id) ?? { version, languages: {} };
    if (known.version !== version) throw new Error(`'${id}' has two versions, ${known.version} and ${version}`);
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
      throw new Error(`'${url}' is not an http or https URL`);
    }
    found.set(id, { version, languages: { ...known.languages, [language]: { name, url } } });
  }
  return Object.fromEntries(found);
}
