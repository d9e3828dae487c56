package dev.jobworker.client;

import dev.jobworker.v1.LogStream;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Status;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** One follow, over as many calls as it takes. */
final class Following extends PulledFrames {
  private final Context.CancellableContext own = Context.current().withCancellation();
  private final CountDownLatch ended = new CountDownLatch(1); // with the context
  private final JobworkerClient client;
  private final String jobId;
  private final LogStream stream;
  private final Outage outage;
  private long offset; // of the byte that is due next
  private Reading call; // null if there is none under way
  private JobworkerException broken; // what broke the last call, until the next one gives something
  private Frame held; // what came first after a break, until that was told

  Following(JobworkerClient client, String jobId, LogStream stream, long offset) {
    this.client = client;
    this.jobId = jobId;
    this.stream = stream;
    this.offset = offset;
    this.outage = new Outage(client.patience());
    own.addListener(context -> ended.countDown(), Runnable::run);
  }

  @Override
  public void close() {
    own.cancel(null);
  }

  /** Reads on, again and again from where a call broke. */
  @Override
  Frame pull() {
    if (held != null) {
      Frame frame = held;
      held = null;
      return passed(frame);
    }
    while (true) {
      try {
        return due(read());
      } catch (JobworkerException e) {
        call.close();
        call = null;
        if (!isBreak(e)) {
          close();
          throw e;
        }
        broken = e;
        pause();
      }
    }
  }

  /**
   * Tells whether an error is a break, or comes of the caller's context, which the pause tells
   * apart. CANCELLED, which the service never says, is also what gRPC makes of calls that have
   * come, and are not begun, when their server is told to stop.
   */
  private boolean isBreak(JobworkerException error) {
    boolean passing =
        error.code() == Status.Code.UNAVAILABLE || error.code() == Status.Code.CANCELLED;
    return passing && !client.isClosed();
  }

  private Frame read() {
    if (call == null) {
      ReadOptions options = ReadOptions.ALL.withOffset(offset).withFollow(true);
      own.run(() -> call = new Reading(client, jobId, stream, options));
    }
    try {
      return call.pull();
    } catch (JobworkerException e) {
      outage.stood(call.standing());
      throw e;
    }
  }

  /** Returns a frame, if it is the one that is due: nothing is skipped or repeated. */
  private Frame due(Frame frame) {
    long from = Span.of(frame).from();
    long to = Span.of(frame).to();
    if (from != offset || to < from) {
      throw JobworkerException.failure(
          Status.Code.DATA_LOSS,
          "the daemon sent bytes %d to %d where byte %d was due; please report this"
              .formatted(from, to, offset),
          null);
    }
    outage.over();
    if (broken == null) {
      return passed(frame);
    }
    Frame resumed = new Frame.Resumed(from, broken);
    broken = null;
    held = frame;
    return resumed;
  }

  private Frame passed(Frame frame) {
    offset = Span.of(frame).to();
    if (frame instanceof Frame.End) {
      close();
    }
    return frame;
  }

  /**
   * Lets time pass before the next call; throws if the client's patience or the caller's is over.
   */
  private void pause() {
    if (own.isCancelled()) {
      throw ofContext();
    }
    Duration pause =
        outage
            .pause(System.nanoTime(), ThreadLocalRandom.current().nextDouble())
            .orElseThrow(this::gaveUp);
    try {
      if (ended.await(pause.toNanos(), TimeUnit.NANOSECONDS)) {
        throw ofContext();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      close();
      throw JobworkerException.failure(Status.Code.CANCELLED, "the thread was interrupted", e);
    }
  }

  private JobworkerException ofContext() {
    return JobworkerException.of(Contexts.statusFromCancelled(own).asRuntimeException());
  }

  private JobworkerException gaveUp() {
    close();
    return JobworkerException.failure(
        Status.Code.UNAVAILABLE,
        "gave up at byte %d after %.1f s without progress: %s"
            .formatted(offset, outage.patience().toMillis() / 1000.0, broken.getMessage()),
        broken);
  }

  /** Where a frame begins, and where the next one has to. */
  private record Span(long from, long to) {
    static Span of(Frame frame) {
      if (frame instanceof Frame.Data data) {
        return new Span(data.offset(), data.offset() + data.bytes().size());
      }
      if (frame instanceof Frame.Gap gap) {
        return new Span(gap.from(), gap.to());
      }
      if (frame instanceof Frame.End end) {
        return new Span(end.offset(), end.offset());
      }
      throw new IllegalStateException("no call gives " + frame);
    }
  }
}
