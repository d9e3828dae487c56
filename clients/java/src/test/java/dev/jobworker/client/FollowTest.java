package dev.jobworker.client;

import static dev.jobworker.client.Daemons.JOB_ID;
import static dev.jobworker.client.Daemons.data;
import static dev.jobworker.client.Daemons.end;
import static dev.jobworker.client.Daemons.failed;
import static dev.jobworker.client.Daemons.gap;
import static dev.jobworker.client.Script.fails;
import static dev.jobworker.client.Script.sends;
import static dev.jobworker.client.Script.stands;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jobworker.fakedaemon.FakeDaemon;
import dev.jobworker.v1.LogStream;
import dev.jobworker.v1.ReadLogsRequest;
import dev.jobworker.v1.ReadLogsResponse;
import io.grpc.Context;
import io.grpc.Status;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
final class FollowTest {
  private static final LogStream STDOUT = LogStream.LOG_STREAM_STDOUT;

  @TempDir private Path folder;
  private FakeDaemon daemon;
  private JobworkerClient client;
  private final StringBuilder text = new StringBuilder();
  private final List<Frame> others = new ArrayList<>();
  private final List<Long> resumed = new ArrayList<>();

  @BeforeEach
  void serve() throws IOException {
    daemon = new FakeDaemon(folder).onGet(request -> Daemons.job());
    client = Daemons.connect(daemon);
  }

  @AfterEach
  void endDaemon() {
    client.close();
    daemon.close();
  }

  /** After each kind of break, the connection's own among them, a follow reads on at its byte. */
  @Test
  void resumesAtItsOffset() {
    Script script =
        script(
            fails(Status.Code.UNAVAILABLE, data(0, "hello")),
            fails(Status.Code.CANCELLED, data(5, ", ")),
            stands(data(7, "wo")),
            sends(data(9, "r")), // an end without its mark
            sends(data(10, "ld"), end(12)));
    follow(
        0,
        frame -> {
          if (frame instanceof Frame.Data data && data.offset() == 7) {
            daemon.cut();
          }
        });
    assertEquals("hello, world", text.toString());
    assertEquals(List.of(0L, 5L, 7L, 9L, 10L), script.offsets());
    assertEquals(List.of(5L, 7L, 9L, 10L), resumed);
    Frame.End end = (Frame.End) others.get(0);
    assertEquals(12, end.offset());
    assertEquals(JOB_ID, end.job().getId());
    for (ReadLogsRequest request : script.requests()) {
      // By the whole id, though the test named its beginning.
      assertEquals(JOB_ID, request.getJobId());
      assertEquals(STDOUT, request.getStream());
      assertTrue(request.getFollow());
    }
  }

  /** A gap is told, and a follow goes on behind it, also when it breaks there. */
  @Test
  void tellsOfGaps() {
    Script script =
        script(fails(Status.Code.UNAVAILABLE, gap(2, 7)), sends(data(7, "world"), end(12)));
    follow(2, frame -> {});
    assertEquals(new Frame.Gap(2, 7), others.get(0));
    assertEquals("world", text.toString());
    assertEquals(List.of(2L, 7L), script.offsets());
  }

  /** What the daemon refuses is not tried again. */
  @Test
  void endsWithARefusal() {
    for (Status.Code code :
        List.of(
            Status.Code.NOT_FOUND,
            Status.Code.PERMISSION_DENIED,
            Status.Code.OUT_OF_RANGE,
            Status.Code.RESOURCE_EXHAUSTED,
            Status.Code.INTERNAL)) {
      Script script = script(fails(code));
      failed(code, () -> follow(0, frame -> {}));
      assertEquals(1, script.requests().size());
    }
  }

  /** That a job does not exist is said before anything is read. */
  @Test
  void noJob() {
    Script script = script();
    daemon.onGet(
        request -> {
          throw Status.NOT_FOUND.asRuntimeException();
        });
    failed(Status.Code.NOT_FOUND, () -> client.follow(JOB_ID, STDOUT, 0));
    assertEquals(List.of(), script.requests());
  }

  /** Bytes that come twice, or are left out without a gap, are an error and never passed on. */
  @Test
  void refusesBytesThatAreNotDue() {
    for (ReadLogsResponse wrong :
        List.of(
            data(4, "o, "),
            data(6, " "),
            end(4),
            gap(5, 3),
            ReadLogsResponse.getDefaultInstance())) {
      text.setLength(0);
      Script script = script(sends(data(0, "hello"), wrong));
      failed(Status.Code.DATA_LOSS, () -> follow(0, frame -> {}));
      assertEquals("hello", text.toString());
      assertEquals(1, script.requests().size());
      assertEquals(List.of(), others);
    }
  }

  /** Without progress for as long as its patience is, a follow gives up and says where and why. */
  @Test
  void givesUp() throws IOException {
    List<FakeDaemon.Reader> answers = new ArrayList<>();
    answers.add(fails(Status.Code.UNAVAILABLE, data(0, "hello")));
    answers.addAll(Collections.nCopies(100, fails(Status.Code.UNAVAILABLE)));
    Script script = script(answers.toArray(FakeDaemon.Reader[]::new));
    client.close();
    client = Daemons.connect(daemon, Duration.ofMillis(300));
    JobworkerException error = failed(Status.Code.UNAVAILABLE, () -> follow(0, frame -> {}));
    assertTrue(error.getMessage().contains("gave up at byte 5 after 0.3 s"), error.getMessage());
    assertTrue(error.getMessage().contains("as the test has it"), error.getMessage());
    assertEquals("hello", text.toString());
    assertEquals(List.of(), resumed);
    assertTrue(script.requests().size() >= 2);
  }

  /** The caller's own cancellation is no break: the follow ends, also in a pause. */
  @Test
  void endsWithItsContext() {
    for (FakeDaemon.Reader answer :
        List.of(stands(data(0, "hello")), fails(Status.Code.UNAVAILABLE, data(0, "hello")))) {
      Script script = script(answer);
      Context.CancellableContext own = Context.current().withCancellation();
      own.run(() -> failed(Status.Code.CANCELLED, () -> follow(0, frame -> own.cancel(null))));
      assertEquals(1, script.requests().size());
    }
  }

  /** To interrupt the thread ends the follow, and the thread stays interrupted. */
  @Test
  void endsWithItsThread() {
    Script script = script(stands(data(0, "hello")));
    failed(Status.Code.CANCELLED, () -> follow(0, frame -> Thread.currentThread().interrupt()));
    assertTrue(Thread.interrupted());
    assertEquals(1, script.requests().size());
  }

  /** The client's end is no break either. */
  @Test
  void endsWithItsClient() {
    Script script = script(stands(data(0, "hello")));
    failed(Status.Code.UNAVAILABLE, () -> follow(0, frame -> client.close()));
    assertEquals(1, script.requests().size());
  }

  /** To leave the loop ends the call, at whichever frame, and nothing comes after an error. */
  @Test
  void isLeft() throws InterruptedException {
    CountDownLatch ended = new CountDownLatch(1);
    FakeDaemon.Reader tells =
        (request, call) -> {
          stands(data(5, "hello")).answer(request, call);
          ended.countDown();
        };
    script(fails(Status.Code.UNAVAILABLE, data(0, "hello")), tells);
    Iterator<Frame> left;
    try (Frames frames = client.follow(JOB_ID, STDOUT, 0)) {
      left = frames.iterator();
      Frame frame = left.next();
      while (!(frame instanceof Frame.Resumed)) {
        frame = left.next();
      }
    }
    ended.await();
    assertTrue(left.hasNext()); // what had come already
    left.next();
    failed(Status.Code.CANCELLED, left::hasNext);
    assertFalse(left.hasNext());
  }

  private Script script(FakeDaemon.Reader... answers) {
    Script script = new Script(answers);
    daemon.onRead(script);
    return script;
  }

  /** Follows to the end, and keeps what comes. */
  private void follow(long offset, Consumer<Frame> then) {
    try (Frames frames = client.follow(JOB_ID.substring(0, 4), STDOUT, offset)) {
      for (Frame frame : frames) {
        if (frame instanceof Frame.Data data) {
          text.append(data.bytes().toString(StandardCharsets.ISO_8859_1));
        } else if (frame instanceof Frame.Resumed again) {
          resumed.add(again.offset());
        } else {
          others.add(frame);
        }
        then.accept(frame);
      }
    }
  }
}
