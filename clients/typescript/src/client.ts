import { randomUUID } from "node:crypto";

import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { ChannelInterface } from "@grpc/grpc-js";

import { Connection, type Limits } from "./connection.js";
import { credentialsOf, type Files } from "./credentials.js";
import { follow } from "./follow.js";
import { frames, jobOf, type Frame, type ReadRequest, type Resumed } from "./frames.js";
import { JobWorkerService, type Job, type LogStream } from "./gen/jobworker/v1/job_worker_pb.js";

const { startJob, stopJob, getJob, listJobs, deleteJob } = JobWorkerService.method;

/** Says which daemon to call, and as whom. */
export interface ConnectOptions extends Files {
  /** The daemon's host:port, such as `localhost:8080` or `[::1]:8080`. */
  readonly address: string;
  /** How long a follow bears to be without progress, in milliseconds. A minute unless told otherwise. */
  readonly patienceMs?: number;
}

/** When a call ends by its caller's will. That never harms the job. */
export interface CallOptions {
  /** Ends the call, with an error of code `CANCELLED`. */
  readonly signal?: AbortSignal | undefined;
  /** How long the call may take, in milliseconds; of an iterator, all of it. Then it ends with `DEADLINE_EXCEEDED`. */
  readonly timeoutMs?: number | undefined;
}

export interface StartOptions extends CallOptions {
  /**
   * A UUID: whoever keeps it can ask again, even after a crash, and gets the job that the first request started. A fresh
   * one unless given. With an empty one every request starts a job, and it is made once.
   */
  readonly requestId?: string | undefined;
}

export interface StopOptions extends CallOptions {
  /** How long the job may take to end by itself after SIGTERM, in milliseconds. With none it is killed at once. */
  readonly graceMs?: number | undefined;
}

export interface PageOptions extends CallOptions {
  /** The most jobs of a page. The daemon decides unless it is given. */
  readonly pageSize?: number | undefined;
}

export interface FollowOptions extends CallOptions {
  /** The first byte wanted; 0 unless given. A number has to be a safe integer. */
  readonly offset?: bigint | number | undefined;
}

export interface ReadOptions extends FollowOptions {
  /** Whether to wait for more output at the end of what there is now, until the stream is final. */
  readonly follow?: boolean | undefined;
  /** If given, reading begins so many lines before the end, in place of at the offset. */
  readonly tailLines?: bigint | number | undefined;
  /** The most bytes to read; 0 is no limit. */
  readonly limit?: bigint | number | undefined;
}

/** One page of jobs. */
export interface Page {
  readonly jobs: Job[];
  /** Asks for the next page; empty after the last one. */
  readonly nextPageToken: string;
}

/**
 * Returns a client, which connects with its first call and again whenever the connection was lost.
 *
 * @throws Error if a file or the address is wrong; the caller's fault.
 */
export function connect(options: ConnectOptions): Client {
  return new Client(options);
}

/**
 * A connection to a daemon. It can have any number of calls at once. Wherever a job is named, an unambiguous beginning of
 * its id is enough. Every call that fails throws a `JobWorkerError`.
 */
export class Client {
  readonly #connection: Connection;
  readonly #patienceMs: number;

  constructor(options: ConnectOptions) {
    const port = /^(?:\[[^[\]]+\]|[^:[\]]+):(\d+)$/.exec(options.address)?.[1];
    if (port === undefined || Number(port) > 65_535) {
      throw new Error(`the address "${options.address}" is not host:port, such as localhost:8080`);
    }
    this.#connection = new Connection(options.address, credentialsOf(options));
    this.#patienceMs = options.patienceMs ?? 60_000;
  }

  /** The channel itself, for stubs of other services: gRPC takes it as the option `channelOverride`. */
  get channel(): ChannelInterface {
    return this.#connection.channel;
  }

  /** Ends the connection and all calls that go over it. No job is harmed. */
  close(): void {
    this.#connection.close();
  }

  /**
   * Starts a command as a new job and returns it once its first process runs. The first element is the program; no shell
   * takes part. The call is repeated by itself if the connection breaks: there is one job all the same.
   */
  async start(command: readonly string[], options: StartOptions = {}): Promise<Job> {
    const { requestId = randomUUID() } = options;
    const request = { command: [...command], requestId };
    const retries = requestId !== "";
    return jobOf(await this.#connection.unary(startJob, request, limitsOf(options), { retries }));
  }

  /**
   * Ends all processes of a job and returns it once they are gone. With a grace period its process group gets SIGTERM
   * first, and what is left after it is killed. A job that has ended already is returned as it is.
   */
  async stop(jobId: string, options: StopOptions = {}): Promise<Job> {
    const { graceMs = 0 } = options;
    const request = graceMs === 0 ? { jobId } : { jobId, gracePeriod: durationFromMs(graceMs) };
    return jobOf(await this.#connection.unary(stopJob, request, limitsOf(options)));
  }

  /** Returns a job as it is now. */
  async get(jobId: string, options: CallOptions = {}): Promise<Job> {
    return jobOf(await this.#connection.unary(getJob, { jobId }, limitsOf(options)));
  }

  /**
   * Deletes a job that has ended, and its output, and returns it as it was. It is not repeated by itself, since after a
   * request that got through the next one finds no such job.
   */
  async delete(jobId: string, options: CallOptions = {}): Promise<Job> {
    return jobOf(await this.#connection.unary(deleteJob, { jobId }, limitsOf(options)));
  }

  /** Returns one page of jobs, newest first. The first page's token is empty. */
  async list(options: PageOptions & { readonly pageToken?: string | undefined } = {}): Promise<Page> {
    return this.#page(options.pageSize, options.pageToken, limitsOf(options));
  }

  /** Gives all jobs, newest first, and gets them in pages as the loop goes on. */
  async *all(options: PageOptions = {}): AsyncGenerator<Job, void, undefined> {
    const limits = limitsOf(options);
    let token: string | undefined;
    do {
      const page = await this.#page(options.pageSize, token, limits);
      yield* page.jobs;
      token = page.nextPageToken;
    } while (token !== "");
  }

  /**
   * Reads an output stream of a job with one call, which may break: `follow` is what goes on by itself. The last frame is
   * the end. To leave the loop ends the call.
   */
  async *read(jobId: string, stream: LogStream, options: ReadOptions = {}): AsyncGenerator<Frame, void, undefined> {
    const { follow = false, tailLines } = options;
    const request: ReadRequest = { jobId, stream, follow };
    request.offset = integer(options.offset);
    request.limit = integer(options.limit);
    if (tailLines !== undefined) request.tailLines = integer(tailLines);
    const limits = limitsOf(options);
    await this.#connection.reach(limits);
    yield* frames(this.#connection, request, limits);
  }

  /**
   * Reads an output stream of a job until it is final. If the connection breaks, or the daemon is started anew, it reads
   * on at its offset by itself, and says so with a frame of its own; after a minute without progress, or what the
   * client's patience is, it gives up. The last frame is the end. To leave the loop ends the call.
   */
  async *follow(
    jobId: string,
    stream: LogStream,
    options: FollowOptions = {},
  ): AsyncGenerator<Frame | Resumed, void, undefined> {
    const offset = integer(options.offset);
    const limits = limitsOf(options);
    // The beginning of an id may fit another job by the time a broken read is resumed; the whole id never does.
    const { id } = jobOf(await this.#connection.unary(getJob, { jobId }, limits));
    yield* follow(this.#connection, { jobId: id, stream, offset, follow: true }, this.#patienceMs, limits);
  }

  async #page(pageSize: number | undefined, pageToken: string | undefined, limits: Limits): Promise<Page> {
    const request = { pageSize: pageSize ?? 0, pageToken: pageToken ?? "" };
    return this.#connection.unary(listJobs, request, limits);
  }
}

function limitsOf({ signal, timeoutMs }: CallOptions): Limits {
  return { signal, deadline: timeoutMs === undefined ? undefined : Date.now() + timeoutMs };
}

/** Offsets have 64 bits, which a number has not. */
function integer(value: bigint | number = 0n): bigint {
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    throw new RangeError(`${value} is not a safe integer; give it as a bigint`);
  }
  return BigInt(value);
}
