import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServerName } from '#core/ids.js';
import { signingKeyFromSeed } from '#core/signing.js';
import {
  authorizeRequest,
  parseXMatrix,
  requestSignatureSteps,
  type SignedRequest,
  type XMatrix,
} from '#core/x-matrix.js';
import { drive } from '#util/steps.js';

const server = (name: string): ServerName => ServerName.parse(name)!;
const key = signingKeyFromSeed(Buffer.alloc(32, 7), 'a_1');
const request: SignedRequest = {
  method: 'PUT',
  uri: '/_matrix/federation/v1/send/1?b=%2F&a=%2f',
  origin: server('origin.example'),
  destination: server('[2001:db8::1]:8448'),
  content: { pdus: [], edus: [] },
};

const requestSignatureValid = (header: XMatrix, signed: SignedRequest, publicKey: string): boolean =>
  drive(requestSignatureSteps(header, signed, publicKey));

test('a header that we write is one that we read, and its signature holds', () => {
  const text = authorizeRequest(request, key);
  assert.match(
    text,
    /^X-Matrix origin="origin\.example",destination="\[2001:db8::1\]:8448",key="ed25519:a_1",sig="[^"]{86}"$/,
  );
  const header = parseXMatrix(text)!;
  assert.equal(header.origin, 'origin.example');
  assert.equal(header.destination, '[2001:db8::1]:8448');
  assert.equal(header.key, 'ed25519:a_1');
  assert.ok(requestSignatureValid(header, request, key.publicKey));
});

test('a signature holds for no other method, uri, origin, destination or body', () => {
  const header = parseXMatrix(authorizeRequest(request, key))!;
  const others: Partial<SignedRequest>[] = [
    { method: 'POST' },
    { uri: '/_matrix/federation/v1/send/1?a=%2f&b=%2F' },
    { uri: '/_matrix/federation/v1/send/1?b=%2f&a=%2f' },
    { uri: '/_matrix/federation/v1/send/1?b=/&a=/' },
    { origin: server('other.example') },
    { destination: server('other.example') },
    { content: { pdus: [], edus: [{}] } },
    { content: undefined },
    { content: { bad: '\ud800' } },
  ];
  for (const other of others) {
    assert.ok(!requestSignatureValid(header, { ...request, ...other }, key.publicKey), JSON.stringify(other));
  }
  assert.ok(!requestSignatureValid({ ...header, origin: server('other.example') }, request, key.publicKey));
});

test('a request without a body is signed without content', () => {
  const { content: _, ...bare } = { ...request, method: 'GET' };
  const header = parseXMatrix(authorizeRequest(bare, key))!;
  assert.ok(requestSignatureValid(header, bare, key.publicKey));
  assert.ok(!requestSignatureValid(header, { ...bare, content: {} }, key.publicKey));
});

test('spacing, case, order, quotes and unknown parameters vary among servers', () => {
  const forms = [
    'X-Matrix origin="a.example",destination="b.example",key="ed25519:1",sig="ABC+/d"',
    'X-Matrix origin=a.example,destination=b.example,key="ed25519:1",sig="ABC+/d"',
    'X-Matrix origin=a.example,destination=b.example,key=ed25519:1,sig=ABC+/d',
    'x-matrix   SIG="ABC+/d" , \t Key="ed25519:1",Destination="b.example",ORIGIN="a.example"',
    'X-Matrix origin="a.example",destination="b.example",key="ed25519:1",sig="ABC+/d",new="x, y=\\"z\\""',
    'X-Matrix ,origin="a\\.example",,destination="b.example",key="ed\\25519:1",sig="ABC+/d",',
  ];
  for (const form of forms) {
    const parsed = parseXMatrix(form);
    assert.deepEqual(parsed, { origin: 'a.example', destination: 'b.example', key: 'ed25519:1', sig: 'ABC+/d' }, form);
  }
});

test('the destination may be missing', () => {
  const parsed = parseXMatrix('X-Matrix origin=localhost:8448,key="ed25519:1",sig="ABC"');
  assert.deepEqual(parsed, { origin: 'localhost:8448', key: 'ed25519:1', sig: 'ABC' });
});

test('anything else is no X-Matrix header', () => {
  const rest = ',key="ed25519:1",sig="ABC"';
  const bad = [
    '',
    'X-Matrix',
    'X-Matrix ',
    'Bearer abc',
    'X-Matrixorigin=a.example,key=k,sig=s',
    'X-Matrix origin=a.example,key="ed25519:1"',
    'X-Matrix origin=a.example,sig="ABC"',
    'X-Matrix key="ed25519:1",sig="ABC"',
    'X-Matrix origin=a.example,key="",sig="ABC"',
    `X-Matrix origin=a.example,origin=b.example${rest}`,
    `X-Matrix origin=a.example,destination=""${rest}`,
    `X-Matrix origin="a.example${rest}`,
    `X-Matrix origin="a.example"x${rest}`,
    `X-Matrix origin${rest}`,
    `X-Matrix ${'a'.repeat(5000)}=1,origin=a.example${rest}`,
  ];
  for (const text of bad) assert.equal(parseXMatrix(text), undefined, text.slice(0, 80));
  for (const origin of [
    'example.com:abc',
    'a/b',
    'a@b',
    'é.example',
    'exa\0mple',
    '2001:db8::1',
    'a'.repeat(300),
    'a:99999',
  ]) {
    assert.equal(parseXMatrix(`X-Matrix origin="${origin}"${rest}`), undefined, origin);
  }
});
