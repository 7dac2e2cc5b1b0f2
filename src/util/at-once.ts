/**
 * Runs `work` on every item, at most `atOnce` of them at a time, and resolves with the results in the order of the items.
 * Rejects with the first error, once what had begun has ended.
 */
export async function atOnce<T, R>(
  items: Iterable<T>,
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = [];
  const left = [...items].entries();
  let failed = false;
  const lane = async (): Promise<void> => {
    for (const [index, item] of left) {
      if (failed) return;
      try {
        results[index] = await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: atOnce }, lane));
  const broken = lanes.find((ended) => ended.status === 'rejected');
  if (broken !== undefined) throw broken.reason;
  return results;
}
