import type { App } from '#api/app.js';
import { boolean, nullable, object, optional, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { loginBody } from '#users/sessions.js';
import { issueNonce, registerWithSecret } from '#users/shared-secret.js';

/** Registration by whoever knows the shared secret: Synapse's `/_synapse/admin/v1/register`, with its tools in mind. */
export const sharedSecretEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'synapseRegisterNonce',
    method: 'GET',
    path: '/_synapse/admin/v1/register',
    caller: 'none',
    limit: 'register',
    async handle({ users }: App) {
      return { nonce: issueNonce(users) };
    },
  }),
  endpoint({
    id: 'synapseRegister',
    method: 'POST',
    path: '/_synapse/admin/v1/register',
    caller: 'none',
    limit: 'register',
    body: () =>
      object({
        nonce: string(),
        username: string(),
        password: string(),
        mac: string(),
        admin: optional(nullable(boolean)),
        displayname: optional(nullable(string())),
      }),
    async handle({ users }: App, { body }) {
      const session = await registerWithSecret(users, {
        nonce: body.nonce,
        username: body.username,
        password: body.password,
        mac: body.mac,
        admin: body.admin === true,
        displayname: body.displayname ?? undefined,
      });
      return loginBody(users, session);
    },
  }),
];
