import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Responder } from '#http/respond.js';
import { SimulatedClock } from '#util/clock.js';

const request = { complete: true, headers: {} } as IncomingMessage;

/** A response that notes in `written` what it is made to do. */
function response(name: string, written: string[], fails = false): ServerResponse {
  const note = (what: string) => () => {
    if (fails && what === 'body') throw new Error('out of order');
    written.push(`${name} ${what}`);
  };
  return { writeHead: note('head'), write: note('body'), end: note('end'), cork() {} } as unknown as ServerResponse;
}

test('answers to what came in together go out together, and one that fails takes none with it', async () => {
  const written: string[] = [];
  const givenUp: ServerResponse[] = [];
  const respond = new Responder(new SimulatedClock(), (failed) => givenUp.push(failed));
  const [a, b, c] = [response('a', written), response('b', written, true), response('c', written)];
  for (const each of [a, b, c]) respond.json(request, each, 200, {});
  // What can be wrong with a head is known to whoever sends it.
  assert.deepEqual(written, ['a head', 'b head', 'c head']);
  await turn();
  assert.deepEqual(written.slice(3), ['a body', 'a end', 'c body', 'c end']);
  assert.deepEqual(givenUp, [b]);
  respond.preflight(a);
  respond.json(request, c, 200, {});
  await turn();
  assert.deepEqual(written.slice(7), ['a head', 'c head', 'a end', 'c body', 'c end']);
});
