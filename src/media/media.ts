import type { MatrixError } from '#core/errors.js';
import type { ServerName } from '#core/ids.js';
import { type MediaFiles, openFiles } from '#media/files.js';
import { sweep } from '#media/retention.js';
import { openWorker, type Worker } from '#media/worker.js';
import type { HttpClient } from '#remote/http.js';
import type { Store } from '#store/types.js';
import type { Clock } from '#util/clock.js';
import { Lanes } from '#util/lanes.js';
import type { Log } from '#util/log.js';
import { Lru } from '#util/lru.js';
import type { Random } from '#util/random.js';
import { type Task, Tasks } from '#util/tasks.js';

export interface MediaOptions {
  /** Where the files lie. */
  readonly directory: string;
  /** Largest upload in bytes. */
  readonly maxUploadBytes: number;
  /** Most bytes of one user in all; unlimited where absent. */
  readonly quotaBytes?: number | undefined;
  /** Media that nobody asked for during this time is deleted; kept where absent. */
  readonly lifetimeMs?: number | undefined;
  /** Whether the unauthenticated endpoints serve everything. */
  readonly legacyOpen: boolean;
  /** Absent where the server makes no link previews. */
  readonly previews?: PreviewOptions | undefined;
}

export interface PreviewOptions {
  /** Asks public addresses only: the pages' addresses come from outside. */
  readonly http: HttpClient;
  /** Host names, or `*.` and a domain, that are never asked. */
  readonly deny: readonly string[];
}

/** The media repository while it is open. */
export interface Media {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly serverName: ServerName;
  readonly options: MediaOptions;
  readonly log: Log;
  readonly files: MediaFiles;
  readonly worker: Worker;
  /** One lane a content: whether its file is there must not change between the look and the row. */
  readonly contents: Lanes<string>;
  /** Requests that wait for asynchronous uploads, by media id. */
  readonly awaited: Map<string, Set<() => void>>;
  /** Uploads under way by user. */
  readonly uploading: Map<string, number>;
  /** Work under way that several requests may wait for: thumbnails and previews by what they are of. */
  readonly shared: Map<string, Promise<unknown>>;
  /** What could not be made into a thumbnail, so that it is not tried over and over. */
  readonly unmakeable: Lru<string, MatrixError>;
  /** Notes of accesses on their way to the disk. */
  readonly noting: Map<string, Promise<void>>;
  readonly tasks: Tasks;
  readonly sweeper: Task;
}

const MOST_UNMAKEABLE = 2_000;
/** More than there can be connections. */
const CONTENT_WAITING = 20_000;
const SWEEP_EVERY_MS = 60 * 60_000;
const FIRST_SWEEP_MS = 60_000;

/** Opens the media directory and starts the task that deletes what has had its time. */
export function openMedia(parts: Pick<Media, 'store' | 'clock' | 'random' | 'serverName' | 'options' | 'log'>): Media {
  const { clock, random, log, options } = parts;
  const tasks = new Tasks(clock, log);
  const media: Media = {
    ...parts,
    files: openFiles(options.directory, random),
    worker: openWorker({ clock, log }),
    contents: new Lanes({ waiting: CONTENT_WAITING }),
    awaited: new Map(),
    uploading: new Map(),
    shared: new Map(),
    unmakeable: new Lru(MOST_UNMAKEABLE),
    noting: new Map(),
    tasks,
    sweeper: tasks.start('media retention', async ({ signal, idle }) => {
      await idle(FIRST_SWEEP_MS);
      while (!signal.aborted) {
        await sweep(media, signal);
        await idle(SWEEP_EVERY_MS);
      }
    }),
  };
  return media;
}

/** Ends the tasks and the worker. Requests must have ended before. */
export async function closeMedia(media: Media): Promise<void> {
  await media.tasks.dispose();
  await media.worker.close();
  await Promise.allSettled([...media.shared.values(), ...media.noting.values()]);
  await media.contents.settle();
  await media.options.previews?.http.close();
}
