import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { status, type Metadata, type StatusObject } from "@grpc/grpc-js";

import { BadRequestSchema, ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "./gen/google/rpc/status_pb.js";

/** The name of a gRPC status code, such as `NOT_FOUND`. The proto says of each method which there are. */
export type Code = keyof typeof status;

/** What is known of an error beside its code and message. */
export interface Details {
  readonly reason?: string;
  readonly field?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/**
 * Why a call failed. Every error of a client's methods is one, but for arguments that no request could be made of.
 *
 * Where it was the caller's signal that ended the call, `cause` is the signal's reason.
 */
export class JobWorkerError extends Error {
  override readonly name = "JobWorkerError";
  /** Says what may be done about it, and whether the call may be tried again. */
  readonly code: Code;
  /**
   * Tells apart what a code alone does not, such as `JOB_NOT_FOUND`. Empty if the error is not the service's own, but the
   * transport's or the client's.
   */
  readonly reason: string;
  /** Names the field of the request that is wrong, such as `job_id`. Empty if none is. */
  readonly field: string;
  /** What else the service says for programs. */
  readonly metadata: Readonly<Record<string, string>>;

  constructor(code: Code, message: string, details: Details = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.reason = details.reason ?? "";
    this.field = details.field ?? "";
    this.metadata = details.metadata ?? {};
  }
}

/**
 * Makes ours of an error that came from gRPC, also from another stub on a client's channel, such as that of the health
 * service.
 */
export function errorOf(error: unknown): JobWorkerError {
  if (error instanceof JobWorkerError) return error;
  if (!isStatus(error)) return new JobWorkerError("UNKNOWN", String(error), { cause: error });
  const code = status[error.code] as Code | undefined;
  return new JobWorkerError(code ?? "UNKNOWN", error.details, { ...detailsOf(error.metadata), cause: error });
}

function isStatus(error: unknown): error is StatusObject {
  return error instanceof Error && "code" in error && typeof error.code === "number" && "metadata" in error;
}

function detailsOf(metadata: Metadata): Details {
  const [packed] = metadata.get("grpc-status-details-bin");
  if (!(packed instanceof Uint8Array)) return {};
  const details: { reason?: string; field?: string; metadata?: Record<string, string> } = {};
  for (const detail of fromBinary(StatusSchema, packed).details) {
    const info = anyUnpack(detail, ErrorInfoSchema);
    if (info) {
      details.reason = info.reason;
      details.metadata = info.metadata;
    }
    const field = anyUnpack(detail, BadRequestSchema)?.fieldViolations.at(-1)?.field;
    if (field !== undefined) details.field = field;
  }
  return details;
}
