import { Ajv, type ValidateFunction } from 'ajv';
import { DeviceId, EventId, RoomAlias, RoomId, ServerName, UserId } from '#core/ids.js';
import type { JsonObject, JsonValue } from '#core/json-value.js';

/**
 * A JSON Schema with the TypeScript type that it proves. Schemas are built with the functions below, so that the type
 * of a handler's input and what is checked at run time can't differ.
 */
export interface Schema<T> {
  readonly json: Readonly<Record<string, unknown>>;
  readonly optional?: true;
  /** Phantom: never set. */
  readonly _type?: T;
}
export type Infer<S> = S extends Schema<infer T> ? T : never;

type Shape = Readonly<Record<string, Schema<unknown>>>;
type OptionalKeys<S extends Shape> = { [K in keyof S]: S[K] extends { readonly optional: true } ? K : never }[keyof S];
type ObjectOf<S extends Shape> = { readonly [K in Exclude<keyof S, OptionalKeys<S>>]: Infer<S[K]> } & {
  readonly [K in OptionalKeys<S>]?: Infer<S[K]> | undefined;
};

export const string = (limits: { maxLength?: number; minLength?: number; pattern?: string } = {}): Schema<string> => ({
  json: { type: 'string', ...limits },
});
export const boolean: Schema<boolean> = { json: { type: 'boolean' } };
export const integer = (limits: { minimum?: number; maximum?: number } = {}): Schema<number> => ({
  json: { type: 'integer', minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER, ...limits },
});
export const number: Schema<number> = { json: { type: 'number' } };
export const literal = <const T extends string>(...values: readonly T[]): Schema<T> => ({ json: { enum: values } });
export const array = <T>(items: Schema<T>, limits: { maxItems?: number } = {}): Schema<readonly T[]> => ({
  json: { type: 'array', items: items.json, ...limits },
});
/** Any JSON object, its keys as data. */
export const anyObject: Schema<JsonObject> = { json: { type: 'object' } };
export const any: Schema<JsonValue> = { json: {} };
/** An object used as a map with values of one schema. */
export const record = <T>(
  values: Schema<T>,
  limits: { maxProperties?: number } = {},
): Schema<Readonly<Record<string, T>>> => ({
  json: { type: 'object', additionalProperties: values.json, ...limits },
});
export const nullable = <T>(schema: Schema<T>): Schema<T | null> => ({
  json: { anyOf: [schema.json, { type: 'null' }] },
});
export const oneOf = <T extends readonly Schema<unknown>[]>(...schemas: T): Schema<Infer<T[number]>> => ({
  json: { anyOf: schemas.map((s) => s.json) },
});
export const optional = <T>(schema: Schema<T>): Schema<T> & { readonly optional: true } => ({
  ...schema,
  optional: true,
});
/** Unknown keys are let through: clients send more than the specification names. */
export const object = <S extends Shape>(shape: S): Schema<ObjectOf<S>> => {
  const required: string[] = [];
  const properties: Record<string, object> = {};
  for (const key of Object.keys(shape)) {
    const { json, optional } = shape[key]!;
    if (optional !== true) required.push(key);
    properties[key] = json;
  }
  return { json: { type: 'object', required, properties } };
};

const FORMATS = {
  'mx-user-id': UserId.is,
  'mx-room-id': RoomId.is,
  'mx-event-id': EventId.is,
  'mx-room-alias': RoomAlias.is,
  'mx-server-name': ServerName.is,
  'mx-device-id': DeviceId.is,
} as const;
const formatted = <T>(format: keyof typeof FORMATS): Schema<T> => ({ json: { type: 'string', format } });
export const userId = formatted<UserId>('mx-user-id');
export const roomId = formatted<RoomId>('mx-room-id');
export const eventId = formatted<EventId>('mx-event-id');
export const roomAlias = formatted<RoomAlias>('mx-room-alias');
export const serverName = formatted<ServerName>('mx-server-name');
export const deviceId = formatted<DeviceId>('mx-device-id');

/** What is wrong with a value: `missing` a required property, or a `wrong` type, form or size. */
export interface Problem {
  readonly kind: 'missing' | 'wrong';
  /** Where, as a dotted path from the root: `content.membership`. */
  readonly path: string;
  readonly message: string;
}

let ajv: Ajv | undefined;
const compiled = new WeakMap<object, ValidateFunction>();

/** Checks `value`; undefined when it fits. Schemas compile on first use: start-up must not wait for them all. */
export function check(schema: Schema<unknown>, value: unknown): Problem | undefined {
  let validate = compiled.get(schema.json);
  if (validate === undefined) {
    if (ajv === undefined) {
      ajv = new Ajv({ strict: false, ownProperties: true, allErrors: false, useDefaults: false, coerceTypes: false });
      for (const [name, is] of Object.entries(FORMATS)) ajv.addFormat(name, { type: 'string', validate: is });
    }
    validate = ajv.compile(schema.json);
    compiled.set(schema.json, validate);
  }
  if (validate(value)) return undefined;
  const error = validate.errors?.[0];
  const path = (error?.instancePath ?? '').slice(1).replaceAll('/', '.');
  if (error?.keyword === 'required') {
    const missing = String(error.params['missingProperty']);
    return { kind: 'missing', path: path === '' ? missing : `${path}.${missing}`, message: `'${missing}' is missing` };
  }
  return { kind: 'wrong', path, message: `${path === '' ? 'value' : `'${path}'`} ${error?.message ?? 'is wrong'}` };
}
