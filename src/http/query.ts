import { MatrixError } from '#core/errors.js';
import { check, type Schema } from '#core/schema.js';

type Scalar = 'string' | 'integer' | 'number' | 'boolean';
interface Field {
  readonly type: Scalar;
  readonly repeated: boolean;
}

/** Reads the query of one endpoint: from the raw text after `?` to the checked record its handler gets. */
export type ReadQuery = (raw: string) => Readonly<Record<string, unknown>>;

const NOTHING: Readonly<Record<string, unknown>> = Object.freeze({});
const INTEGER = /^-?\d{1,16}$/;
const NUMBER = /^-?\d{1,16}(\.\d{1,16})?$/;

function scalar(json: unknown): Scalar {
  const { type, anyOf } = (json ?? {}) as { type?: unknown; anyOf?: readonly unknown[] };
  if (type === 'integer' || type === 'number' || type === 'boolean') return type;
  // Of several possible types only one can be meant by text, so the first that is not a string decides.
  return anyOf?.map(scalar).find((one) => one !== 'string') ?? 'string';
}

function fieldsOf(schema: Schema<unknown>): Map<string, Field> {
  const properties = (schema.json['properties'] ?? {}) as Record<string, { type?: unknown; items?: unknown }>;
  return new Map(
    Object.entries(properties).map(([name, json]) => {
      const repeated = json.type === 'array';
      return [name, { type: scalar(repeated ? json.items : json), repeated }];
    }),
  );
}

function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    throw new MatrixError('M_INVALID_PARAM', 'the query is not valid percent-encoded UTF-8');
  }
}

/** Name and value pairs of a raw query, in order, decoded as `application/x-www-form-urlencoded`. */
export function* queryPairs(raw: string): Generator<readonly [name: string, value: string]> {
  for (const pair of raw.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    yield equals < 0 ? [decode(pair), ''] : [decode(pair.slice(0, equals)), decode(pair.slice(equals + 1))];
  }
}

function convert(name: string, text: string, type: Scalar): string | number | boolean {
  if (type === 'string') return text;
  if (type === 'boolean') {
    if (text === 'true' || text === 'false') return text === 'true';
  } else if ((type === 'integer' ? INTEGER : NUMBER).test(text)) {
    const value = Number(text);
    if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value;
  }
  throw new MatrixError(
    'M_INVALID_PARAM',
    `query parameter '${name}' must be ${type === 'integer' ? 'an' : 'a'} ${type}`,
  );
}

/**
 * Builds the reader for a query schema. Parameters that the schema does not name are ignored; a scalar given twice is
 * refused, since two readers could take different ones.
 *
 * The reader throws `M_MISSING_PARAM` for a missing required parameter and `M_INVALID_PARAM` for any other fault.
 */
export function queryReader(schema: Schema<unknown> | undefined): ReadQuery {
  if (schema === undefined) return () => NOTHING;
  const fields = fieldsOf(schema);
  return (raw) => {
    const query: Record<string, unknown> = {};
    const lists = new Map<string, unknown[]>();
    for (const [name, text] of raw === '' ? [] : queryPairs(raw)) {
      const field = fields.get(name);
      if (field === undefined) continue;
      const value = convert(name, text, field.type);
      if (field.repeated) {
        const list = lists.get(name) ?? [];
        list.push(value);
        lists.set(name, list);
        query[name] = list;
      } else if (Object.hasOwn(query, name)) {
        throw new MatrixError('M_INVALID_PARAM', `query parameter '${name}' is given more than once`);
      } else {
        query[name] = value;
      }
    }
    const problem = check(schema, query);
    if (problem === undefined) return query;
    if (problem.kind === 'missing') throw new MatrixError('M_MISSING_PARAM', `query parameter ${problem.message}`);
    throw new MatrixError('M_INVALID_PARAM', `query parameter ${problem.message}`);
  };
}
