// Another homeserver, of few words: it has keys, makes and signs events of room version 11, sends transactions, answers
// what it is asked over TLS, and misbehaves where a test tells it to. Written from the specification, without the
// product's code.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Answer, Body } from './client.js';
import type { Homeserver } from './homeserver.js';
import { PEER_CERTIFICATE, PEER_KEY } from './peer-certificate.js';
import { canonical, Ed25519Key, isSigned } from './signing.js';

/** The environment of a homeserver that peers of a test can reach and be reached by. */
export function federating(more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const authority = join(mkdtempSync(join(tmpdir(), 'runnel-peer-')), 'authority.pem');
  writeFileSync(authority, PEER_CERTIFICATE);
  return {
    RUNNEL_SERVER_NAME: 'hs.test',
    RUNNEL_FEDERATION: 'on',
    RUNNEL_FEDERATION_CA: authority,
    RUNNEL_FEDERATION_ALLOW: '127.0.0.0/8,::1',
    RUNNEL_DEFAULT_ROOM_VERSION: '11',
    ...more,
  };
}

/** An event as it travels. */
export type Pdu = Body;

/** What the peer was asked, and by whom. */
export interface PeerRequest {
  readonly method: string;
  readonly path: string;
  readonly body: Body;
}

type Answering = (request: PeerRequest) => Body | undefined;

/** A room as the peer knows it. */
export class PeerRoom {
  readonly id: string;
  readonly state = new Map<string, string>();
  readonly events = new Map<string, Pdu>();
  latest: string[] = [];
  depth = 0;

  constructor(id: string) {
    this.id = id;
  }

  /** Takes an event in as the newest one. */
  add(pdu: Pdu): string {
    const id = eventId(pdu);
    this.keep(pdu);
    if (pdu['state_key'] !== undefined) this.state.set(`${pdu['type']}|${pdu['state_key']}`, id);
    this.latest = [id];
    this.depth = Math.max(this.depth, pdu['depth'] as number);
    return id;
  }

  keep(pdu: Pdu): void {
    this.events.set(eventId(pdu), pdu);
  }

  idOf(type: string, stateKey = ''): string | undefined {
    return this.state.get(`${type}|${stateKey}`);
  }
}

export interface NewEvent {
  readonly type: string;
  readonly sender: string;
  readonly content?: Body;
  readonly stateKey?: string;
  /** In place of the room's newest events. */
  readonly prev?: readonly string[];
  readonly auth?: readonly string[];
  /** Further or other top-level fields, covered by hash and signature. */
  readonly more?: Body;
}

export class Peer {
  readonly key = new Ed25519Key();
  readonly keyId = 'ed25519:peer';
  readonly #server: Server;
  readonly hs: Homeserver;
  /** Everything that it was asked. */
  readonly asked: PeerRequest[] = [];
  /** Transactions that it was sent. */
  readonly received: Body[] = [];
  /** What tests answer in its name, by the beginning of the path; undefined leaves the answer to others. */
  readonly answers = new Map<string, Answering>();
  /** While true, it answers 503. */
  isDown = false;
  #waiting: (() => void)[] = [];
  #txn = 0;

  readonly #host: string;

  private constructor(hs: Homeserver, server: Server, host: string) {
    this.hs = hs;
    this.#server = server;
    this.#host = host;
  }

  /**
   * Starts a peer of `hs` on a free port of loopback, called by a host name or an address of it; its certificate is for
   * `localhost` and `127.0.0.1`.
   */
  static async start(hs: Homeserver, host = 'localhost'): Promise<Peer> {
    const server = createServer({ key: PEER_KEY, cert: PEER_CERTIFICATE });
    const peer = new Peer(hs, server, host);
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const body = text === '' ? {} : (JSON.parse(text) as Body);
        const answer = peer.#answer({ method: request.method ?? '', path: request.url ?? '', body });
        response.writeHead(answer === undefined ? (peer.isDown ? 503 : 404) : 200, {
          'content-type': 'application/json',
        });
        response.end(JSON.stringify(answer ?? { errcode: 'M_NOT_FOUND', error: 'no' }));
      });
    });
    await new Promise<void>((listening) => server.listen(0, '0.0.0.0', listening));
    return peer;
  }

  get name(): string {
    return `${this.#host}:${(this.#server.address() as AddressInfo).port}`;
  }

  user(localpart: string): string {
    return `@${localpart}:${this.name}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }

  #answer(request: PeerRequest): Body | undefined {
    this.asked.push(request);
    try {
      if (this.isDown) return undefined;
      for (const [prefix, answering] of this.answers) {
        const answer = request.path.startsWith(prefix) ? answering(request) : undefined;
        if (answer !== undefined) return answer;
      }
      if (request.path === '/_matrix/key/v2/server') return this.keys();
      if (request.path.startsWith('/_matrix/federation/v1/send/')) {
        this.received.push(request.body);
        return { pdus: {} };
      }
      return undefined;
    } finally {
      for (const check of this.#waiting.splice(0)) check();
    }
  }

  /** Its keys, signed by themselves. */
  keys(): Body {
    const keys = {
      server_name: this.name,
      valid_until_ts: Date.now() + 3_600_000,
      verify_keys: { [this.keyId]: { key: this.key.publicKey } },
      old_verify_keys: {},
    };
    return this.key.sign(keys, this.name, this.keyId);
  }

  /** Fails where one of the events that the homeserver's users sent has no valid signature of it. */
  async assertSigned(pdus: readonly Pdu[]): Promise<void> {
    const keys = await this.ok('GET', '/_matrix/key/v2/server');
    const [keyId = ''] = Object.keys(keys['verify_keys']);
    for (const pdu of pdus) {
      if (!String(pdu['sender']).endsWith(`:${this.hs.serverName}`)) continue;
      assert.ok(isSigned(redact(pdu), this.hs.serverName, keyId, keys['verify_keys'][keyId].key), JSON.stringify(pdu));
    }
  }

  /** Waits until something that it was asked makes `found` give something. */
  async until<T>(found: () => T | undefined, what: string): Promise<T> {
    const deadline = performance.now() + 15_000;
    for (;;) {
      const value = found();
      if (value !== undefined) return value;
      assert.ok(performance.now() < deadline, `the homeserver never asked for ${what}`);
      await new Promise<void>((again) => {
        this.#waiting.push(again);
        setTimeout(again, 1_000).unref();
      });
    }
  }

  /** Waits for an event to be sent to it. */
  untilSent(id: string): Promise<Pdu> {
    return this.until(
      () => this.received.flatMap((txn) => txn['pdus'] as Pdu[]).find((pdu) => eventId(pdu) === id),
      `the event ${id} to be taken`,
    );
  }

  /** The `Authorization` header of a request. */
  authorization(method: string, uri: string, content?: Body, destination = this.hs.serverName): string {
    const request = { method, uri, origin: this.name, destination, ...(content === undefined ? {} : { content }) };
    const signed = this.key.sign(request, this.name, this.keyId);
    const sig = signed['signatures'][this.name][this.keyId] as string;
    return `X-Matrix origin="${this.name}",destination="${destination}",key="${this.keyId}",sig="${sig}"`;
  }

  /** Sends a signed request. */
  async request(method: string, uri: string, content?: Body, authorization?: string): Promise<Answer> {
    return this.requestWith(method, uri, content === undefined ? undefined : canonical(content), {
      authorization: authorization ?? this.authorization(method, uri, content),
      ...(content === undefined ? {} : { 'content-type': 'application/json' }),
    });
  }

  /** Sends these bytes and headers, whatever they are. */
  async requestWith(
    method: string,
    uri: string,
    body: string | Buffer | undefined,
    headers: Readonly<Record<string, string>>,
  ): Promise<Answer> {
    // As bytes, a body gets no content type by itself.
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const answer = await fetch(this.hs.url + uri, { method, headers, ...(bytes !== undefined && { body: bytes }) });
    return { status: answer.status, body: (await answer.json()) as Body, headers: answer.headers };
  }

  async ok(method: string, uri: string, content?: Body): Promise<Body> {
    const answer = await this.request(method, uri, content);
    assert.equal(answer.status, 200, `${method} ${uri}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** Hashes and signs an event. */
  signed(event: Body, as = this.name): Pdu {
    const { signatures: _, hashes: __, unsigned: ___, ...bare } = event;
    const hash = createHash('sha256').update(canonical(bare)).digest('base64').replace(/=+$/, '');
    const hashed = { ...bare, hashes: { sha256: hash } };
    const { signatures } = this.key.sign(redact(hashed), as, this.keyId);
    return { ...hashed, signatures };
  }

  /** An event of one of its users on top of the room. It is not yet in the room. */
  event(room: PeerRoom, wanted: NewEvent): Pdu {
    const { type, sender, content = {}, stateKey, more = {} } = wanted;
    const auth = [
      room.idOf('m.room.create'),
      room.idOf('m.room.power_levels'),
      room.idOf('m.room.member', sender),
      ...(type === 'm.room.member' ? [room.idOf('m.room.join_rules')] : []),
      ...(type === 'm.room.member' && stateKey !== sender ? [room.idOf('m.room.member', stateKey)] : []),
    ].filter((id) => id !== undefined);
    return this.signed({
      type,
      sender,
      room_id: room.id,
      content,
      depth: room.depth + 1,
      origin_server_ts: Date.now(),
      prev_events: wanted.prev ?? room.latest,
      auth_events: wanted.auth ?? auth,
      ...(stateKey === undefined ? {} : { state_key: stateKey }),
      ...more,
    });
  }

  /** A message that is put on top of the room, as the peer sees it. */
  say(room: PeerRoom, sender: string, body: string): Pdu {
    const pdu = this.event(room, { type: 'm.room.message', sender, content: { msgtype: 'm.text', body } });
    room.add(pdu);
    return pdu;
  }

  /** Sends a transaction; gives what became of its events. */
  async send(pdus: readonly Pdu[], edus: readonly Body[] = []): Promise<Body> {
    const content = { origin: this.name, origin_server_ts: Date.now(), pdus, edus };
    const answer = await this.ok('PUT', `/_matrix/federation/v1/send/t${this.#txn++}`, content);
    return answer['pdus'] as Body;
  }

  /** Asks for a template and signs the join that it makes. */
  async makeJoin(roomId: string, user: string): Promise<Pdu> {
    const path = `/_matrix/federation/v1/make_join/${encodeURIComponent(roomId)}/${encodeURIComponent(user)}?ver=11`;
    const { event } = await this.ok('GET', path);
    return this.signed({ ...event, origin_server_ts: Date.now() });
  }

  sendJoin(roomId: string, join: Pdu): Promise<Answer> {
    const path = `/_matrix/federation/v2/send_join/${encodeURIComponent(roomId)}/${encodeURIComponent(eventId(join))}`;
    return this.request('PUT', path, join);
  }

  /** Has one of its users join a room of the homeserver. */
  async join(roomId: string, user: string): Promise<PeerRoom> {
    const join = await this.makeJoin(roomId, user);
    const { status, body } = await this.sendJoin(roomId, join);
    assert.equal(status, 200, JSON.stringify(body));
    const room = new PeerRoom(roomId);
    for (const pdu of body['auth_chain'] as Pdu[]) room.keep(pdu);
    for (const pdu of body['state'] as Pdu[]) room.add(pdu);
    room.add(join);
    return room;
  }
}

/** The id of an event of room versions 4 and later. */
export function eventId(pdu: Pdu): string {
  const { signatures: _, ...hashed } = redact(pdu);
  return `$${createHash('sha256').update(canonical(hashed)).digest('base64url')}`;
}

const KEPT: Readonly<Record<string, readonly string[]>> = {
  'm.room.member': ['membership', 'join_authorised_via_users_server'],
  'm.room.join_rules': ['join_rule', 'allow'],
  'm.room.power_levels': [
    'ban',
    'events',
    'events_default',
    'invite',
    'kick',
    'redact',
    'state_default',
    'users',
    'users_default',
  ],
  'm.room.history_visibility': ['history_visibility'],
  'm.room.redaction': ['redacts'],
};
const TOP = [
  ...['type', 'room_id', 'sender', 'state_key', 'hashes', 'signatures', 'depth', 'prev_events', 'auth_events'],
  ...['origin_server_ts', 'event_id'],
];

/** The event without what redaction takes away (rooms/v11, Redactions). */
function redact(pdu: Pdu): Pdu {
  const only = (object: Body, keys: readonly string[]): Body =>
    Object.fromEntries(Object.entries(object).filter(([key]) => keys.includes(key)));
  const type = pdu['type'] as string;
  const kept = Object.hasOwn(KEPT, type) ? KEPT[type]! : [];
  const content = type === 'm.room.create' ? pdu['content'] : only(pdu['content'], kept);
  return { ...only(pdu, TOP), content };
}
