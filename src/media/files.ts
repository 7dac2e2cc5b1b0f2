import { createHash } from 'node:crypto';
import { constants, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MatrixError } from '#core/errors.js';
import type { Random } from '#util/random.js';

/** SHA-256 in hexadecimal, or that with `-` and the variant of a thumbnail: nothing a user chose. */
const NAME = /^[0-9a-f]{64}(-[a-z0-9-]{1,40})?$/;
/** What the system says when the disk, and not the request, is at fault. */
const DISK_FAULTS = ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMFILE', 'ENFILE'];

/** A file on its way: not to be seen by anyone before `keep`. */
export interface Draft {
  /** For a process that writes the file itself. */
  readonly path: string;
  /** Bytes written so far by `write`. */
  readonly size: number;
  write(chunk: Buffer): Promise<void>;
  /** SHA-256 in hexadecimal of what `write` was given; nothing may be written afterwards. */
  digest(): string;
  /** Makes the file durable under its lasting name, replacing what is there: file, then name, then directories. */
  keep(name: string): Promise<void>;
  /** Removes the file, unless it was kept. */
  discard(): Promise<void>;
}

/** An open file. Whoever opened it closes it. */
export interface OpenFile {
  readonly handle: FileHandle;
  readonly size: number;
}

/**
 * Files by hash of their content, under one directory. It is all that media asks of a disk, so that files can one day lie
 * in an object store instead.
 */
export interface MediaFiles {
  begin(): Promise<Draft>;
  /** Undefined where no regular file has this name; symbolic links are not followed. */
  open(name: string): Promise<OpenFile | undefined>;
  /** Path of a file, for a process that reads it itself. */
  path(name: string): string;
  remove(name: string): Promise<void>;
  /** Names of all files that have not changed since `beforeMs`. */
  names(beforeMs: number): AsyncIterable<string>;
}

/** Answers a fault of the disk with 503: the caller may come again. Other errors pass. */
function diskFault(error: unknown): unknown {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string' || !DISK_FAULTS.includes(code)) return error;
  return new MatrixError('M_UNKNOWN', 'The server can not store files at the moment', { status: 503 });
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw diskFault(error);
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const isAbsent = (error: unknown): boolean => (error as { code?: unknown } | null)?.code === 'ENOENT';

/** Opens the directory, making it where it is missing. What an earlier process left half-written is removed. */
export function openFiles(directory: string, random: Random): MediaFiles {
  const incoming = join(directory, 'incoming');
  const content = join(directory, 'content');
  for (const path of [incoming, content]) mkdirSync(path, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(incoming)) rmSync(join(incoming, name), { recursive: true, force: true });

  const path = (name: string): string => {
    if (!NAME.test(name)) throw new RangeError('not the name of a media file');
    return join(content, name.slice(0, 2), name.slice(2, 4), name);
  };
  /** Directories that this process has synced up to the root; at most 65,537. */
  const durable = new Set<string>();
  const keep = async (from: string, name: string): Promise<void> => {
    const to = path(name);
    const parent = dirname(to);
    await mkdir(parent, { recursive: true, mode: 0o700 });
    await rename(from, to);
    await syncDirectory(parent);
    if (durable.has(parent)) return;
    await syncDirectory(dirname(parent));
    await syncDirectory(content);
    if (!durable.has(content)) {
      await syncDirectory(directory);
      await syncDirectory(dirname(directory));
      durable.add(content);
    }
    durable.add(parent);
  };

  const begin = async (): Promise<Draft> => {
    const from = join(incoming, random.token(16));
    const handle = await open(from, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    const hash = createHash('sha256');
    let size = 0;
    let state: 'open' | 'kept' | 'gone' = 'open';
    return {
      path: from,
      get size() {
        return size;
      },
      write: (chunk) =>
        guarded(async () => {
          hash.update(chunk);
          for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at)).bytesWritten;
          size += chunk.length;
        }),
      digest: () => hash.digest('hex'),
      keep: (name) =>
        guarded(async () => {
          await handle.sync();
          await handle.close();
          await keep(from, name);
          state = 'kept';
        }),
      async discard() {
        if (state !== 'open') return;
        state = 'gone';
        await handle.close().catch(() => {});
        await rm(from, { force: true });
      },
    };
  };

  return {
    begin: () => guarded(begin),
    path,
    async open(name) {
      let handle: FileHandle;
      try {
        handle = await open(path(name), constants.O_RDONLY | constants.O_NOFOLLOW);
      } catch (error) {
        if (isAbsent(error) || (error as { code?: unknown }).code === 'ELOOP') return undefined;
        throw diskFault(error);
      }
      const found = await handle.stat();
      if (found.isFile()) return { handle, size: found.size };
      await handle.close();
      return undefined;
    },
    async remove(name) {
      try {
        await unlink(path(name));
      } catch (error) {
        if (!isAbsent(error)) throw error;
      }
    },
    async *names(beforeMs) {
      for (const first of await readdir(content)) {
        for (const second of await readdir(join(content, first))) {
          for (const name of await readdir(join(content, first, second))) {
            if (!NAME.test(name)) continue;
            const found = await stat(join(content, first, second, name)).catch(() => undefined);
            if (found !== undefined && found.mtimeMs < beforeMs) yield name;
          }
        }
      }
    },
  };
}
