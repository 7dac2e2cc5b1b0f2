import { connect, type Socket } from 'node:net';

/** An answer with its body parsed where that is JSON. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');

/**
 * One keep-alive connection with one request at a time. A load generator shares the machine with what it measures, so
 * this speaks only as much HTTP/1.1 as an answer to a JSON request needs: Content-Length and chunked bodies.
 */
export class Connection {
  readonly #host: string;
  readonly #address: { host: string; port: number };
  #socket: Socket | undefined;
  #received: Buffer = Buffer.alloc(0);
  #waiting: Waiting | undefined;

  constructor(url: string) {
    const { hostname, port, host } = new URL(url);
    this.#address = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80) };
    this.#host = host;
  }

  /** Sends a request; rejects where the connection ends before the answer is complete. */
  request(method: string, path: string, options: { token?: string | undefined; body?: unknown } = {}): Promise<Answer> {
    if (this.#waiting !== undefined) throw new Error('this connection is waiting for an answer');
    const body = options.body === undefined ? '' : JSON.stringify(options.body);
    let head = `${method} ${path} HTTP/1.1\r\nHost: ${this.#host}\r\n`;
    if (options.token !== undefined) head += `Authorization: Bearer ${options.token}\r\n`;
    if (body !== '' || method !== 'GET') {
      head += `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
    }
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#open().write(`${head}\r\n${body}`);
    });
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #open(): Socket {
    if (this.#socket !== undefined) return this.#socket;
    const socket = connect({ ...this.#address, noDelay: true });
    this.#socket = socket;
    this.#received = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    const ended = (error?: Error): void => {
      if (this.#socket === socket) this.#socket = undefined;
      const waiting = this.#waiting;
      this.#waiting = undefined;
      waiting?.reject(error instanceof Error ? error : new Error('the connection ended'));
    };
    socket.on('error', ended);
    socket.on('close', () => ended());
    return socket;
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const end = this.#received.indexOf(HEAD_END);
    if (end < 0) return;
    const head = this.#received.toString('latin1', 0, end);
    const body = bodyOf(head, this.#received.subarray(end + HEAD_END.length));
    if (body === undefined) return;
    this.#received = Buffer.alloc(0);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (/\r\nconnection: *close/i.test(head)) this.close();
    try {
      waiting?.resolve({ status: Number(head.slice(9, 12)), body: parsed(body) });
    } catch (error) {
      waiting?.reject(error as Error);
    }
  }
}

function parsed(body: Buffer): unknown {
  const text = body.toString('utf8');
  return text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text;
}

/** The body once it is complete. */
function bodyOf(head: string, rest: Buffer): Buffer | undefined {
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) return rest.length >= Number(length) ? rest.subarray(0, Number(length)) : undefined;
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return rest.subarray(0, 0);
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = rest.indexOf(LINE_END, at);
    if (line < 0) return undefined;
    const size = Number.parseInt(rest.toString('latin1', at, line), 16);
    const from = line + LINE_END.length;
    if (rest.length < from + size + LINE_END.length) return undefined;
    if (size === 0) return Buffer.concat(parts);
    parts.push(rest.subarray(from, from + size));
    at = from + size + LINE_END.length;
  }
}
