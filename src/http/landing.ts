import { createHash } from 'node:crypto';
import { MatrixError } from '#core/errors.js';
import type { ServerName } from '#core/ids.js';
import { type Endpoint, endpoint, Reply } from '#http/endpoint.js';

/** What the page at `/` tells about the server. */
export interface Landing<App> {
  readonly serverName: ServerName;
  /** Public base URL for clients; undefined where the operator named none. Never taken from a request's `Host`. */
  readonly baseUrl: string | undefined;
  readonly registration: 'closed' | 'token' | 'open';
  /** What is wrong with the store, in words fit for anyone; undefined while it takes writes. */
  readonly problem: (app: App) => string | undefined;
}

const CLIENTS = [
  ['Element', 'https://element.io/download', 'web, desktop, Android, iOS'],
  ['FluffyChat', 'https://fluffychat.im', 'Android, iOS, web, Linux'],
  ['Cinny', 'https://cinny.in', 'web, desktop'],
  ['Fractal', 'https://gitlab.gnome.org/World/fractal', 'GNOME'],
  ['NeoChat', 'https://apps.kde.org/neochat', 'KDE, Windows'],
  ['Nheko', 'https://nheko-reborn.github.io', 'desktop'],
] as const;

const REGISTRATION = {
  closed: 'New accounts are made by the administrator.',
  token: 'To create an account you need a registration token from the administrator.',
  open: 'Anyone may create an account.',
} as const;

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --paper: #f6f7f9; --card: #fff; --line: #e2e6ec; --accent: #0b7a5c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ecf1; --soft: #9aa6b5; --paper: #12161c; --card: #1a2029; --line: #2a323e; --accent: #4fd1a5; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 2rem 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { width: 100%; max-width: 36rem; background: var(--card); border: 1px solid var(--line); border-radius: 16px; padding: 2.25rem 2rem; }
.state { display: inline-flex; align-items: center; gap: .5rem; margin: 0; color: var(--accent); font-size: .9rem; font-weight: 600; }
.state::before { content: ""; width: .6rem; height: .6rem; border-radius: 50%; background: currentColor; }
h1 { margin: .35rem 0 .25rem; font-size: 1.9rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 .5rem; font-size: 1.05rem; }
p { margin: .25rem 0; }
.soft { color: var(--soft); }
ol { margin: .5rem 0; padding-left: 1.3rem; }
code { padding: .1rem .4rem; border-radius: 6px; background: var(--paper); border: 1px solid var(--line); font-size: .92em; overflow-wrap: anywhere; }
ul { list-style: none; margin: .5rem 0 0; padding: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: .5rem; }
li a { display: block; padding: .6rem .8rem; border: 1px solid var(--line); border-radius: 10px; color: inherit; text-decoration: none; }
li a:hover, li a:focus-visible { border-color: var(--accent); }
li small { display: block; color: var(--soft); }
`;

/** Nothing is loaded from anywhere; the one style sheet is admitted by its hash. No script at all. */
function contentPolicy(): string {
  return [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Makes text safe inside HTML elements and quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => ESCAPES[sign] ?? sign);
}

/** The page for people who open the server's address in a browser. */
export function landingPage(landing: Landing<never>): string {
  const name = escapeHtml(landing.serverName);
  const address =
    landing.baseUrl === undefined
      ? 'the address that your browser shows for this page'
      : `<code>${escapeHtml(landing.baseUrl)}</code>`;
  const clients = CLIENTS.map(
    ([client, url, where]) =>
      `<li><a href="${url}" rel="noreferrer noopener">${client}<small>${where}</small></a></li>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${name} · Matrix homeserver</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<p class="state">It works</p>
<h1>${name}</h1>
<p class="soft">This is a Matrix homeserver, run by Runnel. You talk through it with a Matrix client.</p>
<h2>Log in</h2>
<ol>
<li>Open a Matrix client and choose to sign in to another homeserver.</li>
<li>As homeserver, enter ${address}.</li>
<li>Your user id looks like <code>@name:${name}</code>.</li>
</ol>
<p class="soft">${REGISTRATION[landing.registration]}</p>
<h2>Some clients</h2>
<ul>
${clients.join('\n')}
</ul>
</main>
</body>
</html>
`;
}

/** `/`, `/health` (the process answers) and `/ready` (the store takes writes), for people, supervisors and proxies. */
export function landingEndpoints<App>(landing: Landing<App>): Endpoint<App>[] {
  const outside = { method: 'GET', caller: 'none', limit: 'free' } as const;
  return [
    endpoint({
      ...outside,
      id: 'landing',
      path: '/',
      handle: async () =>
        new Reply(200, landingPage(landing), {
          'Content-Type': 'text/html; charset=utf-8',
          'Content-Security-Policy': contentPolicy(),
          'X-Content-Type-Options': 'nosniff',
          'X-Frame-Options': 'DENY',
          'Referrer-Policy': 'no-referrer',
          'Cache-Control': 'no-cache',
        }),
    }),
    endpoint({ ...outside, id: 'health', path: '/health', handle: async () => ({ status: 'ok' }) }),
    endpoint({
      ...outside,
      id: 'ready',
      path: '/ready',
      handle: async (app) => {
        const problem = landing.problem(app);
        if (problem !== undefined) throw new MatrixError('M_UNKNOWN', problem, { status: 503 });
        return { status: 'ok' };
      },
    }),
  ];
}
