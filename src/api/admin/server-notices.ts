import type { App } from '#api/app.js';
import { transaction } from '#api/client/parameters.js';
import { anyObject, type Infer, object, optional, string, userId } from '#core/schema.js';
import { type Caller, type Endpoint, endpoint } from '#http/endpoint.js';
import { sendServerNotice } from '#users/server-notices.js';

const path = '/_synapse/admin/v1/send_server_notice';
const notice = object({
  user_id: userId,
  content: anyObject,
  type: optional(string()),
  state_key: optional(string()),
});

async function send({ rooms, users }: App, caller: Caller, body: Infer<typeof notice>, txnId?: string) {
  const event_id = await sendServerNotice(rooms, users, {
    user: body.user_id,
    type: body.type ?? 'm.room.message',
    content: body.content,
    ...(body.state_key !== undefined && { stateKey: body.state_key }),
    ...(txnId !== undefined && { txn: { admin: caller.user, id: transaction(path, txnId).id } }),
  });
  return { event_id };
}

/** Notices of the server to its users, as Synapse's admin API sends them. */
export const serverNoticeEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'synapseSendServerNotice',
    method: 'POST',
    path,
    caller: 'admin',
    limit: 'send',
    body: () => notice,
    exactNumbers: true,
    async handle(app: App, { caller, body }) {
      return send(app, caller, body);
    },
  }),
  endpoint({
    id: 'synapseSendServerNoticeWithTxn',
    method: 'PUT',
    path: `${path}/{txnId}`,
    caller: 'admin',
    limit: 'send',
    params: () => object({ txnId: string() }),
    body: () => notice,
    exactNumbers: true,
    async handle(app: App, { caller, params, body }) {
      return send(app, caller, body, params.txnId);
    },
  }),
];
