import assert from 'node:assert/strict';
import type { Client } from './client.js';
import { recordAnswer } from './record.js';

/** Where media is downloaded with a token, and where it was without. */
export const MEDIA = '/_matrix/client/v1/media';
export const LEGACY = '/_matrix/media/v3';

/** Sends bytes and reads bytes, as it is with media; with the client's token unless `headers` say otherwise. */
export async function transfer(
  client: Client,
  method: string,
  path: string,
  body?: Uint8Array | string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ status: number; headers: Headers; bytes: Buffer; errcode: string | undefined }> {
  const answer = await fetch(client.url + path, {
    method,
    headers: {
      ...(client.accessToken === undefined ? {} : { authorization: `Bearer ${client.accessToken}` }),
      ...headers,
    },
    ...(body === undefined ? {} : { body }),
    signal: AbortSignal.timeout(60_000),
  });
  const bytes = Buffer.from(await answer.arrayBuffer());
  const errcode =
    answer.status >= 400 && bytes.length > 0
      ? ((JSON.parse(bytes.toString()) as { errcode?: string }).errcode ?? '')
      : undefined;
  recordAnswer(method, path, answer.status, errcode);
  return { status: answer.status, headers: answer.headers, bytes, errcode };
}

/** Uploads and returns `server/id`, as paths have it. */
export async function uploaded(
  client: Client,
  body: Uint8Array | string,
  type = 'application/octet-stream',
  filename?: string,
): Promise<string> {
  const query = filename === undefined ? '' : `?filename=${encodeURIComponent(filename)}`;
  const answer = await transfer(client, 'POST', `${LEGACY}/upload${query}`, body, { 'content-type': type });
  assert.equal(answer.status, 200, answer.bytes.toString());
  const uri = (JSON.parse(answer.bytes.toString()) as { content_uri: string }).content_uri;
  assert.match(uri, /^mxc:\/\/[^/]+\/[A-Za-z0-9_-]+$/);
  return uri.slice('mxc://'.length);
}
