import { type Command, diskBytes, runnel } from '../process.js';
import type { Usage } from '../usage.js';

/** A database that runs beside a homeserver as a program of its own. */
export interface Database {
  readonly name: string;
  readonly usage: Usage;
  diskBytes(): Promise<number>;
  stop(): Promise<void>;
}

/** What is needed to start a homeserver with its data in a directory, which is empty at the first start. */
export interface Prepared {
  readonly command: Command;
  readonly database?: Database;
  diskBytes(): Promise<number>;
}

/** A homeserver that can be measured. */
export interface Peer {
  readonly name: string;
  prepare(directory: string, port: number, sharedSecret: string): Promise<Prepared>;
}

/** This project's own server. */
export const RUNNEL: Peer = {
  name: 'Runnel',
  prepare: async (directory, port, sharedSecret) => ({
    command: runnel(directory, port, sharedSecret),
    diskBytes: () => diskBytes(directory),
  }),
};

/**
 * A homeserver given as NAME=COMMAND. The command is run by sh for each start, the second one over the same DATA, so what it
 * prepares there it has to prepare once; that counts into its first start.
 */
export function named(text: string): Peer {
  const at = text.indexOf('=');
  if (at < 1) throw new Error(`--peer takes NAME=COMMAND, not '${text}'`);
  const command = text.slice(at + 1);
  return {
    name: text.slice(0, at),
    prepare: async (directory, port, sharedSecret) => ({
      command: {
        command: 'sh',
        args: ['-c', command],
        env: { DATA: directory, PORT: String(port), SHARED_SECRET: sharedSecret },
        url: `http://127.0.0.1:${port}`,
      },
      diskBytes: () => diskBytes(directory),
    }),
  };
}
