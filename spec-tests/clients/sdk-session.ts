import {
  AuthType,
  ClientEvent,
  ConnectionError,
  createClient,
  Direction,
  EventStatus,
  type EventTimelineSet,
  EventType,
  HTTPError,
  HttpApiEvent,
  InteractiveAuth,
  KnownMembership,
  type MatrixClient,
  type MatrixEvent,
  MsgType,
  NotificationCountType,
  PendingEventOrdering,
  RelationType,
  type Room,
  RoomEvent,
  SyncState,
  TimelineWindow,
} from 'matrix-js-sdk';
import { logger } from 'matrix-js-sdk/lib/logger.js';
import type { Account, Line, Session, Standing } from './session.ts';

const PAGE = 50;
/** As Element does: longer than a user needs to write a line. */
const TYPING_MS = 20_000;

// matrix-js-sdk logs every request and echo; what matters to the tests they ask for.
(logger as unknown as { disableAll(): void }).disableAll();
console.debug = () => {};
const silent = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  getChild: () => silent,
};

/** One device of one user on matrix-js-sdk, with its own in-memory store. Runs in Node and in a page alike. */
export class SdkSession implements Session {
  #client: MatrixClient | undefined;
  readonly #syncStates: string[] = [];
  readonly #arrived: string[] = [];
  #loggedOut = false;

  get #sdk(): MatrixClient {
    if (this.#client === undefined) throw new Error('not logged in');
    return this.#client;
  }

  #room(roomId: string): Room {
    const room = this.#sdk.getRoom(roomId);
    if (room === null) throw new Error(`${this.#sdk.getUserId()} does not know ${roomId}`);
    return room;
  }

  #event(roomId: string, eventId: string): MatrixEvent {
    const event = this.#room(roomId).findEventById(eventId);
    if (event === undefined) throw new Error(`${this.#sdk.getUserId()} has not seen ${eventId}`);
    return event;
  }

  async register(baseUrl: string, username: string, password: string, token: string): Promise<Account> {
    const client = createClient({ baseUrl, logger: silent });
    const made = await new Promise<Account>((done, fail) => {
      const auth = new InteractiveAuth({
        matrixClient: client,
        supportedStages: [AuthType.RegistrationToken, AuthType.Dummy],
        requestEmailToken: async () => fail(new Error('asked for an email address')) as never,
        doRequest: (dict) =>
          client.registerRequest({
            username,
            password,
            initial_device_display_name: 'matrix-js-sdk',
            ...(dict !== null && { auth: dict as never }),
          }),
        stateUpdated: (stage, status) => {
          if (status.errcode !== undefined) return fail(new Error(`${status.errcode} ${status.error}`));
          if (stage === AuthType.RegistrationToken) void auth.submitAuthDict({ type: stage, token });
          else if (stage !== AuthType.Dummy) fail(new Error(`cannot do stage ${stage}`));
        },
      });
      auth.attemptAuth().then(
        (answer) =>
          done({
            userId: answer.user_id,
            deviceId: answer.device_id as string,
            accessToken: answer.access_token as string,
          }),
        fail,
      );
    });
    await this.#begin(baseUrl, made);
    return made;
  }

  async login(baseUrl: string, username: string, password: string): Promise<Account> {
    const answer = await createClient({ baseUrl, logger: silent }).loginRequest({
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: username },
      password,
    });
    const account = { userId: answer.user_id, deviceId: answer.device_id, accessToken: answer.access_token };
    await this.#begin(baseUrl, account);
    return account;
  }

  /** Starts to sync, and resolves after the initial sync. */
  async #begin(baseUrl: string, account: Account): Promise<void> {
    const client = createClient({ baseUrl, ...account, logger: silent, timelineSupport: true });
    this.#client = client;
    client.on(RoomEvent.Timeline, (event, _room, _start, _removed, data) => {
      const id = event.getId();
      if (data.liveEvent === true && id?.startsWith('$') && event.getType() === EventType.RoomMessage) {
        this.#arrived.push(id);
      }
    });
    client.on(HttpApiEvent.SessionLoggedOut, () => {
      this.#loggedOut = true;
    });
    const prepared = new Promise<void>((done, fail) => {
      client.on(ClientEvent.Sync, (state, _previous, data) => {
        if (state !== this.#syncStates.at(-1)) this.#syncStates.push(state);
        if (state === SyncState.Prepared) done();
        if (state === SyncState.Error && !this.#syncStates.includes(SyncState.Prepared)) fail(data?.error);
      });
    });
    await client.startClient({
      threadSupport: true,
      lazyLoadMembers: true,
      pendingEventOrdering: PendingEventOrdering.Detached,
    });
    await prepared;
  }

  async createRoom(name: string, invite: string): Promise<string> {
    const { room_id } = await this.#sdk.createRoom({ name, invite: [invite], preset: 'private_chat' as never });
    // As clients do, shows the room when sync has brought it, which may be after the answer.
    if (this.#sdk.getRoom(room_id) === null) {
      await new Promise<void>((done) => {
        const onRoom = (room: Room): void => {
          if (room.roomId !== room_id) return;
          this.#sdk.off(ClientEvent.Room, onRoom);
          done();
        };
        this.#sdk.on(ClientEvent.Room, onRoom);
      });
    }
    return room_id;
  }

  async invitedTo(): Promise<string[]> {
    return this.#sdk
      .getRooms()
      .filter((room) => room.getMyMembership() === KnownMembership.Invite)
      .map((room) => room.roomId);
  }

  async join(roomId: string): Promise<void> {
    await this.#sdk.joinRoom(roomId);
  }

  async say(roomId: string, body: string): Promise<string> {
    try {
      return (await this.#sdk.sendMessage(roomId, { msgtype: MsgType.Text, body })).event_id;
    } catch (error) {
      return this.#resend(roomId, body, error);
    }
  }

  /** Does what clients do with a message that could not be sent: sends it again, as it is, once the server is back. */
  async #resend(roomId: string, body: string, why: unknown): Promise<string> {
    const room = this.#room(roomId);
    const says = (event: MatrixEvent): boolean => event.getContent()['body'] === body;
    for (let cause = why; ; ) {
      if (!(cause instanceof ConnectionError)) throw cause;
      await this.#nextSync();
      const unsent = room.getPendingEvents().find(says);
      // Only the answer was lost: the message itself came back by sync.
      if (unsent === undefined) return room.getLiveTimeline().getEvents().find(says)?.getId() as string;
      try {
        return (await this.#sdk.resendEvent(unsent, room)).event_id;
      } catch (error) {
        cause = error;
      }
    }
  }

  async #nextSync(): Promise<void> {
    await new Promise<void>((done) => {
      const onSync = (state: SyncState): void => {
        if (state !== SyncState.Syncing) return;
        this.#sdk.off(ClientEvent.Sync, onSync);
        done();
      };
      this.#sdk.on(ClientEvent.Sync, onSync);
    });
  }

  async reply(roomId: string, eventId: string, body: string): Promise<string> {
    const content = { msgtype: MsgType.Text, body, 'm.relates_to': { 'm.in_reply_to': { event_id: eventId } } };
    return (await this.#sdk.sendMessage(roomId, content as never)).event_id;
  }

  async sayInThread(roomId: string, rootId: string, body: string): Promise<string> {
    let echo: string | undefined;
    const onEcho = (event: MatrixEvent): void => {
      if (event.threadRootId === rootId && event.getContent()['body'] === body && event.status === null) {
        echo = event.getId();
      }
    };
    this.#sdk.on(RoomEvent.LocalEchoUpdated, onEcho);
    try {
      return (await this.#sdk.sendMessage(roomId, rootId, { msgtype: MsgType.Text, body })).event_id;
    } catch (error) {
      // Where sync brings a reply before the answer to its sending is read, and the SDK still fetches the rest of the
      // thread, it takes the acknowledged reply for an unknown one. People see it in the thread all the same.
      if (echo === undefined || error instanceof HTTPError || error instanceof ConnectionError) throw error;
      return echo;
    } finally {
      this.#sdk.off(RoomEvent.LocalEchoUpdated, onEcho);
    }
  }

  async edit(roomId: string, eventId: string, body: string): Promise<string> {
    const content = {
      msgtype: MsgType.Text,
      body: `* ${body}`,
      'm.new_content': { msgtype: MsgType.Text, body },
      'm.relates_to': { rel_type: RelationType.Replace, event_id: eventId },
    };
    return (await this.#sdk.sendMessage(roomId, content as never)).event_id;
  }

  async react(roomId: string, eventId: string, key: string): Promise<string> {
    const relation = { rel_type: RelationType.Annotation, event_id: eventId, key } as const;
    return (await this.#sdk.sendEvent(roomId, EventType.Reaction, { 'm.relates_to': relation })).event_id;
  }

  async redact(roomId: string, eventId: string): Promise<void> {
    await this.#sdk.redactEvent(roomId, eventId);
  }

  async type(roomId: string, isTyping: boolean): Promise<void> {
    await this.#sdk.sendTyping(roomId, isTyping, TYPING_MS);
  }

  async read(roomId: string, eventId: string): Promise<void> {
    await this.#sdk.sendReadReceipt(this.#event(roomId, eventId));
  }

  async knows(roomId: string, eventId: string): Promise<boolean> {
    return this.#sdk.getRoom(roomId)?.findEventById(eventId) !== undefined;
  }

  async standing(roomId: string): Promise<Standing> {
    const room = this.#room(roomId);
    const others = room.getJoinedMembers().filter((member) => member.userId !== this.#sdk.getUserId());
    return {
      name: room.name,
      joined: room.getJoinedMembers().map((member) => member.userId),
      unread: room.getUnreadNotificationCount(NotificationCountType.Total),
      typing: others.filter((member) => member.typing).map((member) => member.userId),
      // Receipts that the server told of, without those that the SDK infers from messages.
      readUpTo: Object.fromEntries(others.map(({ userId }) => [userId, room.getEventReadUpTo(userId, true)])),
      // An acknowledged message whose echo fell into the gap of a limited sync stays in the SDK's list, as sent.
      pending: room
        .getPendingEvents()
        .filter((event) => event.status !== EventStatus.SENT)
        .map((event) => `${event.status}: ${event.getContent()['body']}`),
      syncStates: [...this.#syncStates],
      arrived: [...this.#arrived],
      loggedOut: this.#loggedOut,
    };
  }

  #line(room: Room, event: MatrixEvent): Line {
    const id = event.getId() as string;
    const reactions = room.relations.getChildEventsForEvent(id, RelationType.Annotation, EventType.Reaction);
    const byKey = reactions?.getSortedAnnotationsByKey() ?? [];
    return {
      id,
      sender: event.getSender() as string,
      body: event.isRedacted() ? null : event.getContent()['body'],
      edited: event.replacingEventId() !== undefined,
      repliesTo: event.replyEventId ?? null,
      reactions: Object.fromEntries(
        byKey
          .filter(([, events]) => events.size > 0)
          .map(([key, events]) => [key, [...events].map((each) => each.getSender() as string).sort()]),
      ),
    };
  }

  /** All messages of a timeline. As clients do, goes back from its live end: after a gap in sync the SDK drops the rest. */
  async #lines(room: Room, timelines: EventTimelineSet): Promise<Line[]> {
    const window = new TimelineWindow(this.#sdk, timelines, { windowLimit: 10_000 });
    await window.load(undefined, PAGE);
    while (window.canPaginate(Direction.Backward)) await window.paginate(Direction.Backward, PAGE);
    return window
      .getEvents()
      .filter((event) => event.getType() === EventType.RoomMessage && !event.isRelation(RelationType.Replace))
      .map((event) => this.#line(room, event));
  }

  async history(roomId: string): Promise<Line[]> {
    const room = this.#room(roomId);
    return this.#lines(room, room.getUnfilteredTimelineSet());
  }

  async thread(roomId: string, rootId: string): Promise<Line[]> {
    const room = this.#room(roomId);
    const thread = room.getThread(rootId);
    return thread === null ? [] : this.#lines(room, thread.timelineSet);
  }

  async stop(): Promise<void> {
    this.#client?.stopClient();
  }
}
