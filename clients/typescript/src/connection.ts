import { setTimeout as sleep } from "node:timers/promises";

import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  Client,
  connectivityState,
  Metadata,
  type ChannelCredentials,
  type ChannelInterface,
  type ChannelOptions,
} from "@grpc/grpc-js";

import { errorOf, JobWorkerError } from "./errors.js";
import { serviceConfig } from "./gen/service_config.js";

/** How long one attempt to connect may take. */
const CONNECT_TIMEOUT_MS = 10_000;

const CHANNEL_OPTIONS: ChannelOptions = {
  // The published one: which calls are repeated by themselves, and how.
  "grpc.service_config": serviceConfig,
  "grpc.service_config_disable_resolution": 1,
  // A daemon is called directly, also where the environment names a proxy for the web.
  "grpc.enable_http_proxy": 0,
  // Enough for a page of jobs with the longest commands that Linux allows.
  "grpc.max_receive_message_length": 256 << 20,
  // A follow of a quiet job must notice that the other side is gone.
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  // How soon the next attempt to connect may follow.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
};

/** When a call ends by its caller's will. */
export interface Limits {
  readonly signal: AbortSignal | undefined;
  /** By the wall clock, in milliseconds, as gRPC has it. */
  readonly deadline: number | undefined;
}

interface Cancellable {
  cancel(): void;
}

/** A connection to a daemon, which comes about with the first call and again whenever it was lost. */
export class Connection {
  readonly #client: Client;
  readonly #live = new Set<Cancellable>();
  #withoutRetries: Client | undefined;
  #closed = false;

  constructor(
    readonly address: string,
    readonly credentials: ChannelCredentials,
  ) {
    this.#client = this.#connect({});
  }

  get channel(): ChannelInterface {
    return this.#client.getChannel();
  }

  /** Ends the connection and all calls that go over it. */
  close(): void {
    this.#closed = true;
    for (const call of [...this.#live]) call.cancel();
    this.#client.close();
    this.#withoutRetries?.close();
  }

  /** Calls a method, with the retries that the service config says, or with none. */
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    limits: Limits,
    { retries = true } = {},
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      this.#check(limits);
      const call = (retries ? this.#client : this.#clientWithoutRetries()).makeUnaryRequest(
        pathOf(method),
        serializer(method.input),
        deserializer(method.output),
        create(method.input, request),
        new Metadata(),
        callOptions(limits),
        (error, response) => {
          release();
          if (response === undefined) reject(this.#explain(error, limits));
          else resolve(response);
        },
      );
      const release = this.#hold(call, limits);
    });
  }

  /** Calls a method and gives its responses. To leave the loop ends the call. */
  async *stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    limits: Limits,
  ): AsyncGenerator<MessageShape<O>, void, undefined> {
    this.#check(limits);
    const call = this.#client.makeServerStreamRequest(
      pathOf(method),
      serializer(method.input),
      deserializer(method.output),
      create(method.input, request),
      new Metadata(),
      callOptions(limits),
    );
    // One that comes after the loop was left is of no interest.
    call.on("error", () => undefined);
    const release = this.#hold(call, limits);
    try {
      yield* call as AsyncIterable<MessageShape<O>>;
    } catch (error) {
      throw this.#explain(error, limits);
    } finally {
      release();
      call.cancel();
    }
  }

  /** Waits for the connection; returns false if there can be none now, which a call then says better. */
  async reach(limits: Limits): Promise<boolean> {
    const until = Math.min(Date.now() + CONNECT_TIMEOUT_MS, limits.deadline ?? Infinity);
    for (;;) {
      this.#check(limits);
      const state = this.channel.getConnectivityState(true);
      if (state === connectivityState.READY) return true;
      if (state === connectivityState.TRANSIENT_FAILURE) return false;
      await this.#change(state, until, limits);
    }
  }

  /** Lets time pass. */
  async pause(durationMs: number, limits: Limits): Promise<void> {
    this.#check(limits);
    const interrupt = new AbortController();
    const release = this.#hold(
      {
        cancel: () => {
          interrupt.abort();
        },
      },
      limits,
    );
    try {
      const left = (limits.deadline ?? Infinity) - Date.now();
      await sleep(Math.max(0, Math.min(durationMs, left)), undefined, { signal: interrupt.signal });
    } catch (error) {
      if (!interrupt.signal.aborted) throw error;
    } finally {
      release();
    }
    this.#check(limits);
  }

  #connect(options: ChannelOptions): Client {
    // Without a scheme a host named `unix` would be taken for one.
    return new Client(`dns:///${this.address}`, this.credentials, { ...CHANNEL_OPTIONS, ...options });
  }

  /** gRPC for Node has no way to leave out the retries of one call, so those that may have none have their own channel. */
  #clientWithoutRetries(): Client {
    this.#withoutRetries ??= this.#connect({ "grpc.enable_retries": 0 });
    return this.#withoutRetries;
  }

  #check({ signal, deadline }: Limits): void {
    if (this.#closed) throw new JobWorkerError("CANCELLED", "the client is closed");
    if (signal?.aborted) throw cancelled(signal);
    if (deadline !== undefined && Date.now() >= deadline) {
      throw new JobWorkerError("DEADLINE_EXCEEDED", "the time for the call is over");
    }
  }

  /** Has a call cancelled by the caller's signal and with the client's end, until the function that it returns is called. */
  #hold(call: Cancellable, { signal }: Limits): () => void {
    const cancel = () => {
      call.cancel();
    };
    this.#live.add(call);
    signal?.addEventListener("abort", cancel);
    return () => {
      this.#live.delete(call);
      signal?.removeEventListener("abort", cancel);
    };
  }

  #change(state: connectivityState, until: number, limits: Limits): Promise<void> {
    return new Promise((resolve, reject) => {
      // What cancels it is told by the next check.
      const release = this.#hold({ cancel: resolve }, limits);
      this.channel.watchConnectivityState(state, until, (error) => {
        release();
        if (!error || Date.now() >= (limits.deadline ?? Infinity)) resolve();
        else reject(new JobWorkerError("UNAVAILABLE", `no connection to ${this.address} came about in time`));
      });
    });
  }

  #explain(error: unknown, { signal }: Limits): JobWorkerError {
    const explained = errorOf(error);
    if (explained.code !== "CANCELLED") return explained;
    if (signal?.aborted) return cancelled(signal);
    return this.#closed ? new JobWorkerError("CANCELLED", "the client was closed", { cause: error }) : explained;
  }
}

function cancelled(signal: AbortSignal): JobWorkerError {
  return new JobWorkerError("CANCELLED", "the caller ended the call", { cause: signal.reason });
}

function pathOf(method: DescMethodUnary | DescMethodServerStreaming): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function serializer<I extends DescMessage>(schema: I): (message: MessageShape<I>) => Buffer {
  return (message) => Buffer.from(toBinary(schema, message));
}

function deserializer<O extends DescMessage>(schema: O): (bytes: Buffer) => MessageShape<O> {
  return (bytes) => fromBinary(schema, bytes);
}

function callOptions({ deadline }: Limits): { deadline?: number } {
  return deadline === undefined ? {} : { deadline };
}
