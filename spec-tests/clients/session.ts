/** Who a session is. */
export interface Account {
  readonly userId: string;
  readonly deviceId: string;
  readonly accessToken: string;
}

/** A message as its reader sees it. */
export interface Line {
  readonly id: string;
  readonly sender: string;
  /** After the last edit; null where it was redacted. */
  readonly body: string | null;
  readonly edited: boolean;
  /** The message that it answers, or null. */
  readonly repliesTo: string | null;
  /** Who reacted with what, by key. */
  readonly reactions: Readonly<Record<string, readonly string[]>>;
}

/** What a client shows around a room's messages. */
export interface Standing {
  readonly name: string;
  readonly joined: readonly string[];
  /** The room's unread notifications, threads included. */
  readonly unread: number;
  /** Others who write just now. */
  readonly typing: readonly string[];
  /** The newest event of the main timeline that each of the others has read, by the receipts that came. */
  readonly readUpTo: Readonly<Record<string, string | null>>;
  /** Own messages that the server has not acknowledged, with their status. */
  readonly pending: readonly string[];
  /** Sync states in the order in which they were entered. */
  readonly syncStates: readonly string[];
  /** Ids of the messages that came live, in order of their arrival. */
  readonly arrived: readonly string[];
  /** Whether the server ever said that the session is no more. */
  readonly loggedOut: boolean;
}

/** One device of one user: what a person does with a client, and what they see. All values are JSON, so that it may run in a page. */
export interface Session {
  /** Registers with a registration token and starts to sync. Rejects with the error code where a stage fails. */
  register(baseUrl: string, username: string, password: string, token: string): Promise<Account>;
  login(baseUrl: string, username: string, password: string): Promise<Account>;
  createRoom(name: string, invite: string): Promise<string>;
  invitedTo(): Promise<string[]>;
  join(roomId: string): Promise<void>;
  /** Sends a message and resolves with its id once the server acknowledged it, however often it had to be sent. */
  say(roomId: string, body: string): Promise<string>;
  reply(roomId: string, eventId: string, body: string): Promise<string>;
  sayInThread(roomId: string, rootId: string, body: string): Promise<string>;
  edit(roomId: string, eventId: string, body: string): Promise<string>;
  react(roomId: string, eventId: string, key: string): Promise<string>;
  redact(roomId: string, eventId: string): Promise<void>;
  type(roomId: string, isTyping: boolean): Promise<void>;
  /** Sends a read receipt for an event, threaded where the event is in a thread. */
  read(roomId: string, eventId: string): Promise<void>;
  knows(roomId: string, eventId: string): Promise<boolean>;
  standing(roomId: string): Promise<Standing>;
  /** All messages of the main timeline from the room's creation, scrolling back as far as needed. */
  history(roomId: string): Promise<Line[]>;
  /** The messages of a thread, its root first; empty where the session knows of no thread. */
  thread(roomId: string, rootId: string): Promise<Line[]>;
  stop(): Promise<void>;
}
