import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ClientProcess } from './client-process.ts';
import type { Person } from './encrypted-device.ts';

/** A device of a user on matrix-nio, in a Python process of its own (nio_party.py). */
export class NioParty {
  readonly userId: string;
  readonly #process: ClientProcess;

  private constructor(userId: string, process: ClientProcess) {
    this.userId = userId;
    this.#process = process;
  }

  /** Starts the process and logs in; it ends with the test. `NIO_PYTHON` names a Python that has matrix-nio. */
  static async login(t: TestContext, url: string, person: Person): Promise<NioParty> {
    const store = await mkdtemp(join(tmpdir(), 'runnel-nio-'));
    const python = process.env['NIO_PYTHON'] ?? 'python3';
    const script = join(import.meta.dirname, 'nio_party.py');
    const child = new ClientProcess(t, 'matrix-nio', [python, script, url, person.userId, person.password, store]);
    t.after(() => rm(store, { recursive: true, force: true }));
    const party = new NioParty(person.userId, child);
    await party.ask('login');
    return party;
  }

  /** Has the process do something by name. */
  async ask<T>(name: string, given: object = {}): Promise<T> {
    return this.#process.ask(name, given);
  }

  async say(room: string, body: string): Promise<string> {
    return this.ask('say', { room, body });
  }

  /** Ids and texts of what came; null for what can't be decrypted. */
  async read(room: string): Promise<readonly (readonly [id: string, body: string | null])[]> {
    return this.ask('read', { room });
  }
}
