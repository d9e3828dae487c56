/**
 * Drives a worker-daemon: starts commands as jobs on the daemon's host, stops them, tells their state, and reads their
 * output to the byte, also across broken connections.
 *
 * The stubs in `gen` are made from the proto folder of the repository, never committed.
 */
export {
  Client,
  connect,
  type CallOptions,
  type ConnectOptions,
  type FollowOptions,
  type Page,
  type PageOptions,
  type ReadOptions,
  type StartOptions,
  type StopOptions,
} from "./client.js";
export { errorOf, JobWorkerError, type Code } from "./errors.js";
export type { Data, End, Frame, Gap, Resumed } from "./frames.js";
export { JobState, LogStream, type Job } from "./gen/jobworker/v1/job_worker_pb.js";
