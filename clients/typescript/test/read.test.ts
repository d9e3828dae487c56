import assert from "node:assert/strict";
import test from "node:test";

import { status } from "@grpc/grpc-js";

import { LogStream, type Frame } from "../src/index.js";
import { FakeDaemon, type ReadCall } from "./fakedaemon.js";
import { all, data, end, failed, fails, gap, JOB_ID, sends, waits } from "./frames.js";

// A read passes its options on and gives the frames as they come.
test("a read gives the frames", async (t) => {
  let request: ReadCall["request"] | undefined;
  const bytes = Buffer.from([0xff, 0]);
  const daemon = await FakeDaemon.serve(t, {
    readLogs: (call) => {
      request = call.request;
      return sends(gap(0, 3), { frame: { case: "data", value: { offset: 3n, data: bytes } } }, end(5))(call);
    },
  });
  const options = { follow: true, tailLines: 20, limit: 9n };
  const frames = await all(daemon.client(t).read(JOB_ID, LogStream.STDERR, options));
  assert.deepEqual(frames[0], { type: "gap", from: 0n, to: 3n });
  assert.deepEqual(frames[1], { type: "data", offset: 3n, bytes });
  assert(frames[2]?.type === "end" && frames.length === 3);
  assert.deepEqual([frames[2].offset, frames[2].job.id], [5n, JOB_ID]);
  assert(request);
  const { jobId, stream, offset, follow, tailLines, limit } = request;
  assert.deepEqual([jobId, stream, offset, follow, tailLines, limit], [JOB_ID, LogStream.STDERR, 0n, true, 20n, 9n]);
});

// A read that ends without its end mark has failed.
test("a read without its end is broken", async (t) => {
  const daemon = await FakeDaemon.serve(t, { readLogs: sends(data(0, "hello")) });
  await failed(all(daemon.client(t).read(JOB_ID, LogStream.STDOUT)), "UNAVAILABLE");
});

// What came before an error is given before it, however slowly it is taken.
test("an error comes last", async (t) => {
  const sent = Array.from({ length: 12 }, (_, offset) => data(offset, "x"));
  const daemon = await FakeDaemon.serve(t, { readLogs: fails(status.INTERNAL, ...sent) });
  const got: Frame[] = [];
  const read = async () => {
    for await (const frame of daemon.client(t).read(JOB_ID, LogStream.STDOUT)) {
      got.push(frame);
      await new Promise(setImmediate);
    }
  };
  await failed(read(), "INTERNAL");
  assert.equal(got.length, sent.length);
});

// To leave the loop ends the call.
test("a read is left", async (t) => {
  let gone: Promise<void> | undefined;
  const daemon = await FakeDaemon.serve(t, {
    readLogs: (call) => {
      gone = call.cancelled;
      return waits(data(0, "hello"))(call);
    },
  });
  for await (const frame of daemon.client(t).read(JOB_ID, LogStream.STDOUT, { follow: true })) {
    if (frame.type === "data") break;
  }
  assert(gone);
  await gone;
});
