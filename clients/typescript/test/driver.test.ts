import assert from "node:assert/strict";
import test from "node:test";

import { status } from "@grpc/grpc-js";

import { run } from "../conformance/scenario.js";
import type { Step } from "../conformance/step.js";
import { JobState, LogStream } from "../src/index.js";
import { failure, FakeDaemon } from "./fakedaemon.js";
import { data, end, JOB_ID, sends } from "./frames.js";

const STEPS = [
  { op: "start", command: ["echo", "$0"], request_id: "a" },
  { op: "get", job: "$0:8" },
  { op: "list" },
  { op: "list", page_token: "$page2" },
  { op: "list_all" },
  { op: "read", job: "$0", stream: "stdout", cancel_after_bytes: 2 },
  { op: "read", job: "$0", stream: "unspecified" },
] as unknown as Step[];

// Steps are done in order, may name what came of earlier ones, and their results are what the runner compares.
test("the driver does its steps", async (t) => {
  const job = { id: JOB_ID, state: JobState.STOPPED, outcome: { case: "signal", value: 9 } as const, endTime: {} };
  const daemon = await FakeDaemon.serve(t, {
    startJob: ({ command, requestId }) => ({
      job: { id: JOB_ID, state: JobState.RUNNING, command, principal: requestId },
    }),
    getJob: ({ jobId }) => {
      assert.equal(jobId, JOB_ID.slice(0, 8));
      return { job };
    },
    listJobs: ({ pageToken }) => ({ jobs: [{ id: `job${pageToken}` }], nextPageToken: pageToken ? "" : "2" }),
    readLogs: (call) => {
      if (call.request.stream === LogStream.UNSPECIFIED) throw failure(status.INVALID_ARGUMENT);
      return sends(data(3, "ab"), data(5, "c"), end(6))(call);
    },
  });
  const { results } = await run({ ...daemon.files, steps: STEPS });
  const oks = results.map((result) => ("ok" in result ? result.ok : result.error)) as Record<string, unknown>[];
  const [started, got] = oks.map((ok) => ok.job as Record<string, unknown>);
  assert.deepEqual([started?.state, started?.command, started?.principal], ["RUNNING", ["echo", "$0"], "a"]);
  assert.deepEqual(
    [got?.state, got?.signal, got?.exit_code, got?.ended, got?.started],
    ["STOPPED", 9, null, true, false],
  );
  assert.deepEqual(oks[2], { count: 1, ids: ["job"], next_page_token: "2" });
  assert.deepEqual(oks[3], { count: 1, ids: ["job2"], next_page_token: "" });
  assert.deepEqual([oks[4]?.count, oks[4]?.unique], [2, 2]);
  const { sha256, ...read } = oks[5] ?? {};
  assert.equal(sha256, "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603");
  const expected = {
    bytes: 2,
    first_offset: 3n,
    end_offset: null,
    gaps: [],
    job: null,
    cancelled: true,
    ordered: true,
  };
  assert.deepEqual(read, expected);
  assert.deepEqual(oks[6], { code: "INVALID_ARGUMENT", reason: "", field: "", metadata: {} });
});

// What the scenario has wrong is the driver's failure, and no result.
test("the driver refuses what is no step", async (t) => {
  const { files } = await FakeDaemon.serve(t, {});
  for (const step of [{ op: "no such" }, { op: "get", job: "$7" }] as Step[]) {
    await assert.rejects(run({ ...files, steps: [step] }), /there is no op "no such"|\$7 names nothing/);
  }
});
