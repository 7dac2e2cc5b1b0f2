import { isObject, type JsonObject, own } from '#core/json-value.js';
import { escapeControls } from '#log';

/** Lines with their cells under one another. Cells can hold what users chose, so nothing in them commands a terminal. */
export function columns(rows: readonly (readonly string[])[]): string {
  const clean = rows.map((row) => row.map(escapeControls));
  const widths = (clean[0] ?? []).map((_, i) => Math.max(...clean.map((row) => row[i]?.length ?? 0)));
  return clean
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The objects in the array `key` of an answer. */
export function objects(json: JsonObject, key: string): JsonObject[] {
  const list = own(json, key);
  return Array.isArray(list) ? list.filter(isObject) : [];
}

/** Milliseconds since the epoch as a day: 2026-01-31. */
export function day(ts: unknown): string {
  return typeof ts === 'number' ? new Date(ts).toISOString().slice(0, 10) : '?';
}
