import { ask } from '#cli/ask.js';
import { type Command, EXIT } from '#cli/command.js';
import { objects } from '#cli/table.js';
import { escapeControls } from '#log';

export const check: Command = {
  name: 'check',
  words: [],
  summary: 'Verify every invariant of the store, and media against their files.',
  details: 'Ends with 0 where all is well, and with 1 after listing what is not.',
  flags: { rebuild: { doc: 'First make anew what is derived from other rows. Only while no server runs.' } },
  async run(context, invocation) {
    const rebuild = invocation.flags['rebuild'] === true;
    const rebuilt = rebuild ? await ask(context, invocation, 'check --rebuild', {}) : {};
    const result = await ask(context, invocation, 'check', {});
    const lines = objects(result, 'problems').map(({ keyspace, key, problem }) =>
      escapeControls(`${keyspace} ${JSON.stringify(key)}: ${problem}`),
    );
    const ok = result['ok'] === true;
    return {
      json: { ...rebuilt, ...result },
      text: [
        ...(rebuild ? [`${rebuilt['rows_rebuilt']} rows made anew.`] : []),
        ...lines,
        ok ? 'The store is sound.' : `${lines.length} problems.`,
      ].join('\n'),
      exitCode: ok ? EXIT.ok : EXIT.failed,
    };
  },
};
