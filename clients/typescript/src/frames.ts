import type { MessageInitShape } from "@bufbuild/protobuf";

import type { Connection, Limits } from "./connection.js";
import { JobWorkerError } from "./errors.js";
import {
  JobWorkerService,
  type Job,
  type ReadLogsRequestSchema,
  type ReadLogsResponse,
} from "./gen/jobworker/v1/job_worker_pb.js";

/** A piece of the stream, exactly as the job wrote it. How a stream is divided has no meaning. */
export interface Data {
  readonly type: "data";
  /** Of the first byte, counted from 0 at the stream's first one. */
  readonly offset: bigint;
  readonly bytes: Uint8Array;
}

/** Stands for bytes that the daemon has released, the oldest first, to keep the stream within its size limit. */
export interface Gap {
  readonly type: "gap";
  /** The first byte that is gone. */
  readonly from: bigint;
  /** The first after it that is still there. */
  readonly to: bigint;
}

/** The last frame of every read that was complete. None that broke has it. */
export interface End {
  readonly type: "end";
  /** Where to read on; of a follow the stream's final size. */
  readonly offset: bigint;
  /** As it is at the end of the read. */
  readonly job: Job;
}

/** Says that a follow had broken and goes on, with nothing lost or repeated. */
export interface Resumed {
  readonly type: "resumed";
  /** Of the byte with which it goes on. */
  readonly offset: bigint;
  /** What broke it. */
  readonly cause: JobWorkerError;
}

/** A piece of what a read gives. */
export type Frame = Data | Gap | End;

export type ReadRequest = Exclude<MessageInitShape<typeof ReadLogsRequestSchema>, { $typeName: string }>;

/** Makes one call and gives its frames: the end last, or an error. */
export async function* frames(
  connection: Connection,
  request: ReadRequest,
  limits: Limits,
): AsyncGenerator<Frame, void, undefined> {
  const responses = connection.stream(JobWorkerService.method.readLogs, request, limits);
  for await (const response of responses) {
    const frame = frameOf(response);
    // The status comes after the end. To cancel before that would make a failure of a good call in the daemon's log.
    if (frame.type === "end") await responses.next().catch(() => undefined);
    yield frame;
    if (frame.type === "end") return;
  }
  throw new JobWorkerError("UNAVAILABLE", "the daemon ended the output without its end mark");
}

function frameOf({ frame }: ReadLogsResponse): Frame {
  switch (frame.case) {
    case "data":
      return { type: "data", offset: frame.value.offset, bytes: frame.value.data };
    case "gap":
      return { type: "gap", from: frame.value.from, to: frame.value.to };
    case "end":
      return { type: "end", offset: frame.value.offset, job: jobOf(frame.value) };
    default:
      throw new JobWorkerError("DATA_LOSS", "the daemon sent a frame that this client does not know");
  }
}

/** Returns the job of a response, which always has one. */
export function jobOf({ job }: { job?: Job | undefined }): Job {
  if (!job) throw new JobWorkerError("DATA_LOSS", "the daemon sent a response without its job; please report this");
  return job;
}
