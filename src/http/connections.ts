import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ClientAddress } from '#http/address.js';

/**
 * Bounds the connections that one address may hold open, for a server's `connection` event. One too many is closed
 * unanswered. Trusted proxies carry everyone, so they are exempt.
 */
export function connectionBound(addresses: ClientAddress, mostPerAddress: number): (socket: Socket) => void {
  const open = new Map<string, number>();
  return (socket) => {
    const address = socket.remoteAddress;
    if (address === undefined || addresses.trusts(address)) return;
    const count = (open.get(address) ?? 0) + 1;
    if (count > mostPerAddress) {
      socket.destroy();
      return;
    }
    open.set(address, count);
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left === 0) open.delete(address);
      else open.set(address, left);
    });
  };
}

const sentAhead = new WeakMap<Socket, Set<ServerResponse>>();

/**
 * Makes a response to a request that was sent ahead (pipelined) close with its connection. Node gives such a response
 * its socket only once the ones before it are out, and never tells it when the connection closes earlier.
 */
export function closeWithSocket(socket: Socket, response: ServerResponse): void {
  let responses = sentAhead.get(socket);
  if (responses === undefined) {
    const followers = new Set<ServerResponse>();
    responses = followers;
    sentAhead.set(socket, followers);
    socket.once('close', () => {
      for (const each of followers) {
        each.destroy();
        each.emit('close');
      }
    });
  }
  const followers = responses;
  followers.add(response);
  response.once('close', () => followers.delete(response));
}

/** Answers bytes that never became a request (bad syntax, headers too large or too slow), and closes. */
export function refuseConnection(error: Error & { code?: string }, socket: Socket): void {
  // Node keeps the response that a connection is busy with here, and asks the same before its own refusal.
  const current = (socket as Socket & { _httpMessage?: ServerResponse | null })._httpMessage;
  if (!socket.writable || error.code === 'ECONNRESET' || current?.headersSent === true) {
    socket.destroy();
    return;
  }
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
  const body = JSON.stringify({ errcode: status === 431 ? 'M_TOO_LARGE' : 'M_UNKNOWN', error: STATUS_CODES[status] });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json\r\n` +
      `Access-Control-Allow-Origin: *\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
