import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";

import { status } from "@grpc/grpc-js";

import { LogStream, type Client, type ConnectOptions, type Frame, type Resumed } from "../src/index.js";
import { failure, FakeDaemon, type ReadCall } from "./fakedaemon.js";
import { data, end, failed, fails, gap, JOB_ID, known, sends, waits } from "./frames.js";

type Answer = (call: ReadCall) => void | Promise<void>;

/** Serves a daemon that answers each ReadLogs with the next of the answers, and keeps the requests. */
async function script(t: TestContext, answers: Answer[], options: Partial<ConnectOptions> = {}) {
  const requests: ReadCall["request"][] = [];
  const daemon = await FakeDaemon.serve(t, {
    getJob: known,
    readLogs: (call) => {
      requests.push(call.request);
      const answer = answers[requests.length - 1];
      if (!answer) throw failure(status.INTERNAL, "the test expects no more calls");
      return answer(call);
    },
  });
  return {
    daemon,
    requests,
    client: daemon.client(t, options),
    offsets: () => requests.map(({ offset }) => Number(offset)),
  };
}

/** What a follow gave; filled while it goes on. */
class Taken {
  text = "";
  readonly gaps: [number, number][] = [];
  readonly resumed: number[] = [];
  end: Extract<Frame, { type: "end" }> | undefined;

  add(frame: Frame | Resumed): void {
    if (frame.type === "data") this.text += new TextDecoder().decode(frame.bytes);
    else if (frame.type === "gap") this.gaps.push([Number(frame.from), Number(frame.to)]);
    else if (frame.type === "resumed") this.resumed.push(Number(frame.offset));
    else this.end = frame;
  }

  async follow(client: Client, offset = 0): Promise<this> {
    for await (const frame of client.follow(JOB_ID.slice(0, 4), LogStream.STDOUT, { offset })) this.add(frame);
    return this;
  }

  complete(text: string): void {
    assert.equal(this.text, text);
    assert.equal(this.end?.offset, 12n);
    assert.equal(this.end.job.id, JOB_ID);
  }
}

// After each kind of break, the connection's own among them, a follow reads on at its byte, by the job's whole id.
test("a follow resumes at its offset", async (t) => {
  const { client, daemon, requests, offsets } = await script(t, [
    fails(status.UNAVAILABLE, data(0, "hello")),
    fails(status.CANCELLED, data(5, ", ")),
    waits(data(7, "wo")),
    sends(data(9, "r")), // an end without its mark
    sends(data(10, "ld"), end(12)),
  ]);
  const taken = new Taken();
  for await (const frame of client.follow(JOB_ID.slice(0, 4), LogStream.STDOUT)) {
    taken.add(frame);
    if (frame.type === "data" && frame.offset === 7n) daemon.cut();
  }
  taken.complete("hello, world");
  assert.deepEqual(offsets(), [0, 5, 7, 9, 10]);
  assert.deepEqual(taken.resumed, [5, 7, 9, 10]);
  for (const request of requests) {
    assert(request.follow);
    assert.equal(request.jobId, JOB_ID);
    assert.equal(request.stream, LogStream.STDOUT);
  }
});

// Offsets are exact where a number of JavaScript is not.
test("offsets have 64 bits", async (t) => {
  const far = 2n ** 62n + 1n;
  const { client, requests } = await script(t, [
    (call) => {
      call.send({ frame: { case: "data", value: { offset: far, data: Buffer.from("x") } } });
      call.send({ frame: { case: "end", value: { offset: far + 1n, job: { id: JOB_ID } } } });
    },
  ]);
  const offsets = [];
  for await (const frame of client.follow(JOB_ID, LogStream.STDERR, { offset: far })) {
    if (frame.type !== "gap") offsets.push(frame.offset);
  }
  assert.equal(requests[0]?.offset, far);
  assert.deepEqual(offsets, [far, far + 1n]);
  await assert.rejects(client.follow(JOB_ID, LogStream.STDERR, { offset: 2 ** 53 }).next(), RangeError);
});

// A gap is told, and a follow goes on behind it, also when it breaks there.
test("a follow tells of gaps", async (t) => {
  const answers = [fails(status.UNAVAILABLE, gap(2, 7)), sends(data(7, "world"), end(12))];
  const { client, offsets } = await script(t, answers);
  const taken = await new Taken().follow(client, 2);
  taken.complete("world");
  assert.deepEqual(taken.gaps, [[2, 7]]);
  assert.deepEqual(offsets(), [2, 7]);
});

for (const code of ["NOT_FOUND", "PERMISSION_DENIED", "OUT_OF_RANGE", "RESOURCE_EXHAUSTED", "INTERNAL"] as const) {
  // What the daemon refuses is not tried again.
  test(`a follow ends with ${code}`, async (t) => {
    const { client, requests } = await script(t, [fails(status[code])]);
    await failed(new Taken().follow(client), code);
    assert.equal(requests.length, 1);
  });
}

// A job that does not exist is said before anything is read.
test("a follow of no job", async (t) => {
  const daemon = await FakeDaemon.serve(t, {
    getJob: () => {
      throw failure(status.NOT_FOUND);
    },
  });
  await failed(new Taken().follow(daemon.client(t)), "NOT_FOUND");
});

for (const [name, frames] of Object.entries({
  repeated: [data(0, "hello"), data(4, "o, ")],
  "left out": [data(0, "hello"), data(6, " ")],
  "ended early": [data(0, "hello"), end(4)],
  "a gap backwards": [data(0, "hello"), gap(5, 3)],
  "a frame of no use": [data(0, "hello"), {}],
})) {
  // Bytes that come twice, or are left out without a gap, are an error and never passed on.
  test(`a follow refuses bytes that are not due: ${name}`, async (t) => {
    const { client, requests } = await script(t, [sends(...frames)]);
    const taken = new Taken();
    await failed(taken.follow(client), "DATA_LOSS");
    assert.equal(taken.text, "hello");
    assert.equal(requests.length, 1);
  });
}

// Without progress for as long as its patience is, a follow gives up, says where, and keeps what broke it.
test("a follow gives up", async (t) => {
  const answers = Array.from({ length: 100 }, () => fails(status.UNAVAILABLE));
  answers[0] = fails(status.UNAVAILABLE, data(0, "hello"));
  const { client, requests } = await script(t, answers, { patienceMs: 300 });
  const taken = new Taken();
  const error = await failed(taken.follow(client), "UNAVAILABLE");
  assert.equal(error.message, "gave up at byte 5 after 0.3 s without progress: as the test has it");
  assert.equal((await failed(Promise.reject(error.cause as Error), "UNAVAILABLE")).message, "as the test has it");
  assert.equal(taken.text, "hello");
  assert.deepEqual(taken.resumed, []);
  assert(requests.length >= 3);
});

for (const [name, answer] of Object.entries({
  waiting: waits(data(0, "hello")),
  broken: fails(status.UNAVAILABLE, data(0, "hello")),
})) {
  // The caller's own cancellation is no break: the follow ends, also in a pause.
  test(`a follow ends with its signal while ${name}`, async (t) => {
    const { client, requests } = await script(t, [answer]);
    const [controller, reason] = [new AbortController(), new Error("enough")];
    const frames = client.follow(JOB_ID, LogStream.STDOUT, { signal: controller.signal });
    await frames.next();
    const next = frames.next();
    setImmediate(() => {
      controller.abort(reason);
    });
    assert.equal((await failed(next, "CANCELLED")).cause, reason);
    assert.equal(requests.length, 1);
  });

  // Neither is the time that the caller gave it.
  test(`a follow ends with its time while ${name}`, async (t) => {
    const { client } = await script(t, [answer, ...Array.from({ length: 100 }, () => fails(status.UNAVAILABLE))]);
    const taken = new Taken();
    const follow = async () => {
      for await (const frame of client.follow(JOB_ID, LogStream.STDOUT, { timeoutMs: 500 })) taken.add(frame);
    };
    await failed(follow(), "DEADLINE_EXCEEDED");
    assert.equal(taken.text, "hello");
  });

  // Neither is the client's end.
  test(`a follow ends with its client while ${name}`, async (t) => {
    const { client, requests } = await script(t, [answer]);
    const frames = client.follow(JOB_ID, LogStream.STDOUT);
    await frames.next();
    const next = frames.next();
    setImmediate(() => {
      client.close();
    });
    await failed(next, "CANCELLED");
    assert.equal(requests.length, 1);
  });
}

// To leave the loop ends the call, at whichever frame.
test("a follow is left", async (t) => {
  let gone: Promise<void> | undefined;
  const { client } = await script(t, [
    fails(status.UNAVAILABLE, data(0, "hello")),
    (call) => {
      gone = call.cancelled;
      return waits(data(5, "hello"))(call);
    },
  ]);
  for await (const frame of client.follow(JOB_ID, LogStream.STDOUT)) if (frame.type === "resumed") break;
  assert(gone);
  await gone;
});
