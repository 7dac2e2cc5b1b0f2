import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { diskBytes } from '../process.js';
import type { Peer, Prepared } from './peer.js';
import { Postgres, type PostgresAddress } from './postgres.js';

/** The version of Synapse that is measured beside; SYNAPSE_VENV names a virtual environment that has one. */
export const SYNAPSE_VERSION = '1.163.2';

/** Synapse on SQLite, in one process, as its own documentation begins with. */
export const SYNAPSE_SQLITE: Peer = {
  name: 'Synapse + SQLite',
  prepare: (directory, port, sharedSecret) => {
    const database = `{ name: sqlite3, args: { database: ${directory}/homeserver.db } }`;
    return prepare(directory, port, sharedSecret, database);
  },
};

/** Synapse in one process with a PostgreSQL cluster of its own, which already runs when Synapse is started. */
export const SYNAPSE_POSTGRES: Peer = {
  name: 'Synapse + PostgreSQL',
  prepare: async (directory, port, sharedSecret) => {
    const database = await Postgres.start();
    try {
      return { ...(await prepare(directory, port, sharedSecret, psycopg2(database.address))), database };
    } catch (error) {
      await database.stop();
      throw error;
    }
  },
};

function psycopg2({ port, user, password, database }: PostgresAddress): string {
  const args = `user: ${user}, password: "${password}", dbname: ${database}, host: 127.0.0.1, port: ${port}`;
  return `{ name: psycopg2, args: { ${args}, cp_min: 5, cp_max: 10 } }`;
}

async function prepare(directory: string, port: number, sharedSecret: string, database: string): Promise<Prepared> {
  const config = join(directory, 'homeserver.yaml');
  await writeFile(config, configuration(directory, port, sharedSecret, database));
  await writeFile(join(directory, 'log.yaml'), 'version: 1\nroot: { level: WARNING }\n');
  const python = synapsePython();
  const args = ['-m', 'synapse.app.homeserver', '-c', config];
  const made = spawnSync(python, [...args, '--generate-keys'], { stdio: 'pipe' });
  if (made.status !== 0) throw new Error(`Synapse made no keys: ${made.stderr}`);
  return {
    command: { command: python, args, env: {}, url: `http://127.0.0.1:${port}` },
    diskBytes: () => diskBytes(directory),
  };
}

/** As it comes, but for rate limits, and for cheap password hashes: registering is not among what is measured. */
function configuration(directory: string, port: number, sharedSecret: string, database: string): string {
  const off = '{ per_second: 1000000, burst_count: 1000000 }';
  return `server_name: localhost
report_stats: false
pid_file: ${directory}/pid
signing_key_path: ${directory}/signing.key
media_store_path: ${directory}/media
log_config: ${directory}/log.yaml
listeners: [{ port: ${port}, bind_addresses: [127.0.0.1], type: http, tls: false, resources: [{ names: [client] }] }]
database: ${database}
registration_shared_secret: ${sharedSecret}
macaroon_secret_key: ${sharedSecret}
bcrypt_rounds: 4
trusted_key_servers: []
suppress_key_server_warning: true
rc_message: ${off}
rc_registration: ${off}
rc_login: { address: ${off}, account: ${off}, failed_attempts: ${off} }
rc_joins: { local: ${off}, remote: ${off} }
rc_joins_per_room: ${off}
rc_invites: { per_room: ${off}, per_user: ${off}, per_issuer: ${off} }
rc_room_creation: ${off}
`;
}

function synapsePython(): string {
  const venv = process.env['SYNAPSE_VENV'] ?? resolve(import.meta.dirname, '../../../../.venv/synapse');
  const python = join(venv, 'bin/python');
  if (!existsSync(python)) run('python3', '-m', 'venv', venv);
  const isThere = (module: string): boolean => spawnSync(python, ['-c', `import ${module}`]).status === 0;
  if (!isThere('synapse')) run(python, '-m', 'pip', 'install', '--quiet', `matrix-synapse==${SYNAPSE_VERSION}`);
  if (!isThere('psycopg2')) run(python, '-m', 'pip', 'install', '--quiet', 'psycopg2-binary');
  return python;
}

function run(command: string, ...args: string[]): void {
  if (spawnSync(command, args, { stdio: 'inherit' }).status !== 0)
    throw new Error(`${command} ${args.join(' ')} failed`);
}
