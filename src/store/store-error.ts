/**
 * Why the store refuses.
 *
 * Opening: `locked` another process has the directory · `corrupt` rows or batches are damaged or lost · `noPermission` ·
 * `newerFormat` written by a newer Runnel · `wrongServerName` · `signingKey` the key is not the one this database was
 * made with · `missing` there was a database here, and it is gone.
 * Running: `write` the disk refused a write, nothing of it is visible · `unavailable` the database is being reopened ·
 * `closed` the store was closed.
 */
export type StoreErrorKind =
  | 'locked'
  | 'corrupt'
  | 'noPermission'
  | 'newerFormat'
  | 'wrongServerName'
  | 'signingKey'
  | 'missing'
  | 'write'
  | 'unavailable'
  | 'closed';

/** A fault of the disk or of the database, with a sentence that an operator can act on. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly kind: StoreErrorKind;
  constructor(kind: StoreErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
