import { connect, errorOf, type Client } from "../src/index.js";
import { ops } from "./ops.js";
import { resolve, type Result, type Step } from "./step.js";

/** What comes in. */
export interface Scenario {
  address: string;
  ca: string;
  cert: string;
  key: string;
  steps: Step[];
}

/** Does a whole scenario. It throws for a fault of the scenario or of the driver, never for what a step came to. */
export async function run(scenario: Scenario): Promise<{ results: Result[] }> {
  const client = connect(scenario);
  const results: Result[] = [];
  try {
    for (const step of scenario.steps) results.push(await done(client, resolve(step, results)));
  } finally {
    client.close();
  }
  return { results };
}

async function done(client: Client, step: Step): Promise<Result> {
  const op = ops[step.op];
  if (!op) throw new Error(`there is no op "${step.op}"`);
  try {
    return { ok: await op(client, step) };
  } catch (cause) {
    // What is not the library's comes from a stub of gRPC's own services, or is a fault of ours.
    if (!(cause instanceof Error) || !("code" in cause)) throw cause;
    const { code, reason, field, metadata } = errorOf(cause);
    return { error: { code, reason, field, metadata } };
  }
}
