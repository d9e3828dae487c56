import assert from "node:assert/strict";
import test from "node:test";

import { status } from "@grpc/grpc-js";

import type { StopJobRequest } from "../src/gen/jobworker/v1/job_worker_pb.js";
import { LogStream, type Client } from "../src/index.js";
import { failure, FakeDaemon } from "./fakedaemon.js";
import { all, failed, JOB_ID, known } from "./frames.js";

// Start makes a request id of its own, a fresh one for each job.
test("start sends a fresh request id", async (t) => {
  const ids: string[] = [];
  const daemon = await FakeDaemon.serve(t, {
    startJob: ({ command, requestId }) => {
      ids.push(requestId);
      return { job: { id: JOB_ID, command } };
    },
  });
  const client = daemon.client(t);
  for (let i = 0; i < 2; i++) {
    const job = await client.start(["echo", "größe"]);
    assert.deepEqual(job.command, ["echo", "größe"]);
  }
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(ids[0], ids[1]);
});

// Stop passes the grace period on; without one there is none in the request.
test("stop passes the grace period", async (t) => {
  const asked: StopJobRequest[] = [];
  const daemon = await FakeDaemon.serve(t, {
    stopJob: (request) => {
      asked.push(request);
      return { job: { id: request.jobId } };
    },
  });
  const client = daemon.client(t);
  assert.equal((await client.stop(JOB_ID)).id, JOB_ID);
  await client.stop(JOB_ID, { graceMs: 1500 });
  assert.equal(asked[0]?.gracePeriod, undefined);
  assert.equal(asked[1]?.gracePeriod?.seconds, 1n);
  assert.equal(asked[1].gracePeriod.nanos, 500_000_000);
});

// The iterator walks all pages with their tokens, also over one that is empty, and asks for no page that is not wanted.
test("all walks the pages", async (t) => {
  const pages = [["a", "b"], [], ["c"]];
  let calls = 0;
  const daemon = await FakeDaemon.serve(t, {
    listJobs: ({ pageToken, pageSize }) => {
      calls++;
      assert.equal(pageSize, 2);
      const page = Number(pageToken);
      const nextPageToken = page + 1 < pages.length ? `${page + 1}` : "";
      return { jobs: pages[page]?.map((id) => ({ id })) ?? [], nextPageToken };
    },
  });
  const client = daemon.client(t);
  const jobs = await all(client.all({ pageSize: 2 }));
  assert.deepEqual(
    jobs.map(({ id }) => id),
    ["a", "b", "c"],
  );
  calls = 0;
  for await (const job of client.all({ pageSize: 2 })) if (job.id === "a") break;
  assert.equal(calls, 1);
});

// The iterator ends with the error of a page that could not be read.
test("all ends with the error", async (t) => {
  const daemon = await FakeDaemon.serve(t, {
    listJobs: () => {
      throw failure(status.INVALID_ARGUMENT);
    },
  });
  await failed(all(daemon.client(t).all({ pageSize: -1 })), "INVALID_ARGUMENT");
});

const CALLS: Record<string, { call: (client: Client) => Promise<unknown>; repeated: boolean }> = {
  start: { call: (client) => client.start(["x"]), repeated: true },
  "start without id": { call: (client) => client.start(["x"], { requestId: "" }), repeated: false },
  stop: { call: (client) => client.stop(JOB_ID), repeated: true },
  get: { call: (client) => client.get(JOB_ID), repeated: true },
  delete: { call: (client) => client.delete(JOB_ID), repeated: false },
  list: { call: (client) => client.list(), repeated: true },
  read: { call: (client) => all(client.read(JOB_ID, LogStream.STDOUT)), repeated: false },
};

for (const [name, { call, repeated }] of Object.entries(CALLS)) {
  // What may be repeated is repeated when the daemon is going away, and what may not be is not.
  test(`retries of ${name}`, async (t) => {
    let calls = 0;
    const twice = () => {
      if (++calls < 3) throw failure(status.UNAVAILABLE);
      return known();
    };
    const list = () => {
      twice();
      return {};
    };
    const read = () => {
      twice();
    };
    const methods = { startJob: twice, stopJob: twice, getJob: twice, deleteJob: twice };
    const daemon = await FakeDaemon.serve(t, { ...methods, listJobs: list, readLogs: read });
    if (repeated) await call(daemon.client(t));
    else await failed(call(daemon.client(t)), "UNAVAILABLE");
    assert.equal(calls, repeated ? 3 : 1);
  });
}
