import {
  AuthType,
  ClientEvent,
  createClient,
  EventType,
  type MatrixClient,
  type MatrixEvent,
  Method,
  MsgType,
  PendingEventOrdering,
  type Room,
  SyncState,
  TimelineWindow,
} from 'matrix-js-sdk';
import {
  type CryptoApi,
  CryptoEvent,
  type GeneratedSecretStorageKey,
  type ShowSasCallbacks,
  VerificationPhase,
  type VerificationRequest,
  VerificationRequestEvent,
  type Verifier,
  VerifierEvent,
} from 'matrix-js-sdk/lib/crypto-api/index.js';
import { logger } from 'matrix-js-sdk/lib/logger.js';

const PAGE = 100;
const WAIT_MS = 60_000;
const POLL_MS = 50;

// matrix-js-sdk logs every request, and its crypto every step.
(logger as unknown as { disableAll(): void }).disableAll();
console.debug = () => {};
const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, getChild: () => silent };

/** A user with a password, and the recovery key of their secret storage once they have one. */
export interface Person {
  readonly userId: string;
  readonly password: string;
  recovery?: { readonly keyId: string; readonly key: GeneratedSecretStorageKey };
}

/** A line of an encrypted room as its reader sees it: `body` is undefined where it could not be decrypted. */
export interface EncryptedLine {
  readonly id: string;
  readonly body: string | undefined;
  /** Why it could not. */
  readonly failure: string | null;
  /** Megolm session that it was encrypted with. */
  readonly session: string;
}

/** Asks until `ask` answers with something true, and returns that. `what` says what was waited for, once it was in vain. */
export async function waitFor<T>(
  what: string | (() => string),
  ask: () => T | Promise<T | undefined | false> | undefined | false,
): Promise<T> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer as T;
    if (performance.now() > deadline) {
      throw new Error(`in vain waited until ${typeof what === 'string' ? what : what()}`);
    }
    await new Promise((again) => setTimeout(again, POLL_MS));
  }
}

/** A device of a user on matrix-js-sdk with its Rust crypto, all in memory. Runs in Node and in a page alike. */
export class EncryptedDevice {
  readonly person: Person;
  readonly name: string;
  #client: MatrixClient | undefined;
  /** While set, the device has no network: requests wait for it. */
  #offline: { readonly over: Promise<void>; readonly end: () => void } | undefined;
  readonly #requests: VerificationRequest[] = [];
  /** Called once, between the answer to a sync and all that the client does with it. */
  afterNextSync: (() => Promise<void>) | undefined;

  private constructor(name: string, person: Person) {
    this.name = name;
    this.person = person;
  }

  /** Logs in on a new device and resolves after its first sync. */
  static async login(name: string, baseUrl: string, person: Person): Promise<EncryptedDevice> {
    const device = new EncryptedDevice(name, person);
    const session = await createClient({ baseUrl, logger: silent }).loginRequest({
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: person.userId },
      password: person.password,
    });
    const client = createClient({
      baseUrl,
      userId: session.user_id,
      deviceId: session.device_id,
      accessToken: session.access_token,
      logger: silent,
      timelineSupport: true,
      fetchFn: (input, init) => device.#fetch(input, init),
      cryptoCallbacks: {
        getSecretStorageKey: async ({ keys }) => {
          const { recovery } = person;
          return recovery !== undefined && recovery.keyId in keys
            ? [recovery.keyId, recovery.key.privateKey as Uint8Array<ArrayBuffer>]
            : null;
        },
        cacheSecretStorageKey: (keyId, _info, privateKey) => {
          if (person.recovery === undefined) person.recovery = { keyId, key: { privateKey } };
        },
      },
    });
    device.#client = client;
    await client.initRustCrypto({ useIndexedDB: false });
    client.on(CryptoEvent.VerificationRequestReceived, (request) => device.#requests.push(request));
    const prepared = new Promise<void>((done) => {
      client.on(ClientEvent.Sync, (state) => {
        if (state === SyncState.Prepared) done();
      });
    });
    await client.startClient({
      initialSyncLimit: PAGE,
      pendingEventOrdering: PendingEventOrdering.Detached,
    });
    await prepared;
    return device;
  }

  get client(): MatrixClient {
    if (this.#client === undefined) throw new Error('not logged in');
    return this.#client;
  }
  get crypto(): CryptoApi {
    const crypto = this.client.getCrypto();
    if (crypto === undefined) throw new Error('no crypto');
    return crypto;
  }
  get userId(): string {
    return this.person.userId;
  }
  get deviceId(): string {
    return this.client.getDeviceId() as string;
  }

  async #fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    while (this.#offline !== undefined) await this.#offline.over;
    const answer = await fetch(input, init);
    if (!/\/sync\?/.test(String(input)) || this.afterNextSync === undefined) return answer;
    const hook = this.afterNextSync;
    this.afterNextSync = undefined;
    const { status, headers } = answer;
    const body = await answer.arrayBuffer();
    await hook();
    return new Response(body, { status, headers });
  }

  /** Takes the network away: whatever the device asks from now on waits until `online`. */
  offline(): void {
    let end = (): void => {};
    const over = new Promise<void>((done) => {
      end = done;
    });
    this.#offline = { over, end };
  }
  online(): void {
    const { end } = this.#offline ?? {};
    this.#offline = undefined;
    end?.();
  }

  stop(): void {
    this.online();
    this.#client?.stopClient();
  }

  /** Answers the interactive authentication of a request with the password. */
  readonly #withPassword = async <T>(request: (auth: never) => Promise<T>): Promise<T> => {
    try {
      return await request(null as never);
    } catch (error) {
      const { httpStatus, data } = error as { httpStatus?: number; data?: { session?: string } };
      if (httpStatus !== 401) throw error;
      return request({
        type: AuthType.Password,
        identifier: { type: 'm.id.user', user: this.userId },
        password: this.person.password,
        session: data?.session,
      } as never);
    }
  };

  /** First device of a person: makes cross-signing keys, secret storage and key backup. */
  async setUp(): Promise<void> {
    await this.crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys: this.#withPassword as never });
    const key = await this.crypto.createRecoveryKeyFromPassphrase();
    await this.crypto.bootstrapSecretStorage({
      createSecretStorageKey: async () => key,
      setupNewSecretStorage: true,
      setupNewKeyBackup: true,
    });
    const keyId = await this.client.secretStorage.getDefaultKeyId();
    if (keyId === null) throw new Error('no secret storage');
    this.person.recovery = { keyId, key };
    await this.crypto.checkKeyBackupAndEnable();
  }

  /** A later device: takes the identity and the key of the backup from secret storage, and reads the backup. */
  async recover(): Promise<{ total: number; imported: number }> {
    // Secrets are taken only where they belong to the identity that the server tells.
    await this.crypto.userHasCrossSigningKeys(this.userId, true);
    await this.crypto.bootstrapCrossSigning({});
    await this.crypto.loadSessionBackupPrivateKeyFromSecretStorage();
    await this.crypto.checkKeyBackupAndEnable();
    return this.crypto.restoreKeyBackup();
  }

  /** How many sessions the server has in the backup. */
  async backedUp(): Promise<number> {
    const path = '/room_keys/version';
    const prefix = '/_matrix/client/v3';
    const { count } = await this.client.http.authedRequest<{ count: number }>(Method.Get, path, {}, undefined, {
      prefix,
    });
    return count;
  }

  /** Makes a new identity, as one does who has lost everything. */
  async resetIdentity(): Promise<void> {
    delete this.person.recovery;
    await this.crypto.resetEncryption(this.#withPassword as never);
  }

  room(roomId: string): Room | null {
    return this.client.getRoom(roomId);
  }

  /** Whether the device knows the room as encrypted and with exactly these members joined. */
  sees(roomId: string, members: readonly string[]): boolean {
    const room = this.room(roomId);
    if (room?.hasEncryptionStateEvent() !== true) return false;
    const joined = room
      .getJoinedMembers()
      .map((member) => member.userId)
      .sort();
    return JSON.stringify(joined) === JSON.stringify([...members].sort());
  }

  /** Sends a line, as often as it takes, and resolves with its id. */
  async say(roomId: string, body: string): Promise<string> {
    const room = this.room(roomId);
    if (room === null) throw new Error(`${this.name} does not know the room`);
    const says = (event: MatrixEvent): boolean => event.getContent()['body'] === body;
    try {
      return (await this.client.sendMessage(roomId, { msgtype: MsgType.Text, body })).event_id;
    } catch {
      for (;;) {
        await this.#nextSync();
        const unsent = room.getPendingEvents().find(says);
        // Only the answer was lost: the message itself came back by sync.
        if (unsent === undefined) return room.getLiveTimeline().getEvents().find(says)?.getId() as string;
        const sent = await this.client.resendEvent(unsent, room).catch(() => undefined);
        if (sent !== undefined) return sent.event_id;
      }
    }
  }

  async #nextSync(): Promise<void> {
    await new Promise<void>((done) => {
      const onSync = (state: SyncState): void => {
        if (state !== SyncState.Syncing) return;
        this.client.off(ClientEvent.Sync, onSync);
        done();
      };
      this.client.on(ClientEvent.Sync, onSync);
    });
  }

  /** The lines of the whole history that the device may read, decrypted where it can. */
  async read(roomId: string): Promise<EncryptedLine[]> {
    const room = this.room(roomId);
    if (room === null) return [];
    const window = new TimelineWindow(this.client, room.getUnfilteredTimelineSet(), { windowLimit: 10_000 });
    await window.load(undefined, PAGE);
    while (window.canPaginate('b' as never)) await window.paginate('b' as never, PAGE);
    const lines: EncryptedLine[] = [];
    for (const event of window.getEvents()) {
      if (event.getWireType() !== EventType.RoomMessageEncrypted) continue;
      await this.client.decryptEventIfNeeded(event);
      if (!event.isDecryptionFailure() && event.getType() !== EventType.RoomMessage) continue;
      const body = event.isDecryptionFailure() ? undefined : event.getContent()['body'];
      const failure = event.decryptionFailureReason;
      lines.push({ id: event.getId() as string, body, failure, session: event.getWireContent()['session_id'] });
    }
    return lines;
  }

  /** The next verification request from `userId` that came. */
  async #requestFrom(userId: string): Promise<VerificationRequest> {
    return waitFor(`${this.name} is asked to verify ${userId}`, () => {
      const at = this.#requests.findIndex((request) => request.otherUserId === userId);
      return at < 0 ? undefined : this.#requests.splice(at, 1)[0];
    });
  }

  /** Verifies the devices' user by comparing emoji: asks `other`, of the same user or, in a room with both, another one. */
  async verify(other: EncryptedDevice, roomId?: string): Promise<void> {
    const asked =
      roomId === undefined
        ? await this.crypto.requestDeviceVerification(other.userId, other.deviceId)
        : await this.crypto.requestVerificationDM(other.userId, roomId);
    const received = await other.#requestFrom(this.userId);
    await received.accept();
    await reaches(asked, VerificationPhase.Ready);
    const mine = await asked.startVerification('m.sas.v1');
    const theirs = await waitFor('the other begins', () => received.verifier);
    const [a, b] = [shownSas(mine), shownSas(theirs)];
    const outcome = Promise.all([mine.verify(), theirs.verify()]);
    const [first, second] = await Promise.all([a, b]);
    const same = JSON.stringify(first.sas.emoji) === JSON.stringify(second.sas.emoji);
    if (!same) throw new Error('the emoji differ');
    await Promise.all([first.confirm(), second.confirm()]);
    await outcome;
    await Promise.all([reaches(asked, VerificationPhase.Done), reaches(received, VerificationPhase.Done)]);
  }

  /** Whether this device holds `device` for verified by cross-signing. */
  async trusts(device: EncryptedDevice): Promise<boolean> {
    const status = await this.crypto.getDeviceVerificationStatus(device.userId, device.deviceId);
    return status?.crossSigningVerified === true;
  }
}

async function reaches(request: VerificationRequest, phase: VerificationPhase): Promise<void> {
  if (request.phase === phase) return;
  await new Promise<void>((done, fail) => {
    const onChange = (): void => {
      if (request.phase === VerificationPhase.Cancelled) fail(new Error(`cancelled: ${request.cancellationCode}`));
      if (request.phase === phase) done();
    };
    request.on(VerificationRequestEvent.Change, onChange);
    onChange();
  });
}

function shownSas(verifier: Verifier): Promise<ShowSasCallbacks> {
  return new Promise((done) => {
    verifier.once(VerifierEvent.ShowSas, done);
    const shown = verifier.getShowSasCallbacks();
    if (shown !== null) done(shown);
  });
}
