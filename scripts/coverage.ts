/**
 * `node build/scripts/coverage.js FILE`: reads the answers that the black-box tests got (`spec-tests/support/record.ts`), and
 * exits with 1 where an operation of the endpoint table never gave a good one, or never refused what is wrong with it.
 */
import { readFileSync } from 'node:fs';
import type { App } from '#api/app.js';
import { ENDPOINTS } from '#api/endpoints.js';
import { MatrixError } from '#core/errors.js';
import { Routes } from '#http/routes.js';

/** Operations that take nothing that could be wrong: they refuse no one, or only whoever has no access token. */
const NOTHING_WRONG: Readonly<Record<string, 'no one' | 'without a token'>> = {
  getVersions: 'no one',
  getLoginFlows: 'no one',
  synapseRegisterNonce: 'no one',
  getServerKey: 'no one',
  getVersion: 'no one',
  getCapabilities: 'without a token',
  logout: 'without a token',
  logout_all: 'without a token',
  getTokenOwner: 'without a token',
  getAccount3PIDs: 'without a token',
  getDevices: 'without a token',
  getJoinedRooms: 'without a token',
  getPushRulesGlobal: 'without a token',
  getPushers: 'without a token',
  getConfigAuthed: 'without a token',
  getConfig: 'without a token',
  createContent: 'without a token',
  msc4140List: 'without a token',
};

/** What an operation was seen to answer. */
interface Seen {
  good: boolean;
  refusesInput: boolean;
  refusesStrangers: boolean;
}

const [file] = process.argv.slice(2);
if (file === undefined) {
  console.error('Name the file that the tests wrote their answers into.');
  process.exit(2);
}

const routes = new Routes<App>(ENDPOINTS);
const seen = new Map<string, Seen>(
  ENDPOINTS.map(({ id }) => [id, { good: false, refusesInput: false, refusesStrangers: false }]),
);

function operationOf(method: string, path: string): string | undefined {
  try {
    const match = routes.match(method, path);
    return match.kind === 'route' ? match.route.endpoint.id : undefined;
  } catch (error) {
    // The path itself is what a test has made wrong.
    if (error instanceof MatrixError) return undefined;
    throw error;
  }
}

for (const line of readFileSync(file, 'utf8').split('\n')) {
  const [method = '', path = '', status = '', errcode = ''] = line.split(' ');
  const entry = seen.get(operationOf(method, path) ?? '');
  if (entry === undefined) continue;
  const code = Number(status);
  entry.good ||= code >= 200 && code < 400;
  entry.refusesStrangers ||= code === 401;
  // No answer to the input: that nobody is known to call, that nothing is there, or that there was too much of it.
  const isOther = code === 401 || code === 429 || errcode === 'M_UNRECOGNIZED';
  entry.refusesInput ||= code >= 400 && code < 500 && !isOther;
}

const problems: string[] = [];
for (const [id, { good, refusesInput, refusesStrangers }] of seen) {
  const exception = NOTHING_WRONG[id];
  if (!good) problems.push(`${id}: no test gets a good answer`);
  if (exception === undefined && !refusesInput) problems.push(`${id}: no test is refused`);
  if (exception !== undefined && refusesInput) problems.push(`${id}: stands in NOTHING_WRONG, and refuses something`);
  if (exception === 'without a token' && !refusesStrangers) problems.push(`${id}: no test calls it without a token`);
}
for (const id of Object.keys(NOTHING_WRONG)) {
  if (!seen.has(id)) problems.push(`${id}: stands in NOTHING_WRONG, and is no operation`);
}
for (const problem of problems) console.error(problem);
console.log(`${seen.size} operations, ${problems.length} gaps in the black-box tests.`);
process.exit(problems.length === 0 ? 0 : 1);
