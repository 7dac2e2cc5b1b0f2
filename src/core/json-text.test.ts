import assert from 'node:assert/strict';
import test from 'node:test';
import { JsonSlabs, jsonParts, stringifyJson } from '#core/json-text.js';
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

test('what is written as bytes goes out as it is, between pieces of text', () => {
  const slabs = new JsonSlabs();
  const rooms = Array.from({ length: 300 }, (_, i) => ({ name: `é${i}`, body: 'x'.repeat(i * 50), big: 2n ** 60n }));
  const large = 'y'.repeat(100_000);
  const body = {
    rooms: {
      join: Object.fromEntries(rooms.map((room, i) => [`!${i}:x`, slabs.write(room as unknown as JsonObject)])),
    },
    empty: {},
    list: [slabs.write([]), { n: 2n ** 60n }],
    large: slabs.write(large),
  } as unknown as JsonObject;
  const plain = {
    rooms: { join: Object.fromEntries(rooms.map((room, i) => [`!${i}:x`, room])) },
    empty: {},
    list: [[], { n: 2n ** 60n }],
    large,
  } as unknown as JsonObject;
  const parts = jsonParts(body);
  assert.ok(parts.filter((part) => typeof part !== 'string').length > 300);
  assert.equal(parts.map(String).join(''), stringifyJson(plain));
  assert.equal(stringifyJson(body), stringifyJson(plain));
  assert.deepEqual(jsonParts({ a: [1] }), ['{"a":[1]}']);
});
