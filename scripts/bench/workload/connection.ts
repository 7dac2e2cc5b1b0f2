import { connect, type Socket } from 'node:net';

/** An answer with its body as it came: whoever needs what it says parses it. */
export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');
const LAST_CHUNK = Buffer.from('0\r\n\r\n');

/**
 * One keep-alive connection with one request at a time. A load generator shares the machine with what it measures, so
 * this speaks only as much HTTP/1.1 as an answer to a JSON request needs: Content-Length and chunked bodies.
 */
export class Connection {
  readonly #host: string;
  readonly #address: { host: string; port: number };
  #socket: Socket | undefined;
  /** What came of the answer so far; of a body of known length, in the pieces that it came in. */
  #received: Buffer[] = [];
  #bytes = 0;
  /** Bytes of head and body together, once the head has said so. */
  #needed: number | undefined;
  #waiting: Waiting | undefined;

  constructor(url: string) {
    const { hostname, port, host } = new URL(url);
    this.#address = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80) };
    this.#host = host;
  }

  /** Sends a request, with bytes or else JSON as its body; rejects where the connection ends before the answer is complete. */
  request(method: string, path: string, options: { token?: string | undefined; body?: unknown } = {}): Promise<Answer> {
    const { token, body } = options;
    if (this.#waiting !== undefined) throw new Error('this connection is waiting for an answer');
    const isBytes = Buffer.isBuffer(body);
    const text = body === undefined || isBytes ? '' : JSON.stringify(body);
    const length = isBytes ? body.length : Buffer.byteLength(text);
    let head = `${method} ${path} HTTP/1.1\r\nHost: ${this.#host}\r\n`;
    if (token !== undefined) head += `Authorization: Bearer ${token}\r\n`;
    if (length > 0 || method !== 'GET') {
      const type = isBytes ? 'application/octet-stream' : 'application/json';
      head += `Content-Type: ${type}\r\nContent-Length: ${length}\r\n`;
    }
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      const socket = this.#open();
      socket.write(`${head}\r\n${text}`);
      if (isBytes) socket.write(body);
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
    this.#forget();
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

  #forget(): void {
    this.#received = [];
    this.#bytes = 0;
    this.#needed = undefined;
  }

  #take(chunk: Buffer): void {
    this.#received.push(chunk);
    this.#bytes += chunk.length;
    if (this.#needed !== undefined && this.#bytes < this.#needed) return;
    const received = this.#received.length === 1 ? chunk : Buffer.concat(this.#received);
    this.#received = [received];
    const end = received.indexOf(HEAD_END);
    if (end < 0) return;
    const head = received.toString('latin1', 0, end);
    const bodyFrom = end + HEAD_END.length;
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length !== undefined) this.#needed = bodyFrom + Number(length);
    if (this.#needed !== undefined && this.#bytes < this.#needed) return;
    const body = bodyOf(head, received.subarray(bodyFrom, this.#needed));
    if (body === undefined) return;
    this.#forget();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (/\r\nconnection: *close/i.test(head)) this.close();
    waiting?.resolve({ status: Number(head.slice(9, 12)), body });
  }
}

/** What a body says: parsed where it is JSON, else its text. */
export function parsed(body: Buffer): unknown {
  const text = body.toString('utf8');
  return text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text;
}

/** The body once it is complete; all of `rest` where the head does not say that it comes in chunks. */
function bodyOf(head: string, rest: Buffer): Buffer | undefined {
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return rest;
  // Most pieces of a long answer are not its last.
  if (!rest.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK)) return undefined;
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
