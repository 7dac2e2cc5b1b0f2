/** Further facts of a log line. Names are camelCase; an `Error` is written with its stack. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where the layers write what an operator should know. Messages are short sentences without outside text in them. */
export interface Log {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
}

/** Writes nothing; for tests and simulations. */
export const silentLog: Log = { error() {}, warn() {}, info() {}, debug() {} };
