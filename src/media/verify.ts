import type { MediaFiles } from '#media/files.js';
import { isKnown, ORPHAN_MS } from '#media/retention.js';
import {
  type Check,
  type CheckGround,
  derivedRow,
  Mender,
  problemOf,
  rowCheck,
  type StoreProblem,
} from '#store/checks.js';
import type { KeyPart, Keyspace } from '#store/keyspace.js';
import { untyped } from '#store/kv.js';
import {
  type MediaContent,
  type MediaRow,
  type MediaUsage,
  media,
  mediaContents,
  mediaUsage,
  urlPreviews,
  users,
} from '#store/schema.js';
import type { Store } from '#store/types.js';
import { digest } from '#util/digest.js';

/** Rows whose sums are gathered in one pass over all media. */
const SLICE = 50_000;

/** A sum over media that a row must say. */
interface Sums {
  files: number;
  bytes: number;
}

/**
 * Sums over all media for each row of `into`, whose key `keyOf` names: in slices of rows, each with a pass of its own, so
 * that no more than a slice is in memory.
 */
async function* sumsFor<V>(
  store: Store,
  into: Keyspace<[string], V>,
  keyOf: (row: MediaRow) => string | undefined,
): AsyncGenerator<[key: string, held: V, sums: Sums], void, undefined> {
  for (let after: readonly KeyPart[] | undefined; ; ) {
    const slice = await store.list(into, { ...(after === undefined ? {} : { gt: after }), limit: SLICE });
    const last = slice.at(-1);
    if (last === undefined) return;
    const sums = new Map(slice.map(([[key]]) => [key, { files: 0, bytes: 0 }]));
    for await (const [, row] of store.range(media)) {
      const key = keyOf(row);
      const sum = key === undefined ? undefined : sums.get(key);
      if (sum === undefined || row.content === undefined) continue;
      sum.files++;
      sum.bytes += row.content.size;
    }
    for (const [[key], held] of slice) yield [key, held, sums.get(key)!];
    if (slice.length < SLICE) return;
    after = last[0];
  }
}

const contentOf = (row: MediaRow): string | undefined => row.content?.sha256;
/** Link previews go on the account "". */
const uploaderOf = (row: MediaRow): string => row.uploader ?? '';

async function* referenceProblems({ store }: CheckGround): AsyncGenerator<StoreProblem, void, undefined> {
  for await (const [sha256, { references }, { files }] of sumsFor(store, mediaContents, contentOf)) {
    if (references !== files) yield problemOf(mediaContents, [sha256], `counts ${references} URIs, there are ${files}`);
  }
}

async function* usageProblems({ store }: CheckGround): AsyncGenerator<StoreProblem, void, undefined> {
  for await (const [user, held, { files, bytes }] of sumsFor(store, mediaUsage, uploaderOf)) {
    if (held.files !== files || held.bytes !== bytes) {
      const says = `says ${held.files} files with ${held.bytes} bytes`;
      yield problemOf(mediaUsage, [user], `${says}, there are ${files} with ${bytes}`);
    }
  }
}

/**
 * Puts back sums and the rows that hold them; a content that no URI names any more goes, its file with the next sweep. A usage
 * that was missing knows of no open uploads, which then count for nothing.
 */
async function rebuild({ store }: CheckGround): Promise<number> {
  const missing = new Mender(store);
  for await (const [, row] of store.range(media)) {
    const content: MediaContent | undefined = row.content && { size: row.content.size, references: 0, thumbnails: [] };
    if (row.content !== undefined && content !== undefined && !store.has(mediaContents, [row.content.sha256])) {
      await missing.mend(derivedRow(mediaContents, [row.content.sha256], content));
    }
    const nothing: MediaUsage = { bytes: 0, files: 0, pending: [] };
    const user = uploaderOf(row);
    if (!store.has(mediaUsage, [user])) await missing.mend(derivedRow(mediaUsage, [user], nothing));
  }
  let changed = await missing.end();
  const sums = new Mender(store);
  for await (const [sha256, held, { files }] of sumsFor(store, mediaContents, contentOf)) {
    if (files === 0) await sums.remove(mediaContents, [sha256]);
    else await sums.mend(derivedRow(mediaContents, [sha256], { ...held, references: files }));
  }
  for await (const [user, held, { files, bytes }] of sumsFor(store, mediaUsage, uploaderOf)) {
    await sums.mend(derivedRow(mediaUsage, [user], { ...held, files, bytes }));
  }
  changed += await sums.end();
  return changed;
}

/** What must hold of the rows that media write; `fileProblems` compares them with the disk. */
export const MEDIA_CHECKS: readonly Check[] = [
  rowCheck(media, function* ({ store }, [origin, id], { uploader, content, expiresTs }) {
    if (uploader !== undefined && !store.has(users, [uploader])) yield `there is no account ${uploader}`;
    if (content === undefined && expiresTs === undefined)
      yield 'has neither content nor a time until which it may come';
    if (content !== undefined) {
      const held = store.get(mediaContents, [content.sha256]);
      if (held === undefined)
        yield problemOf(mediaContents, [content.sha256], `is missing: mxc://${origin}/${id} names it`);
      else if (held.size !== content.size) yield `says ${content.size} bytes, its content has ${held.size}`;
    }
    const user = uploader ?? '';
    if (content !== undefined && !store.has(mediaUsage, [user])) yield problemOf(mediaUsage, [user], 'is missing');
  }),

  { covers: [untyped(mediaContents)], whole: referenceProblems },
  { covers: [untyped(mediaUsage)], whole: usageProblems, rebuild },

  rowCheck(mediaUsage, function* ({ store, serverName }, [user], { pending }) {
    for (const { id } of pending) {
      const row = store.get(media, [serverName, id]);
      if (row === undefined || row.content !== undefined) yield `the upload ${id} is not open`;
      else if ((row.uploader ?? '') !== user) yield `the upload ${id} is somebody else's`;
    }
  }),

  rowCheck(urlPreviews, function* (_ground, [hash], { url }) {
    if (digest(url) !== hash) yield 'is the preview of another address';
  }),
];

/** Compares rows with the files: every content and thumbnail lies there with its size, and no old file lies there unnamed. */
export async function* fileProblems(
  store: Store,
  files: MediaFiles,
  nowMs: number,
): AsyncGenerator<StoreProblem, void, undefined> {
  for await (const [[sha256], { size, thumbnails }] of store.range(mediaContents)) {
    const wanted = [
      [sha256, size] as const,
      ...thumbnails.map((one) => [`${sha256}-${one.variant}`, one.size] as const),
    ];
    for (const [name, bytes] of wanted) {
      const found = await sizeOf(files, name);
      if (found === undefined) yield problemOf(mediaContents, [sha256], `its file ${name} is missing`);
      else if (found !== bytes)
        yield problemOf(mediaContents, [sha256], `its file ${name} has ${found} bytes, not ${bytes}`);
    }
  }
  // A crash leaves files without a row, which the running server sweeps once they are a day old.
  for await (const name of files.names(nowMs - 2 * ORPHAN_MS)) {
    if (!isKnown(store, name))
      yield problemOf(mediaContents, [name.slice(0, 64)], `is missing: there is a file ${name}`);
  }
}

async function sizeOf(files: MediaFiles, name: string): Promise<number | undefined> {
  const file = await files.open(name);
  await file?.handle.close();
  return file?.size;
}
