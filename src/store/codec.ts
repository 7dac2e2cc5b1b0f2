import { crc32 } from 'node:zlib';
import { ByteWriter } from '#store/byte-writer.js';
import type { KeyPart, Keyspace } from '#store/keyspace.js';
import { StoreError } from '#store/store-error.js';
import { assert } from '#util/assert.js';

/**
 * Order-preserving keys. A key is one byte of keyspace id and then its parts, each with a tag of its own, so that bytes
 * of one tuple are never those of another:
 *
 * - string: 0x02, its UTF-8 bytes with 0x00 written as 0x00 0xFF, and 0x00 as end;
 * - integer: 0x14 + n, n bytes of magnitude, big end first; below zero 0x14 - n and the bytes complemented; 0x14 is 0.
 *
 * Byte order of keys is the order of tuples: integers by value, before them strings by their UTF-8 bytes.
 */
const STRING = 0x02;
const ZERO = 0x14;
/** Above every tag, so `prefix + 0xFF` is the end of all keys that begin with `prefix`. */
const END = 0xff;
const LARGEST_KEYSPACE = 0xfe;
const MAX_INTEGER_BYTES = 7;

const CRC_BYTES = 4;

/** Every key and row is written here first, and its bytes taken out once they are all there. */
const scratch = new ByteWriter();

function writeString(text: string): void {
  // A lone surrogate would become U+FFFD and so another string's key.
  assert(text.isWellFormed(), 'a key part holds a lone surrogate');
  scratch.byte(STRING);
  if (text.includes('\0')) {
    for (const byte of Buffer.from(text)) {
      scratch.byte(byte);
      if (byte === 0) scratch.byte(0xff);
    }
  } else {
    scratch.utf8(text);
  }
  scratch.byte(0);
}

function writeInteger(value: number): void {
  assert(Number.isSafeInteger(value), 'a key part is not a safe integer');
  const magnitude = Math.abs(value);
  let size = 0;
  let scale = 1;
  for (; scale <= magnitude; scale *= 256) size++;
  scratch.byte(value < 0 ? ZERO - size : ZERO + size);
  const flip = value < 0 ? 0xff : 0;
  while (scale > 1) {
    scale /= 256;
    scratch.byte((Math.floor(magnitude / scale) % 256) ^ flip);
  }
}

function writeParts(parts: readonly KeyPart[]): void {
  for (let at = 0; at < parts.length; at++) {
    const part = parts[at]!;
    if (typeof part === 'string') writeString(part);
    else writeInteger(part);
  }
}

function write(keyspace: number, first: readonly KeyPart[], then: readonly KeyPart[]): void {
  assert(Number.isInteger(keyspace) && keyspace > 0 && keyspace <= LARGEST_KEYSPACE, 'a keyspace id is out of range');
  scratch.restart().byte(keyspace);
  writeParts(first);
  writeParts(then);
}

const NONE: readonly KeyPart[] = [];

/** The bytes of a key. Also the lower bound of everything that begins with `parts`. */
export function encodeKey(keyspace: number, parts: readonly KeyPart[], then: readonly KeyPart[] = NONE): Buffer {
  write(keyspace, parts, then);
  return scratch.copy();
}

/** A key with a character for each of its bytes: what maps are keyed by, and cheaper than the bytes themselves. */
export function encodeKeyId(keyspace: number, parts: readonly KeyPart[]): string {
  write(keyspace, parts, NONE);
  return scratch.latin1(scratch.length);
}

/** The smallest bytes above every key that begins with `parts` and then `then`. */
export function encodeKeyEnd(keyspace: number, parts: readonly KeyPart[], then: readonly KeyPart[] = NONE): Buffer {
  write(keyspace, parts, then);
  return scratch.byte(END).copy();
}

/** A row's key and what is put there, in one piece of memory. */
export interface EncodedRow {
  /** The key as `encodeKeyId` gives it. */
  readonly id: string;
  readonly keyLength: number;
  /** The key and behind it the sealed value; the key alone where the row is to be deleted. */
  readonly bytes: Buffer;
}

/**
 * A row as it lies on disk: key, value, and a CRC-32 over both, so that rot in a table file and a value that strayed to
 * another key are noticed when they are read (LevelDB does not verify its own checksums on reads).
 */
export function encodeRow<V>(
  keyspace: Keyspace<readonly KeyPart[], V>,
  parts: readonly KeyPart[],
  value: V,
): EncodedRow {
  write(keyspace.id, parts, NONE);
  const keyLength = scratch.length;
  const id = scratch.latin1(keyLength);
  keyspace.value.encode(value, scratch);
  const content = scratch.view();
  const bytes = Buffer.allocUnsafe(content.length + CRC_BYTES);
  bytes.set(content);
  bytes.writeUInt32LE(crc32(content), content.length);
  return { id, keyLength, bytes };
}

/** A row to be deleted. */
export function encodeDeleted(keyspace: number, parts: readonly KeyPart[]): EncodedRow {
  const bytes = encodeKey(keyspace, parts);
  return { id: scratch.latin1(bytes.length), keyLength: bytes.length, bytes };
}

/** Keyspace id and parts of a key. Throws `StoreError` corrupt for bytes that `encodeKey` did not make. */
export function decodeKey(key: Buffer): { keyspace: number; parts: KeyPart[] } {
  const bad = (): never => {
    throw new StoreError('corrupt', `a key on disk can not be read: ${key.toString('hex')}`);
  };
  const parts: KeyPart[] = [];
  const keyspace = key[0] ?? bad();
  let at = 1;
  while (at < key.length) {
    const tag = key[at++]!;
    if (tag === STRING) {
      const bytes: number[] = [];
      let plainEnd = key.indexOf(0, at);
      if (plainEnd < 0) bad();
      if (key[plainEnd + 1] !== 0xff) {
        parts.push(key.toString('utf8', at, plainEnd));
        at = plainEnd + 1;
        continue;
      }
      for (plainEnd = at; ; plainEnd++) {
        const byte = key[plainEnd];
        if (byte === undefined) bad();
        if (byte !== 0) bytes.push(byte!);
        else if (key[plainEnd + 1] === 0xff) {
          bytes.push(0);
          plainEnd++;
        } else break;
      }
      parts.push(Buffer.from(bytes).toString('utf8'));
      at = plainEnd + 1;
    } else {
      const size = Math.abs(tag - ZERO);
      if (size > MAX_INTEGER_BYTES || at + size > key.length) bad();
      const flip = tag < ZERO ? 0xff : 0;
      let value = 0;
      for (let i = 0; i < size; i++) value = value * 256 + (key[at++]! ^ flip);
      parts.push(tag < ZERO ? -value : value);
    }
  }
  return { keyspace, parts };
}

/** Where the first part ends in a key that is written with a character a byte: what stands before is its prefix. */
export function firstPartEnd(id: string): number {
  const tag = id.charCodeAt(1);
  if (tag !== STRING) return 2 + Math.abs(tag - ZERO);
  let end = id.indexOf('\0', 2);
  while (id.charCodeAt(end + 1) === 0xff) end = id.indexOf('\0', end + 1);
  return end + 1;
}

/** The CRC of a sealed value. */
export function crcOf(sealed: Buffer): number {
  return sealed.readUInt32LE(sealed.length - CRC_BYTES);
}

/** The value in `sealed`; `StoreError` corrupt, naming keyspace and key, where the check fails. */
export function unseal(key: Buffer, sealed: Buffer, keyspace: Keyspace<readonly KeyPart[], unknown>): Buffer {
  const value = sealed.subarray(0, Math.max(0, sealed.length - CRC_BYTES));
  if (sealed.length < CRC_BYTES || crc32(value, crc32(key)) !== crcOf(sealed)) {
    throw new StoreError('corrupt', `the row ${keyspace.name} ${describeKey(key)} is damaged on disk`);
  }
  return value;
}

/** A key for people: its parts as JSON, or hexadecimal where they can't be read. */
export function describeKey(key: Buffer): string {
  try {
    return JSON.stringify(decodeKey(key).parts);
  } catch {
    return key.toString('hex');
  }
}
