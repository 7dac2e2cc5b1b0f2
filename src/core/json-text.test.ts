import assert from 'node:assert/strict';
import test from 'node:test';
import { stringifyJson } from '#core/json.js';
import { type JsonObject, JsonText } from '#core/json-value.js';

test('what is written already is taken as it is, wherever it stands', () => {
  const inner = stringifyJson({ b: 'é\n', a: [1, { c: null }] });
  const body = {
    rooms: { join: { '!r:x': new JsonText(inner) } },
    list: [new JsonText('[]')],
  } as unknown as JsonObject;
  const plain = { rooms: { join: { '!r:x': { b: 'é\n', a: [1, { c: null }] } } }, list: [[]] };
  assert.equal(stringifyJson(body), JSON.stringify(plain));
  assert.equal(JSON.stringify(body), JSON.stringify(plain));
});
