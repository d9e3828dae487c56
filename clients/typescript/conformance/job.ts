import { JobState, type Job } from "../src/index.js";

/** A job as the runner compares it. */
export interface JobFacts {
  id: string;
  command: string[];
  state: string;
  exit_code: number | null;
  signal: number | null;
  stdout_bytes: bigint;
  stderr_bytes: bigint;
  owner: string;
  principal: string;
  killed_processes: number | null;
  lost: boolean;
  started: boolean;
  ended: boolean;
  stop_requested: boolean;
}

export function factsOf(job: Job): JobFacts {
  const { outcome } = job;
  return {
    id: job.id,
    command: job.command,
    state: JobState[job.state],
    exit_code: outcome.case === "exitCode" ? outcome.value : null,
    signal: outcome.case === "signal" ? outcome.value : null,
    stdout_bytes: job.stdoutBytes,
    stderr_bytes: job.stderrBytes,
    owner: job.owner,
    principal: job.principal,
    killed_processes: job.termination?.killedProcesses ?? null,
    lost: outcome.case === "lost",
    started: job.startTime !== undefined,
    ended: job.endTime !== undefined,
    stop_requested: job.stopRequestTime !== undefined,
  };
}
