import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";

import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";

import { connect, type Client, type ConnectOptions } from "../src/index.js";
import {
  JobWorkerService,
  type ReadLogsRequest,
  type ReadLogsResponseSchema,
} from "../src/gen/jobworker/v1/job_worker_pb.js";
import { makePair } from "./certificates.js";

const METHODS = JobWorkerService.method;

type Methods = typeof METHODS;
type Unary = Exclude<keyof Methods, "readLogs">;

/** A frame that a test's daemon sends. */
export type SentFrame = MessageInitShape<typeof ReadLogsResponseSchema>;

/** One ReadLogs that came in; `cancelled` comes when its client is gone. */
export interface ReadCall {
  request: ReadLogsRequest;
  send(frame: SentFrame): void;
  cancelled: Promise<void>;
}

/** Answers of the methods; one that has none is UNIMPLEMENTED. To throw a `failure` fails the call. */
export type Answers = {
  [M in Unary]?: (
    request: MessageShape<Methods[M]["input"]>,
  ) => MessageInitShape<Methods[M]["output"]> | Promise<MessageInitShape<Methods[M]["output"]>>;
} & { readLogs?: (call: ReadCall) => void | Promise<void> };

/** Makes what an answer throws to fail its call. */
export function failure(code: grpc.status, details = "as the test has it", packed?: Uint8Array): grpc.ServiceError {
  const metadata = new grpc.Metadata();
  if (packed) metadata.set("grpc-status-details-bin", Buffer.from(packed));
  return Object.assign(new Error(details), { code, details, metadata });
}

/** What a client needs. */
interface Served {
  address: string;
  ca: string;
  cert: string;
  key: string;
  patienceMs: number;
}

/** Serves the API for a test: real gRPC over real mutual TLS on loopback, with answers that the test gives. */
export class FakeDaemon {
  readonly #sockets = new Set<net.Socket>();

  private constructor(readonly files: Served) {}

  /** Serves on a free port until the test ends. */
  static async serve(t: TestContext, answers: Answers): Promise<FakeDaemon> {
    const [ca, folder] = [await makePair("ca"), mkdtempSync(path.join(tmpdir(), "jobworker-"))];
    const [own, client] = [await makePair("server", ca), await makePair("client", ca)];
    const write = (name: string, pem: string) => {
      writeFileSync(path.join(folder, name), pem, { mode: 0o600 });
      return path.join(folder, name);
    };
    const server = new grpc.Server();
    server.addService(definition(), implementation(answers));
    const pair = { cert_chain: Buffer.from(own.cert), private_key: Buffer.from(own.key) };
    const inner = await bind(server, grpc.ServerCredentials.createSsl(Buffer.from(ca.cert), [pair], true));
    const files = {
      ca: write("ca.pem", ca.cert),
      cert: write("cert.pem", client.cert),
      key: write("key.pem", client.key),
    };
    const daemon = new FakeDaemon({ ...files, address: "", patienceMs: 10_000 });
    const relay = await daemon.#relay(inner);
    t.after(() => {
      relay.close();
      daemon.cut();
      server.forceShutdown();
      rmSync(folder, { recursive: true });
    });
    return daemon;
  }

  /** Returns a client, until the test ends, with little patience: tests that wait for its end should be short. */
  client(t: TestContext, options: Partial<ConnectOptions> = {}): Client {
    const client = connect({ ...this.files, ...options });
    t.after(() => {
      client.close();
    });
    return client;
  }

  /** Breaks all connections there are, without a word. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  async #relay(port: number): Promise<net.Server> {
    const relay = net.createServer((socket) => {
      const inner = net.connect(port, "127.0.0.1");
      for (const [one, other] of [
        [socket, inner],
        [inner, socket],
      ] as const) {
        this.#sockets.add(one);
        one
          .on("error", () => undefined)
          .on("close", () => {
            other.destroy();
          });
        one.pipe(other);
      }
    });
    await new Promise<void>((resolve) => {
      relay.listen(0, "127.0.0.1", resolve);
    });
    this.files.address = `127.0.0.1:${(relay.address() as net.AddressInfo).port}`;
    return relay;
  }
}

function bind(server: grpc.Server, credentials: grpc.ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
}

function definition(): grpc.ServiceDefinition {
  const entries = Object.entries(METHODS as Record<string, DescMethod>).map(([local, method]) => {
    const coded = { ...coder("request", method.input), ...coder("response", method.output) };
    const streams = { requestStream: false, responseStream: method.methodKind === "server_streaming" };
    return [local, { path: `/${JobWorkerService.typeName}/${method.name}`, ...streams, ...coded }];
  });
  return Object.fromEntries(entries) as grpc.ServiceDefinition;
}

function coder(what: "request" | "response", schema: DescMessage): Record<string, unknown> {
  return {
    [`${what}Serialize`]: (message: MessageInitShape<DescMessage>) =>
      Buffer.from(toBinary(schema, create(schema, message))),
    [`${what}Deserialize`]: (bytes: Buffer) => fromBinary(schema, bytes),
  };
}

function implementation(answers: Answers): grpc.UntypedServiceImplementation {
  const methods: grpc.UntypedServiceImplementation = {};
  for (const [name, answer] of Object.entries(answers) as [string, (asked: unknown) => unknown][]) {
    methods[name] = name === "readLogs" ? streaming(answer) : unary(answer);
  }
  return methods;
}

function unary(answer: (request: unknown) => unknown): grpc.handleUnaryCall<unknown, unknown> {
  return (call, callback) => {
    void (async () => {
      try {
        callback(null, await answer(call.request));
      } catch (error) {
        callback(error as grpc.ServiceError);
      }
    })();
  };
}

function streaming(answer: (call: ReadCall) => unknown): grpc.handleServerStreamingCall<unknown, unknown> {
  return (call) => {
    const cancelled = new Promise<void>((resolve) => {
      call.on("cancelled", resolve);
    });
    const send = (frame: SentFrame) => {
      call.write(frame);
    };
    void (async () => {
      try {
        await answer({ request: call.request as ReadLogsRequest, send, cancelled });
        call.end();
      } catch (error) {
        call.emit("error", error);
      }
    })();
  };
}
