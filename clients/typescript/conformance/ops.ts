import { createHash } from "node:crypto";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client as Stub, credentials, Metadata } from "@grpc/grpc-js";

import {
  ServerReflection,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
  type ServerReflectionResponse,
} from "../src/gen/grpc/reflection/v1/reflection_pb.js";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
  type HealthCheckResponse,
} from "../src/gen/health/v1/health_pb.js";
import { LogStream, type Client, type Job } from "../src/index.js";
import { factsOf } from "./job.js";
import { take } from "./reading.js";
import type { Step } from "./step.js";

type Op = (client: Client, step: Step) => Promise<object>;

/** What a step may ask for. */
export const ops: Readonly<Record<string, Op>> = {
  start: async (client, step) =>
    theJob(await client.start(step.command, { requestId: step.request_id, ...limits(step) })),
  stop: async (client, step) => theJob(await client.stop(step.job, { graceMs: step.grace_ms, ...limits(step) })),
  get: async (client, step) => theJob(await client.get(step.job, limits(step))),
  delete: async (client, step) => theJob(await client.delete(step.job, limits(step))),
  list,
  list_all: listAll,
  read,
  follow: (client, step) => {
    const frames = client.follow(step.job, streamOf(step.stream), { offset: step.offset, ...limits(step) });
    return take(frames, step.cancel_after_bytes);
  },
  health,
  reflection,
};

async function list(client: Client, step: Step): Promise<object> {
  const options = { pageSize: step.page_size, pageToken: step.page_token, ...limits(step) };
  const { jobs, nextPageToken } = await client.list(options);
  return { count: jobs.length, ids: jobs.map((job) => job.id), next_page_token: nextPageToken };
}

async function listAll(client: Client, step: Step): Promise<object> {
  const ids: string[] = [];
  for await (const job of client.all({ pageSize: step.page_size, ...limits(step) })) ids.push(job.id);
  const sum = createHash("sha256").update(ids.join("\n")).digest("hex");
  return { count: ids.length, unique: new Set(ids).size, ids_sha256: sum };
}

async function read(client: Client, step: Step): Promise<object> {
  const { offset, follow, limit, tail_lines: tailLines } = step;
  const options = { offset, follow, limit, tailLines, ...limits(step) };
  const { resumes, ...taken } = await take(
    client.read(step.job, streamOf(step.stream), options),
    step.cancel_after_bytes,
  );
  if (resumes) throw new Error("a read of one call was resumed");
  return taken;
}

function health(client: Client, step: Step): Promise<object> {
  return new Promise((resolve, reject) => {
    stubOn(client).makeUnaryRequest(
      `/${Health.typeName}/Check`,
      (service: string) =>
        Buffer.from(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service }))),
      (bytes): HealthCheckResponse => fromBinary(HealthCheckResponseSchema, bytes),
      step.service,
      new Metadata(),
      deadline(step),
      (error, response) => {
        if (response) resolve({ status: HealthCheckResponse_ServingStatus[response.status] });
        else reject(error ?? new Error("nothing came"));
      },
    );
  });
}

async function reflection(client: Client, step: Step): Promise<object> {
  const call = stubOn(client).makeBidiStreamRequest(
    `/${ServerReflection.typeName}/ServerReflectionInfo`,
    (listServices: string) => {
      const messageRequest = { case: "listServices", value: listServices } as const;
      const request = create(ServerReflectionRequestSchema, { messageRequest });
      return Buffer.from(toBinary(ServerReflectionRequestSchema, request));
    },
    (bytes): ServerReflectionResponse => fromBinary(ServerReflectionResponseSchema, bytes),
    new Metadata(),
    deadline(step),
  );
  call.end("*");
  for await (const { messageResponse } of call as AsyncIterable<ServerReflectionResponse>) {
    if (messageResponse.case !== "listServicesResponse") break;
    return { services: messageResponse.value.service.map(({ name }) => name).sort() };
  }
  throw new Error("no list of services came");
}

function stubOn(client: Client): Stub {
  return new Stub("", credentials.createInsecure(), { channelOverride: client.channel });
}

function limits(step: Step): { timeoutMs: number | undefined } {
  return { timeoutMs: step.deadline_ms };
}

function deadline(step: Step): { deadline?: number } {
  return step.deadline_ms === undefined ? {} : { deadline: Date.now() + step.deadline_ms };
}

function theJob(job: Job): object {
  return { job: factsOf(job) };
}

/** Leaves it to the daemon to refuse what is no stream. */
function streamOf(name: string): LogStream {
  return { stdout: LogStream.STDOUT, stderr: LogStream.STDERR }[name] ?? LogStream.UNSPECIFIED;
}
