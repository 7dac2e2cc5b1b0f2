import { MatrixError } from '#core/errors.js';
import type { JsonObject } from '#core/json-value.js';
import { check, type Schema } from '#core/schema.js';
import type { Endpoint } from '#http/endpoint.js';
import { queryReader, type ReadQuery } from '#http/query.js';

/** Checks what the requests of one endpoint bring. Made with the first of them, and the endpoint's schemas with it. */
export class InputChecks {
  readonly readQuery: ReadQuery;
  readonly #params: Schema<unknown> | undefined;
  readonly #body: Schema<unknown> | undefined;

  constructor({ params, query, body }: Pick<Endpoint<never>, 'params' | 'query' | 'body'>) {
    this.readQuery = queryReader(query?.());
    this.#params = params?.();
    this.#body = body?.();
  }

  /** Throws `M_INVALID_PARAM`. */
  checkParams(params: Readonly<Record<string, string>>): void {
    const problem = this.#params === undefined ? undefined : check(this.#params, params);
    if (problem !== undefined) throw new MatrixError('M_INVALID_PARAM', `path parameter ${problem.message}`);
  }

  /** Returns the body; none at all is the empty object. Throws `M_MISSING_PARAM`, or `M_BAD_JSON` for any other fault. */
  checkBody(body: JsonObject = {}): JsonObject {
    const problem = this.#body === undefined ? undefined : check(this.#body, body);
    if (problem === undefined) return body;
    throw new MatrixError(problem.kind === 'missing' ? 'M_MISSING_PARAM' : 'M_BAD_JSON', problem.message);
  }
}
