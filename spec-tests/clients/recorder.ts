import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** A request that a client made, and how it was answered. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
  /** What the client sent. */
  readonly body: string;
  readonly status: number;
  /** Of an answer that is an error. */
  readonly errcode: string | undefined;
}

/** Stands before a server and writes down what clients ask of it. While the server is away, connections break off. */
export class Recorder {
  readonly exchanges: Exchange[] = [];
  url = '';

  /** Answers that say that the server lacks something or broke. */
  get unserved(): string[] {
    return this.exchanges
      .filter(({ status, errcode }) => status >= 500 || status === 405 || errcode === 'M_UNRECOGNIZED')
      .map(({ method, path, status, errcode }) => `${method} ${path}: ${status} ${errcode}`);
  }

  /** Listens until the test ends. */
  static async before(t: TestContext, server: string): Promise<Recorder> {
    const recorder = new Recorder();
    const front = createServer((incoming, answer) => recorder.#pass(server, incoming, answer));
    await new Promise<void>((done) => front.listen(0, '127.0.0.1', done));
    t.after(() => {
      front.closeAllConnections();
      front.close();
    });
    recorder.url = `http://127.0.0.1:${(front.address() as AddressInfo).port}`;
    return recorder;
  }

  #pass(server: string, incoming: IncomingMessage, answer: ServerResponse): void {
    const { method = '', url = '', headers } = incoming;
    const sent: Buffer[] = [];
    const received: Buffer[] = [];
    const onward = request(`${server}${url}`, { method, headers, agent: false }, (reply) => {
      const status = reply.statusCode as number;
      answer.writeHead(status, reply.headers);
      reply.on('data', (chunk: Buffer) => received.push(chunk));
      reply.once('end', () => {
        const { pathname, searchParams } = new URL(url, server);
        this.exchanges.push({
          method,
          path: pathname,
          query: searchParams,
          authorization: headers.authorization,
          body: Buffer.concat(sent).toString(),
          status,
          errcode: status < 400 ? undefined : /"errcode":"(\w+)"/.exec(Buffer.concat(received).toString())?.[1],
        });
      });
      reply.once('error', () => answer.destroy());
      reply.pipe(answer);
    });
    onward.once('error', () => answer.destroy());
    answer.once('close', () => onward.destroy());
    incoming.on('data', (chunk: Buffer) => sent.push(chunk));
    incoming.pipe(onward);
  }
}
