import assert from "node:assert/strict";
import test from "node:test";

import { create, toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { status } from "@grpc/grpc-js";

import { BadRequestSchema, ErrorInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../src/gen/google/rpc/status_pb.js";
import { errorOf } from "../src/index.js";
import { failure, FakeDaemon } from "./fakedaemon.js";
import { failed, JOB_ID } from "./frames.js";

function packed(...details: [DescMessage, MessageShape<DescMessage>][]): Uint8Array {
  return toBinary(
    StatusSchema,
    create(StatusSchema, { details: details.map(([schema, value]) => anyPack(schema, value)) }),
  );
}

// An error has all that the daemon says of it for programs.
test("an error has the details", async (t) => {
  const info = create(ErrorInfoSchema, { reason: "AMBIGUOUS_JOB_ID", domain: "jobworker", metadata: { jobs: "2" } });
  const wrong = create(BadRequestSchema, { fieldViolations: [{ field: "job_id" }] });
  const daemon = await FakeDaemon.serve(t, {
    getJob: () => {
      throw failure(
        status.INVALID_ARGUMENT,
        "several jobs",
        packed([ErrorInfoSchema, info], [BadRequestSchema, wrong]),
      );
    },
  });
  const error = await failed(daemon.client(t).get("5"), "INVALID_ARGUMENT");
  assert.equal(error.reason, "AMBIGUOUS_JOB_ID");
  assert.equal(error.field, "job_id");
  assert.deepEqual({ ...error.metadata }, { jobs: "2" });
  assert.equal(String(error), "JobWorkerError: several jobs");
});

// An error of the transport has no details, and its metadata can be used all the same.
test("an error without details", async (t) => {
  const daemon = await FakeDaemon.serve(t, {});
  const error = await failed(daemon.client(t).delete(JOB_ID), "UNIMPLEMENTED");
  assert.deepEqual([error.reason, error.field, error.metadata], ["", "", {}]);
});

// An error from another stub on the channel is told in the same way, and one that is none of gRPC's is not hidden.
test("an error of another stub", () => {
  const info = create(ErrorInfoSchema, { reason: "SERVICE_NOT_FOUND" });
  const error = errorOf(failure(status.NOT_FOUND, "no service", packed([ErrorInfoSchema, info])));
  assert.deepEqual([error.code, error.reason, error.message], ["NOT_FOUND", "SERVICE_NOT_FOUND", "no service"]);
  const other = new Error("something else");
  assert.deepEqual([errorOf(other).code, errorOf(other).cause], ["UNKNOWN", other]);
});

// Whoever ends a call finds the reason in its error, and a call that takes too long says so.
test("an error of the caller's will", async (t) => {
  const daemon = await FakeDaemon.serve(t, { getJob: () => new Promise(() => undefined) });
  const [client, controller, reason] = [daemon.client(t), new AbortController(), new Error("enough")];
  await failed(client.get(JOB_ID, { timeoutMs: 50 }), "DEADLINE_EXCEEDED");
  const call = client.get(JOB_ID, { signal: controller.signal });
  controller.abort(reason);
  assert.equal((await failed(call, "CANCELLED")).cause, reason);
  assert.equal((await failed(client.get(JOB_ID, { signal: controller.signal }), "CANCELLED")).cause, reason);
});

// The client's end ends its calls, and there are no more.
test("an error of a closed client", async (t) => {
  const daemon = await FakeDaemon.serve(t, { getJob: () => new Promise(() => undefined) });
  const client = daemon.client(t);
  const call = client.get(JOB_ID);
  client.close();
  await failed(call, "CANCELLED");
  await failed(client.get(JOB_ID), "CANCELLED");
});
