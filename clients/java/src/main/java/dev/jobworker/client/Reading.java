package dev.jobworker.client;

import dev.jobworker.v1.JobWorkerServiceGrpc.JobWorkerServiceBlockingStub;
import dev.jobworker.v1.LogStream;
import dev.jobworker.v1.ReadLogsRequest;
import dev.jobworker.v1.ReadLogsResponse;
import io.grpc.Attributes;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientStreamTracer;
import io.grpc.Context;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.Iterator;

/** One ReadLogs, which belongs to the context in which it was made. */
final class Reading extends PulledFrames {
  private final Context.CancellableContext own = Context.current().withCancellation();
  private final Reach reach = new Reach();
  private final Iterator<ReadLogsResponse> responses;

  Reading(JobworkerClient client, String jobId, LogStream stream, ReadOptions options) {
    ReadLogsRequest.Builder request =
        ReadLogsRequest.newBuilder()
            .setJobId(jobId)
            .setStream(stream)
            .setOffset(options.offset())
            .setFollow(options.follow())
            .setLimit(options.limit());
    options.tailLines().ifPresent(request::setTailLines);
    JobWorkerServiceBlockingStub stub = client.stub().withInterceptors(reach);
    Context before = own.attach();
    try {
      responses = stub.readLogs(request.build());
    } finally {
      own.detach(before);
    }
  }

  @Override
  public void close() {
    own.cancel(null);
  }

  /** Returns for how long the call has stood since it reached the daemon. */
  Duration standing() {
    Long since = reach.sinceNanos;
    return since == null ? Duration.ZERO : Duration.ofNanos(System.nanoTime() - since);
  }

  @Override
  Frame pull() {
    try {
      if (!responses.hasNext()) {
        throw JobworkerException.failure(
            Status.Code.UNAVAILABLE, "the daemon ended the output without its end mark", null);
      }
      return frame(responses.next());
    } catch (StatusRuntimeException e) {
      throw JobworkerException.of(e);
    }
  }

  private Frame frame(ReadLogsResponse response) {
    return switch (response.getFrameCase()) {
      case DATA -> new Frame.Data(response.getData().getOffset(), response.getData().getData());
      case GAP -> new Frame.Gap(response.getGap().getFrom(), response.getGap().getTo());
      case END -> {
        awaitStatus();
        yield new Frame.End(response.getEnd().getOffset(), response.getEnd().getJob());
      }
      case FRAME_NOT_SET ->
          throw JobworkerException.failure(
              Status.Code.DATA_LOSS,
              "the daemon sent a frame that this client does not know",
              null);
    };
  }

  /**
   * The status comes after the end mark. To cancel before that would make a failure of a good call
   * in the daemon's log.
   */
  private void awaitStatus() {
    try {
      responses.forEachRemaining(none -> {});
    } catch (StatusRuntimeException late) {
      // The output was complete.
    }
    close();
  }

  /** Knows since when a call is on a connection that stands. */
  private static final class Reach extends ClientStreamTracer.Factory implements ClientInterceptor {
    private volatile Long sinceNanos;

    @Override
    public <Q, A> ClientCall<Q, A> interceptCall(
        MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
      return next.newCall(method, options.withStreamTracerFactory(this));
    }

    @Override
    public ClientStreamTracer newClientStreamTracer(
        ClientStreamTracer.StreamInfo info, Metadata headers) {
      return new ClientStreamTracer() {
        @Override
        public void streamCreated(Attributes transport, Metadata sent) {
          sinceNanos = System.nanoTime();
        }
      };
    }
  }
}
