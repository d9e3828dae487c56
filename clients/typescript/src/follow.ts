import type { Connection, Limits } from "./connection.js";
import { JobWorkerError } from "./errors.js";
import { frames, type Frame, type ReadRequest, type Resumed } from "./frames.js";
import { Outage } from "./outage.js";

/** Reads to the end, again and again from where a call broke. */
export async function* follow(
  connection: Connection,
  request: ReadRequest & { offset: bigint },
  patienceMs: number,
  limits: Limits,
): AsyncGenerator<Frame | Resumed, void, undefined> {
  const outage = new Outage(patienceMs);
  let due = request.offset;
  let broken: JobWorkerError | undefined;
  for (;;) {
    let began: number | undefined;
    try {
      if (await connection.reach(limits)) began = performance.now();
      for await (const frame of frames(connection, { ...request, offset: due }, limits)) {
        const next = following(frame, due);
        outage.over();
        if (broken) yield { type: "resumed", offset: due, cause: broken };
        broken = undefined;
        due = next;
        yield frame;
      }
      return;
    } catch (error) {
      if (!isBreak(error)) throw error;
      if (began !== undefined) outage.stood(performance.now() - began);
      broken = error;
    }
    const pause = outage.pause(performance.now(), Math.random());
    if (pause === undefined) throw gaveUp(due, patienceMs, broken);
    await connection.pause(pause, limits);
  }
}

/**
 * Tells whether an error is a break, or comes of the caller's signal or the client's end, which the pause tells apart.
 * CANCELLED, which the service never says, is also what gRPC makes of calls that have come, and are not begun, when their
 * server is told to stop.
 */
function isBreak(error: unknown): error is JobWorkerError {
  return error instanceof JobWorkerError && (error.code === "UNAVAILABLE" || error.code === "CANCELLED");
}

/** Returns the byte after a frame, if it is the one that is due: nothing is skipped or repeated. */
function following(frame: Frame, due: bigint): bigint {
  const [from, to] = span(frame);
  if (from === due && to >= from) return to;
  throw new JobWorkerError(
    "DATA_LOSS",
    `the daemon sent bytes ${from.toString()} to ${to.toString()} where byte ${due.toString()} was due; please report this`,
  );
}

/** Returns where a frame begins and where the next one has to. */
function span(frame: Frame): [bigint, bigint] {
  switch (frame.type) {
    case "data":
      return [frame.offset, frame.offset + BigInt(frame.bytes.length)];
    case "gap":
      return [frame.from, frame.to];
    case "end":
      return [frame.offset, frame.offset];
  }
}

function gaveUp(due: bigint, patienceMs: number, cause: JobWorkerError): JobWorkerError {
  const where = `gave up at byte ${due.toString()} after ${patienceMs / 1000} s without progress`;
  return new JobWorkerError("UNAVAILABLE", `${where}: ${cause.message}`, { cause });
}
