import { resolve } from 'node:path';
import { type Command, type Context, EXIT, type Invocation } from '#cli/command.js';
import { OptimizeUnderLoad, STARTING_MS } from '#cli/compilers.js';
import { type ControlSocket, controlSocketPath, openControlSocket } from '#cli/control.js';
import { collectAtRest, type Following } from '#cli/rest.js';
import { VERBS } from '#cli/verbs.js';
import { openLog } from '#log';
import { openServer, type Server } from '#server';
import { ensureFirstToken } from '#users/registration-tokens.js';
import { letIn } from '#util/clock.js';
import type { Log } from '#util/log.js';
import { VERSION } from '#util/version.js';

/**
 * A second signal ends the process at once, unless it comes this soon after the first: on Ctrl-C the terminal signals the
 * server, and npm passes the same signal on to it once more.
 */
const SAME_SIGNAL_WITHIN_MS = 500;

/** What a start does without is loaded so soon after it that the memory of both is given back together (`collectAtRest`). */
const LOAD_AFTER_MS = 100;

export const serve: Command = {
  name: 'serve',
  words: [],
  summary: 'Run the server until SIGTERM or SIGINT; a second signal ends it at once.',
  flags: {},
  async run(context, invocation) {
    const { config } = invocation;
    const { clock, random } = context;
    const log = openLog({
      level: config.log,
      format: config.logFormat,
      clock,
      write: (line) => context.out(line.trimEnd()),
    });
    const stopped = stopSignal(context, log);
    // A promise that nobody looked at is a bug of ours, but none that everyone on the server should be cut off for.
    context.onUnhandledRejection((error) => log.error('An unforeseen fault; please report it.', { error }));
    const optimizing = new OptimizeUnderLoad(clock);
    let collecting: Following | undefined;
    const onRequest = (): void => {
      optimizing.request();
      collecting?.request();
    };
    const server = await openServer(config, { clock, random, log, onRequest });
    const control = await openControl(invocation, server, context, log);
    await greet(context, invocation, server, log);
    const loading = clock.after(LOAD_AFTER_MS, () => {
      log.prepare();
      letIn()
        .then(() => server.prepare())
        .catch((error: unknown) => log.error('A part of the server could not be loaded.', { error }));
    });
    const onceStarted = clock.after(STARTING_MS, () => optimizing.look());
    collecting = collectAtRest(clock, { atRest: () => server.rest(), onLook: () => optimizing.look() });
    await stopped;
    loading.cancel();
    onceStarted.cancel();
    collecting.stop();
    await control?.close();
    await server.close();
    log.info('Stopped.');
    return undefined;
  },
};

/** Resolves at the first signal; a second one ends the process. */
function stopSignal({ clock, onStopSignal, exit }: Context, log: Log): Promise<void> {
  return new Promise((done) => {
    let firstMs: number | undefined;
    onStopSignal((signal) => {
      const nowMs = clock.monotonicMs();
      if (firstMs === undefined) {
        firstMs = nowMs;
        log.info('Stopping: requests that run are let finish.', { signal });
        done();
      } else if (nowMs - firstMs > SAME_SIGNAL_WITHIN_MS) {
        exit(EXIT.failed);
      }
    });
  });
}

async function openControl(
  { config }: Invocation,
  server: Server,
  { clock }: Context,
  log: Log,
): Promise<ControlSocket | undefined> {
  const path = controlSocketPath(config.data);
  if (path !== undefined) return openControlSocket(VERBS, server.layers, { path, log, clock });
  log.warn('The path of the data directory is too long for a control socket: commands can not reach this server.');
  return undefined;
}

/** Says where the server is, and how to begin while there is no account. */
async function greet(context: Context, { config }: Invocation, server: Server, log: Log): Promise<void> {
  const urls = server.addresses.map(({ host, port }) => `http://${host.includes(':') ? `[${host}]` : host}:${port}`);
  const base = config.publicUrl ?? urls[0]?.replace(/\/\/(0\.0\.0\.0|\[::\])(?=:)/, '//localhost');
  const token = config.registration === 'token' ? await ensureFirstToken(server.layers.users) : undefined;
  if (config.logFormat === 'json') {
    log.info('Listening.', { version: VERSION, serverName: config.serverName, urls, data: resolve(config.data) });
    // Not by the name of a registration token: that the log would mask, and this one must be readable.
    if (token !== undefined) log.info('There is no account yet.', { oneTimeAdministratorToken: token });
    return;
  }
  if (config.log !== 'silent') {
    context.out(`Runnel ${VERSION} serves ${config.serverName} on ${urls.join(' and ')}`);
    context.out(`Its data is in ${resolve(config.data)}`);
  }
  if (token === undefined) return;
  context.out(
    [
      '',
      'There is no account yet. The first one, an administrator, is made with this one-time registration token:',
      '',
      `    ${token}`,
      '',
      `In a Matrix client choose to create an account, and as homeserver ${base}`,
      'Or make it here: runnel user create NAME --admin',
      '',
    ].join('\n'),
  );
}
