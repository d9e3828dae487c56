package dev.jobworker.client;

import static dev.jobworker.client.Daemons.JOB_ID;
import static dev.jobworker.client.Daemons.data;
import static dev.jobworker.client.Daemons.failed;
import static dev.jobworker.client.Daemons.gap;
import static dev.jobworker.client.Script.sends;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import com.google.protobuf.ByteString;
import dev.jobworker.fakedaemon.FakeDaemon;
import dev.jobworker.v1.LogStream;
import dev.jobworker.v1.ReadLogsRequest;
import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
final class ReadTest {
  private static final LogStream STDERR = LogStream.LOG_STREAM_STDERR;

  @TempDir private Path folder;
  private FakeDaemon daemon;
  private JobworkerClient client;

  @BeforeEach
  void serve() throws IOException {
    daemon = new FakeDaemon(folder);
    client = Daemons.connect(daemon);
  }

  @AfterEach
  void end() {
    client.close();
    daemon.close();
  }

  /** A read passes its options on and gives the frames as they come. */
  @Test
  void givesTheFrames() {
    Script script = new Script(sends(gap(0, 3), data(3, "\u00ff\u0000"), Daemons.end(5)));
    daemon.onRead(script);
    List<Frame> got = new ArrayList<>();
    ReadOptions options = ReadOptions.ALL.withFollow(true).withTailLines(20).withLimit(9);
    try (Frames frames = client.read(JOB_ID, STDERR, options)) {
      frames.forEach(got::add);
    }
    assertEquals(3, got.size());
    assertEquals(new Frame.Gap(0, 3), got.get(0));
    assertEquals(new Frame.Data(3, ByteString.fromHex("ff00")), got.get(1));
    assertEquals(new Frame.End(5, Daemons.end(5).getEnd().getJob()), got.get(2));
    ReadLogsRequest expected =
        ReadLogsRequest.newBuilder()
            .setJobId(JOB_ID)
            .setStream(STDERR)
            .setFollow(true)
            .setTailLines(20)
            .setLimit(9)
            .build();
    assertEquals(List.of(expected), script.requests());
  }

  /** A read that ends without its end mark has failed. */
  @Test
  void withoutEndIsBroken() {
    daemon.onRead(sends(data(0, "hello")));
    try (Frames frames = client.read(JOB_ID, STDERR, ReadOptions.ALL)) {
      Iterator<Frame> iterator = frames.iterator();
      assertEquals(new Frame.Data(0, ByteString.copyFromUtf8("hello")), iterator.next());
      failed(Status.Code.UNAVAILABLE, iterator::hasNext);
      assertFalse(iterator.hasNext());
    }
  }

  /** To leave the loop ends the call. */
  @Test
  void isLeft() throws InterruptedException {
    CountDownLatch ended = new CountDownLatch(1);
    daemon.onRead(
        (request, call) -> {
          Script.stands(data(0, "hello")).answer(request, call);
          ended.countDown();
        });
    ReadOptions options = ReadOptions.ALL.withFollow(true);
    try (Frames frames = client.read(JOB_ID, STDERR, options)) {
      frames.iterator().next();
    }
    ended.await();
  }
}
