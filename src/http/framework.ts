import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Server as NetServer } from 'node:net';
import { fastify } from 'fastify';
import { letIn } from '#util/clock.js';

/** The methods that fastify knows of; the bundle leaves out the rest of them (scripts/bundle.mjs). */
export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'];

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

/** fastify as far as it is used here. */
export interface Framework {
  readonly routing: Listener;
  close(): Promise<unknown>;
}

/** Stands for fastify's schema compilers, which nothing here asks for. */
const noCompiler = () => () => (): never => {
  throw new Error('fastify was given a schema');
};

/** Loads fastify, in steps that let requests in between, and has it lead all requests to `serve`. */
export async function makeFramework(serve: Listener, targetBytes: number): Promise<Framework> {
  // The bundle loads it when it is first named. That and making an instance each hold the event loop for a while.
  const make = fastify;
  await letIn();
  const made = make({
    logger: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    requestIdHeader: false,
    genReqId: () => '',
    // Listening is ours, on as many addresses as there are: it would make a server for HTTP that nobody uses.
    serverFactory: () => new NetServer() as Server,
    // No schema is ever given to fastify: without this it loads an ajv and a serializer of its own for naught.
    schemaController: { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } },
    routerOptions: { maxParamLength: targetBytes, querystringParser: () => ({}) },
    // A target that fastify can't decode: our own table decodes, and answers in Matrix's form.
    frameworkErrors: (_error, request, reply) => serve(request.raw, reply.raw),
  });
  // Bodies are ours to read, after the caller is known.
  for (const method of METHODS) made.addHttpMethod(method, { hasBody: false, overrideExisting: true });
  // One wildcard: registering each path with fastify takes it a millisecond apiece, and it would decode before matching.
  made.route({ method: METHODS, url: '/*', handler: (request, reply) => serve(request.raw, reply.raw) });
  await made.ready();
  return made;
}
