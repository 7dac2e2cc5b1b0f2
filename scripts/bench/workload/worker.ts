import { STEPS, type StepName } from './steps.js';
import { type Target, World } from './world.js';

/** The load generator's process: takes a target, then steps, one at a time, and answers each with its figures. */
export type Order = { readonly target: Target } | { readonly step: StepName; readonly given: never };
export type Report = { readonly result: unknown } | { readonly error: string };

let world: World | undefined;
process.on('message', (order: Order) => void carryOut(order).then((report) => process.send?.(report)));

async function carryOut(order: Order): Promise<Report> {
  try {
    if ('target' in order) {
      world = new World(order.target);
      return { result: undefined };
    }
    if (world === undefined) throw new Error('no target was named');
    return { result: await STEPS[order.step](world, order.given) };
  } catch (error) {
    return { error: `${order && 'step' in order ? order.step : 'target'}: ${(error as Error).message}` };
  }
}
