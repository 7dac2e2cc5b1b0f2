import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '#core/json-value.js';
import {
  formatSigningKey,
  parseSigningKey,
  type SigningKey,
  signByTweetnacl,
  signingKeyFromSeed,
  signJson,
  tweetnaclAgrees,
  verifyJson,
  verifyOnPool,
  verifySignature,
  verifySignatureByTweetnacl,
} from '#core/signing.js';
import { decodeBase64, encodeBase64 } from '#util/base64.js';
import { seededRandom } from '#util/random.js';

const SEED = decodeBase64('YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1')!;
const specKey = (): SigningKey => signingKeyFromSeed(SEED, '1');

test('signing JSON: the vectors of the specification (T11)', () => {
  assert.deepEqual(signJson({}, 'domain', specKey()), {
    signatures: {
      domain: {
        'ed25519:1': 'K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ',
      },
    },
  });
  assert.deepEqual(signJson({ one: 1, two: 'Two' }, 'domain', specKey()), {
    one: 1,
    two: 'Two',
    signatures: {
      domain: {
        'ed25519:1': 'KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw',
      },
    },
  });
});

test('a signature covers neither unsigned nor other signatures, and keeps both', () => {
  const key = specKey();
  const object = { a: 1, unsigned: { age: 5 }, signatures: { other: { 'ed25519:x': 'abc' } } };
  const signed = signJson(object, 'domain', key);
  assert.deepEqual(signed['unsigned'], { age: 5 });
  assert.deepEqual(Object.keys(signed['signatures'] as JsonObject), ['other', 'domain']);
  assert.ok(verifyJson({ ...signed, unsigned: { age: 99 } }, 'domain', key.id, key.publicKey));
  assert.ok(!verifyJson({ ...signed, a: 2 }, 'domain', key.id, key.publicKey));
  assert.ok(!verifyJson(signed, 'domain', 'ed25519:2', key.publicKey));
  assert.ok(!verifyJson(signed, 'elsewhere', key.id, key.publicKey));
});

test('names of servers and keys that mean something to JavaScript are data (T15)', () => {
  const key = specKey();
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    assert.ok(!verifyJson({ signatures: {} }, name, name, key.publicKey));
    const signed = signJson({}, name, key);
    assert.ok(verifyJson(signed, name, key.id, key.publicKey), name);
    assert.deepEqual(Object.keys(signed['signatures'] as JsonObject), [name]);
  }
  for (const signatures of [null, [], 'x', { domain: null }, { domain: [] }, { domain: { 'ed25519:1': 5 } }]) {
    assert.ok(!verifyJson({ signatures }, 'domain', 'ed25519:1', key.publicKey));
  }
});

test('an object without canonical form has no valid signature', () => {
  const key = specKey();
  const signed = signJson({}, 'domain', key);
  assert.ok(!verifyJson({ ...signed, bad: '\ud800' }, 'domain', key.id, key.publicKey));
});

test('node:crypto and tweetnacl make and accept the same signatures', () => {
  const random = seededRandom('agree');
  for (let round = 0; round < 10; round++) {
    const key = signingKeyFromSeed(random.bytes(32));
    assert.ok(tweetnaclAgrees(key));
    assert.ok(!tweetnaclAgrees({ ...key, seed: random.bytes(32) }));
    const message = random.bytes(round * 37);
    const signature = key.sign(message);
    assert.equal(signature, signByTweetnacl(key.seed, message));
    assert.ok(verifySignature(key.publicKey, signature, message));
    assert.ok(verifySignatureByTweetnacl(key.publicKey, signature, message));
    const other = Buffer.concat([message, Buffer.from([1])]);
    assert.ok(!verifySignature(key.publicKey, signature, other));
    assert.ok(!verifySignatureByTweetnacl(key.publicKey, signature, other));
  }
});

test('a signature with S + L is not the same signature', () => {
  const key = specKey();
  const message = Buffer.from('message');
  const bytes = decodeBase64(key.sign(message))!;
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  let scalar = BigInt(`0x${Buffer.from(bytes.subarray(32)).reverse().toString('hex')}`) + order;
  for (let index = 32; index < 64; index++) {
    bytes[index] = Number(scalar & 0xffn);
    scalar >>= 8n;
  }
  assert.ok(!verifySignature(key.publicKey, encodeBase64(bytes), message));
});

test('keys of small order, with which anyone could sign, are refused', () => {
  const points = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ];
  // R is the neutral element and S is 0: valid for every message whose hash is a multiple of the key's order.
  const forged = Buffer.alloc(64);
  forged[0] = 1;
  for (const point of points) {
    const publicKey = encodeBase64(Buffer.from(point, 'hex'));
    let index = 0;
    const message = (): Buffer => Buffer.from(`message ${index}`);
    while (!verifySignatureByTweetnacl(publicKey, encodeBase64(forged), message())) {
      assert.ok(++index < 100, `${point} is a point of small order`);
    }
    assert.ok(!verifySignature(publicKey, encodeBase64(forged), message()), point);
  }
});

test('malformed keys and signatures fail, and throw nothing', () => {
  const key = specKey();
  const message = Buffer.from('message');
  const signature = key.sign(message);
  assert.ok(verifySignature(`${key.publicKey}=`, `${signature}==`, message), 'padding is accepted');
  for (const bad of [
    '',
    '=',
    ' ',
    `${signature} `,
    ` ${signature}`,
    `${signature.slice(0, 40)}\n${signature.slice(40)}`,
  ]) {
    assert.ok(!verifySignature(key.publicKey, bad, message), bad);
  }
  for (const bad of [signature.slice(1), `${signature}AA`, signature.replaceAll(/[+/]/g, '-'), 'A'.repeat(100_000)]) {
    assert.ok(!verifySignature(key.publicKey, bad, message), bad.slice(0, 100));
  }
  for (const bad of ['', 'AAAA', `${key.publicKey}!`, key.publicKey.slice(1), 'A'.repeat(100_000), '\0']) {
    assert.ok(!verifySignature(bad, signature, message), bad.slice(0, 100));
  }
});

test('the pool answers in order, also where all jobs are malformed or there are none', (t, done) => {
  const key = specKey();
  const jobs = Array.from({ length: 60 }, (_, index) => {
    const bytes = Buffer.from(`message ${index}`);
    const good = { publicKey: key.publicKey, signature: key.sign(bytes), bytes };
    if (index % 4 === 1) return { ...good, bytes: Buffer.from('another') };
    if (index % 4 === 2) return { ...good, signature: 'junk' };
    return index % 4 === 3 ? { ...good, publicKey: 'junk' } : good;
  });
  let returned = false;
  verifyOnPool(jobs, (valid) => {
    assert.ok(returned);
    assert.deepEqual(
      valid,
      jobs.map((_, index) => index % 4 === 0),
    );
    verifyOnPool([], (none) => {
      assert.deepEqual(none, []);
      verifyOnPool([{ publicKey: '', signature: '', bytes: Buffer.alloc(0) }], (one) => {
        assert.deepEqual(one, [false]);
        done();
      });
    });
  });
  returned = true;
  t.diagnostic('waiting for the pool');
});

test('a key file is read back as it was written', () => {
  const key = specKey();
  // The specification's seed ends in bits that stand for nothing; ours end in zeros.
  assert.equal(formatSigningKey(key), 'ed25519 1 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA0\n');
  const again = parseSigningKey(formatSigningKey(key));
  assert.equal(again?.id, 'ed25519:1');
  assert.equal(again?.publicKey, key.publicKey);
  assert.match(signingKeyFromSeed(SEED).id, /^ed25519:a_[0-9a-f]{6}$/);
  for (const bad of ['', 'ed25519', 'ed25519 1', 'ed25519 1 AAAA', 'rsa 1 x', 'ed25519 a:b x', 'ed25519 1 a b']) {
    assert.equal(parseSigningKey(bad), undefined, bad);
  }
  assert.throws(() => signingKeyFromSeed(Buffer.alloc(31)), RangeError);
});
