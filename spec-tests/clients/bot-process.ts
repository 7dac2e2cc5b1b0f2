/**
 * One user on matrix-bot-sdk in a process of its own, driven as client-process.ts says. Usage:
 * bot-process.ts URL STORAGE_FILE, and `login` or `resume` before anything else.
 */
import { createInterface } from 'node:readline';
import {
  AutojoinRoomsMixin,
  LogLevel,
  LogService,
  MatrixAuth,
  MatrixClient,
  SimpleFsStorageProvider,
} from 'matrix-bot-sdk';

const [url = '', storageFile = ''] = process.argv.slice(2);
const TOKEN = 'access_token';

LogService.setLevel(LogLevel.ERROR);
// It logs whole events and errors, on standard output; the tests need that for answers.
const complain = (...parts: unknown[]): void => console.error(...parts);
LogService.setLogger({ trace() {}, debug() {}, info() {}, warn: complain, error: complain });

// biome-ignore lint/suspicious/noExplicitAny: matrix-bot-sdk types the contents of events as any.
type Content = any;
const heard: { room: string; event: Content }[] = [];
const storage = new SimpleFsStorageProvider(storageFile);
let client: MatrixClient;

/** Answers `!echo words` by a notice in reply, and `!members` by how many there are. */
async function command(room: string, event: Content): Promise<void> {
  const body: unknown = event.content?.body;
  if (event.sender === (await client.getUserId()) || typeof body !== 'string') return;
  if (body.startsWith('!echo ')) await client.replyNotice(room, event, body.slice('!echo '.length));
  if (body === '!members') {
    await client.replyNotice(room, event, `${(await client.getJoinedRoomMembers(room)).length} members`);
  }
}

/** Syncs with what the storage provider holds, joins where it is invited, keeps what it hears, and answers commands. */
async function begin(token: string): Promise<string> {
  client = new MatrixClient(url, token, storage);
  AutojoinRoomsMixin.setupOnClient(client);
  client.on('room.event', (room: string, event: Content) => heard.push({ room, event }));
  client.on('room.message', (room: string, event: Content) => {
    command(room, event).catch((error) => console.error('The command failed:', error));
  });
  await client.start({ room: { timeline: { limit: 100 } } });
  return client.getUserId();
}

const actions: Record<string, (given: Content) => Promise<unknown> | unknown> = {
  async login({ user, password }) {
    const { accessToken } = await new MatrixAuth(url).passwordLogin(user, password, 'bot');
    storage.storeValue(TOKEN, accessToken);
    return begin(accessToken);
  },
  async resume() {
    return begin(String(await storage.readValue(TOKEN)));
  },
  call: ({ method, args }) => (client[method as keyof MatrixClient] as (...args: unknown[]) => unknown)(...args),
  react: ({ room, event, key }) => client.unstableApis.addReactionToEvent(room, event, key),
  aliases: ({ room }) => client.unstableApis.getRoomAliases(room),
  heard: ({ room }) => heard.filter((one) => one.room === room).map(({ event }) => event),
  upload: ({ base64, type, name }) => client.uploadContent(Buffer.from(base64, 'base64'), type, name),
  async download({ mxc }) {
    const { data, contentType } = await client.downloadContent(mxc);
    return { base64: data.toString('base64'), type: contentType };
  },
  async createSpace({ name, children }) {
    const space = await client.createSpace({ name, isPublic: false });
    for (const child of children) await space.addChildRoom(child, { suggested: true });
    const nested = await space.createChildSpace({ name: `${name}, nested`, isPublic: false });
    return { space: space.roomId, nested: nested.roomId, children: Object.keys(await space.getChildEntities()) };
  },
  dm: ({ user }) => client.dms.getOrCreateDm(user),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, do: name, ...given } = JSON.parse(line);
  const answer = async (): Promise<object> => {
    try {
      return { id, result: (await actions[name]?.(given)) ?? null };
    } catch (error) {
      const { statusCode, body } = error as { statusCode?: number; body?: unknown };
      return { id, error: statusCode === undefined ? String(error) : `${name}: ${statusCode} ${JSON.stringify(body)}` };
    }
  };
  void answer().then((done) => console.log(JSON.stringify(done)));
}
process.exit();
