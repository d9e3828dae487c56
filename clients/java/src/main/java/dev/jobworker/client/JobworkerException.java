package dev.jobworker.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Why a call failed. All methods of a client that call the daemon throw it. Its cause is gRPC's own
 * exception, or what broke a follow that gave up.
 */
public final class JobworkerException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** The gRPC status code. */
  private final Status.Code code;

  /** What tells apart errors of the same code. */
  private final String reason;

  /** The field of the request that is wrong. */
  private final String field;

  /** What else there is for programs. */
  private final HashMap<String, String> metadata;

  private JobworkerException(Status.Code code, String message, Throwable cause, Details details) {
    super(message, cause);
    this.code = code;
    this.reason = details.reason;
    this.field = details.field;
    this.metadata = details.metadata;
  }

  /**
   * Makes ours of an exception that came from another stub on a client's channel, such as that of
   * gRPC's health service.
   */
  public static JobworkerException of(StatusRuntimeException exception) {
    Status status = exception.getStatus();
    return new JobworkerException(status.getCode(), told(status), exception, Details.of(exception));
  }

  /** Tells in one line the causes too, without which a refused connection is an "io exception". */
  private static String told(Status status) {
    StringBuilder line = new StringBuilder(status.getCode().name());
    add(line, status.getDescription());
    for (Throwable cause = status.getCause(); cause != null; cause = cause.getCause()) {
      add(line, cause.getMessage());
    }
    return line.toString();
  }

  private static void add(StringBuilder line, String text) {
    if (text != null && line.indexOf(text) < 0) {
      line.append(": ").append(text);
    }
  }

  /** Makes an error that is ours from the start; the cause may be null. */
  static JobworkerException failure(Status.Code code, String message, Throwable cause) {
    return new JobworkerException(code, code + ": " + message, cause, new Details());
  }

  /** Returns the gRPC status code. The proto says of each method which may be tried again. */
  public Status.Code code() {
    return code;
  }

  /**
   * Returns what tells apart what a code alone does not, such as {@code JOB_NOT_FOUND}; empty if
   * the error is not the service's own, but the transport's or the client's.
   */
  public String reason() {
    return reason;
  }

  /** Returns the field of the request that is wrong, such as {@code job_id}; empty if none is. */
  public String field() {
    return field;
  }

  /** Returns what else the service says for programs; never null. */
  public Map<String, String> metadata() {
    return Map.copyOf(metadata);
  }

  /** What the service says of an error for programs. */
  private static final class Details {
    private String reason = "";
    private String field = "";
    private final HashMap<String, String> metadata = new HashMap<>();

    static Details of(StatusRuntimeException exception) {
      Details details = new Details();
      try {
        for (Any detail : packed(exception)) {
          details.add(detail);
        }
      } catch (InvalidProtocolBufferException | IllegalArgumentException malformed) {
        // Whatever came in between is no reason to hide the error itself.
        exception.addSuppressed(malformed);
      }
      return details;
    }

    private static List<Any> packed(StatusRuntimeException exception) {
      com.google.rpc.Status status = StatusProto.fromThrowable(exception);
      return status == null ? List.of() : status.getDetailsList();
    }

    private void add(Any detail) throws InvalidProtocolBufferException {
      if (detail.is(ErrorInfo.class)) {
        ErrorInfo info = detail.unpack(ErrorInfo.class);
        reason = info.getReason();
        metadata.putAll(info.getMetadataMap());
      } else if (detail.is(BadRequest.class)) {
        for (BadRequest.FieldViolation violation :
            detail.unpack(BadRequest.class).getFieldViolationsList()) {
          field = violation.getField();
        }
      }
    }
  }
}
