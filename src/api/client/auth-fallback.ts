import { createHash } from 'node:crypto';
import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import { object, string } from '#core/schema.js';
import type { TermsPolicies } from '#core/terms.js';
import { type Endpoint, endpoint, Reply } from '#http/endpoint.js';
import { escapeHtml } from '#http/landing.js';
import { agreeToTerms, mayAgreeToTerms } from '#users/registration.js';

/** Bytes of the form that comes back. */
const FORM_LIMIT = 4_096;

const STYLE = `
:root { color-scheme: light dark; }
body { max-width: 32rem; margin: 3rem auto; padding: 0 1rem; font: 16px/1.6 system-ui, sans-serif; }
button { padding: .6rem 1.2rem; font: inherit; }
`;
/** Tells the client that opened the page (client-server API, Fallback). */
const DONE = `
if (window.onAuthDone) window.onAuthDone();
else if (window.opener && window.opener.postMessage) window.opener.postMessage('authDone', '*');
`;

const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
/** Nothing is loaded from anywhere; style and script are admitted by their hashes, and the form goes back to us. */
function contentPolicy(): string {
  return [
    "default-src 'none'",
    `style-src ${hash(STYLE)}`,
    `script-src ${hash(DONE)}`,
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ');
}

function page(status: number, title: string, main: string): Reply {
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${title}</h1>
${main}
</body>
</html>
`;
  return new Reply(status, html, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': contentPolicy(),
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
  });
}

/** The languages of an `Accept-Language` header, in its order; weights are left aside, since browsers list by them. */
function languagesOf(header: string | undefined): string[] {
  return (header ?? '')
    .slice(0, 200)
    .split(',', 10)
    .map((part) => part.split(';')[0]!.trim().toLowerCase());
}

/** Links to the documents, each in the first language wanted that it has; else in English, else in its first. */
function links(policies: TermsPolicies, wanted: readonly string[]): string {
  return Object.values(policies)
    .map(({ languages }) => {
      const named = new Map(Object.entries(languages).map(([language, text]) => [language.toLowerCase(), text]));
      const found = [...wanted, 'en'].map((language) => named.get(language) ?? named.get(language.split('-')[0]!));
      const { name, url } = found.find((text) => text !== undefined) ?? Object.values(languages)[0]!;
      return `<li><a href="${escapeHtml(url)}" target="_blank" rel="noreferrer noopener">${escapeHtml(name)}</a></li>`;
    })
    .join('\n');
}

function formPage(session: string, policies: TermsPolicies, wanted: readonly string[]): Reply {
  const action = `?${escapeHtml(new URLSearchParams({ session }).toString())}`;
  return page(
    200,
    'Terms of this server',
    `<p>To make an account here you agree to:</p>
<ul>
${links(policies, wanted)}
</ul>
<form method="post" action="${action}"><button name="agree" value="yes">I agree</button></form>`,
  );
}

const unknownSession = (): Reply =>
  page(400, 'Nothing to agree to', '<p>This registration is unknown, over, or not yet at its terms. Begin anew.</p>');

const DECLARED = {
  path: '/_matrix/client/v3/auth/{authType}/fallback/web',
  caller: 'none',
  limit: 'register',
  params: () => object({ authType: string() }),
  query: () => object({ session: string() }),
} as const;

/** Only the terms have a page: every other stage that is offered here is for clients alone. */
function termsOf({ users }: App, authType: string): TermsPolicies {
  const { terms } = users.options;
  if (authType !== 'm.login.terms' || terms === undefined) {
    throw new MatrixError('M_UNRECOGNIZED', 'There is no fallback page for this stage');
  }
  return terms;
}

/** Web pages for stages of registration that a client does not know itself (client-server API, Fallback). */
export const authFallbackEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    ...DECLARED,
    id: 'authFallback',
    method: 'GET',
    async handle(app: App, { params, query, request }) {
      const terms = termsOf(app, params.authType);
      if (!mayAgreeToTerms(app.users, query.session)) return unknownSession();
      return formPage(query.session, terms, languagesOf(request.header('accept-language')));
    },
  }),
  endpoint({
    ...DECLARED,
    id: 'submitAuthFallback',
    method: 'POST',
    rawBody: true,
    bodyLimit: FORM_LIMIT,
    async handle(app: App, { params, query, request }) {
      termsOf(app, params.authType);
      const pieces: Buffer[] = [];
      for await (const piece of request.upload()) pieces.push(piece);
      const agreed = new URLSearchParams(Buffer.concat(pieces).toString()).get('agree') === 'yes';
      if (!agreed || !(await agreeToTerms(app.users, query.session))) return unknownSession();
      return page(
        200,
        'Thank you',
        `<p>You can close this page and go on in your client.</p>\n<script>${DONE}</script>`,
      );
    },
  }),
];
