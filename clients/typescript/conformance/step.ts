import type { JobFacts } from "./job.js";

/** One step of a scenario; an op takes from it what it needs. */
export interface Step {
  op: string;
  deadline_ms?: number;
  command: string[];
  request_id?: string;
  job: string;
  grace_ms?: number;
  page_size?: number;
  page_token?: string;
  stream: string;
  offset?: number;
  follow?: boolean;
  tail_lines?: number;
  limit?: number;
  cancel_after_bytes?: number;
  service: string;
}

/** What comes of one step. */
export type Result = { ok: object } | { error: object };

/** Puts what came of earlier steps in the place of "$3", "$3:8" and "$page3", in fields that are strings. */
export function resolve(step: Step, earlier: readonly Result[]): Step {
  const fields = Object.entries(step).map(([name, value]: [string, unknown]) => [
    name,
    typeof value === "string" ? meant(value, earlier) : value,
  ]);
  return Object.fromEntries(fields) as Step;
}

function meant(text: string, earlier: readonly Result[]): string {
  const [, kind, number, length] = /^\$(page)?(\d+)(?::(\d+))?$/.exec(text) ?? [];
  if (number === undefined) return text;
  const result = earlier[Number(number)];
  const ok: { job?: JobFacts; next_page_token?: string } = result && "ok" in result ? result.ok : {};
  const value = kind ? ok.next_page_token : ok.job?.id;
  if (value === undefined) throw new Error(`${text} names nothing`);
  return length === undefined ? value : value.slice(0, Number(length));
}
