import { writeSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { codeOf } from '#store/kv.js';

/**
 * A printer of lines to the standard stream with the number `fd`, each written before it returns, as Node's own stream does
 * with files, pipes and terminals on Linux; that stream is a socket, which takes a start two milliseconds to make. It is asked for
 * where something else has made the pipe one that doesn't wait, and it is full; from then on it prints all.
 * Never throws: whoever read our lines may go away (`runnel user list | head`, a log collector), no reason for a server to end.
 */
export function linePrinter(fd: number, stream: () => Writable): (text: string) => void {
  let waiting: Writable | undefined;
  return (text) => {
    let rest = Buffer.from(`${text}\n`);
    try {
      while (waiting === undefined && rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') return;
      waiting = stream();
      waiting.on('error', () => {});
    }
    waiting?.write(rest);
  };
}
