import assert from "node:assert/strict";

import type { status } from "@grpc/grpc-js";

import { JobState, JobWorkerError, type Code } from "../src/index.js";
import { failure, type ReadCall, type SentFrame } from "./fakedaemon.js";

export const JOB_ID = "5a2e0b1c-0000-4000-8000-000000000000";

export function data(offset: number, text: string): SentFrame {
  return { frame: { case: "data", value: { offset: BigInt(offset), data: new TextEncoder().encode(text) } } };
}

export function gap(from: number, to: number): SentFrame {
  return { frame: { case: "gap", value: { from: BigInt(from), to: BigInt(to) } } };
}

export function end(offset: number): SentFrame {
  const job = { id: JOB_ID, state: JobState.SUCCEEDED };
  return { frame: { case: "end", value: { offset: BigInt(offset), job } } };
}

/** Answers GetJob: there is one job. */
export function known(): { job: { id: string; state: JobState } } {
  return { job: { id: JOB_ID, state: JobState.RUNNING } };
}

type Answer = (call: ReadCall) => void | Promise<void>;

/** Answers one ReadLogs with frames. */
export function sends(...frames: SentFrame[]): Answer {
  return (call) => {
    for (const frame of frames) call.send(frame);
  };
}

/** Answers one ReadLogs with frames and a failure. */
export function fails(code: status, ...frames: SentFrame[]): Answer {
  return (call) => {
    for (const frame of frames) call.send(frame);
    throw failure(code);
  };
}

/** Answers one ReadLogs with frames, and then waits for its client to go. */
export function waits(...frames: SentFrame[]): Answer {
  return (call) => {
    for (const frame of frames) call.send(frame);
    return call.cancelled;
  };
}

/** Checks that something fails with the library's error and a code, and returns the error. */
export async function failed(promise: Promise<unknown>, code: Code): Promise<JobWorkerError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert(error instanceof JobWorkerError, `${String(error)} is not the library's error`);
  assert.equal(error.code, code, error.message);
  return error;
}

/** Returns all that an iterator gives. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const got: T[] = [];
  for await (const item of items) got.push(item);
  return got;
}
