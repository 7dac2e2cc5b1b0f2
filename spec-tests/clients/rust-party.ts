import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ClientProcess } from './client-process.ts';
import { type Person, waitFor } from './encrypted-device.ts';

/** A message as matrix-rust-sdk shows it (rust/src/line.rs). */
export interface RustLine {
  readonly id: string | null;
  readonly sender: string;
  readonly kind: 'message' | 'redacted' | 'undecryptable';
  readonly body: string | null;
  readonly edited: boolean;
  readonly repliesTo: string | null;
  readonly threadRoot: string | null;
  readonly threadReplies: number | null;
  readonly latestReply: string | null;
  readonly reactions: Readonly<Record<string, readonly string[]>>;
  readonly readBy: readonly string[];
  readonly encrypted: boolean;
}

/** A room of the room list. */
export interface ListedRoom {
  readonly room: string;
  readonly name: string | null;
  readonly membership: string;
  readonly encrypted: boolean;
  readonly unread: number;
  readonly notifications: number;
  readonly latest: string | null;
}

/** A room, or a thread of it. */
export interface Place {
  readonly room: string;
  /** Root of the thread. */
  readonly thread?: string;
}

/** A device of a user on matrix-rust-sdk, whose process (rust/) can be killed and started again over its store. */
export class RustParty {
  userId = '';
  readonly #start: () => ClientProcess;
  #process: ClientProcess;

  private constructor(start: () => ClientProcess) {
    this.#start = start;
    this.#process = start();
  }

  /** Starts a process and logs in on a new device; it ends with the test. `RUST_PARTY` names the program. */
  static async login(t: TestContext, url: string, { userId, password }: Person): Promise<RustParty> {
    const store = await mkdtemp(join(tmpdir(), 'runnel-rust-'));
    const program = process.env['RUST_PARTY'] ?? 'rust-party';
    const party = new RustParty(() => new ClientProcess(t, `matrix-rust-sdk of ${userId}`, [program, url, store]));
    t.after(() => rm(store, { recursive: true, force: true }));
    party.userId = (await party.ask<{ user: string }>('login', { user: userId, password })).user;
    return party;
  }

  /** Ends the process with SIGKILL. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  /** Starts a new process over the store of the last one, without logging in again. */
  async resume(): Promise<void> {
    this.#process = this.#start();
    await this.ask('resume');
  }

  /** Has the process do something by name. */
  async ask<T>(name: string, given: object = {}): Promise<T> {
    return this.#process.ask(name, given);
  }

  /** Sends a message and resolves with its id once the server acknowledged it, however often it had to be sent. */
  async say(place: Place, body: string): Promise<string> {
    return this.ask('say', { ...place, body });
  }

  async lines(place: Place): Promise<RustLine[]> {
    return this.ask('lines', place);
  }

  /** Waits until the room is in the room list and as `holds` says. */
  async lists(room: string, what: string, holds: (listed: ListedRoom) => boolean): Promise<ListedRoom> {
    return waitFor(`${this.userId} sees in the room list ${what}`, async () =>
      (await this.ask<ListedRoom[]>('rooms')).find((listed) => listed.room === room && holds(listed)),
    );
  }

  /** Waits until a line with this id is shown and as `holds` says. */
  async sees(
    place: Place,
    id: string,
    what: string,
    holds: (line: RustLine) => boolean = () => true,
  ): Promise<RustLine> {
    let shown: readonly RustLine[] = [];
    const told = () => `${this.userId} sees ${what}; shown were ${JSON.stringify(shown)}`;
    return waitFor(told, async () => {
      shown = await this.lines(place);
      return shown.find((line) => line.id === id && holds(line));
    });
  }

  /** Scrolls back to the beginning, and returns all messages in order. */
  async history(place: Place): Promise<RustLine[]> {
    return this.ask('history', place);
  }
}
