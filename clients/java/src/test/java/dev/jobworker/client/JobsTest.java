package dev.jobworker.client;

import static dev.jobworker.client.Daemons.JOB_ID;
import static dev.jobworker.client.Daemons.failed;
import static dev.jobworker.client.Daemons.job;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import com.google.protobuf.Any;
import com.google.rpc.BadRequest;
import com.google.rpc.Code;
import com.google.rpc.ErrorInfo;
import dev.jobworker.fakedaemon.FakeDaemon;
import dev.jobworker.v1.Job;
import dev.jobworker.v1.ListJobsResponse;
import dev.jobworker.v1.LogStream;
import dev.jobworker.v1.StopJobRequest;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
final class JobsTest {
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

  /** Start makes a request id of its own, a fresh one for each job. */
  @Test
  void startSendsAFreshRequestId() {
    List<String> ids = new CopyOnWriteArrayList<>();
    daemon.onStart(
        request -> {
          ids.add(request.getRequestId());
          return job().toBuilder().addAllCommand(request.getCommandList()).build();
        });
    for (int i = 0; i < 2; i++) {
      List<String> command = List.of("echo", "größe");
      assertEquals(command, client.start(command).getCommandList());
    }
    assertEquals(4, UUID.fromString(ids.get(0)).version());
    assertNotEquals(ids.get(0), ids.get(1));
  }

  /** Stop passes the grace period on; without one there is none in the request. */
  @Test
  void stopPassesTheGracePeriod() {
    List<StopJobRequest> asked = new CopyOnWriteArrayList<>();
    daemon.onStop(
        request -> {
          asked.add(request);
          return job();
        });
    assertEquals(JOB_ID, client.stop("5a", Duration.ZERO).getId());
    assertEquals(JOB_ID, client.stop("5a", Duration.ofMillis(1500)).getId());
    assertFalse(asked.get(0).hasGracePeriod());
    com.google.protobuf.Duration grace = asked.get(1).getGracePeriod();
    assertEquals(Duration.ofMillis(1500), Duration.ofSeconds(grace.getSeconds(), grace.getNanos()));
  }

  /** The walk goes through all pages, also one that is empty, and asks for none too early. */
  @Test
  void allWalksThePages() {
    List<List<String>> pages = List.of(List.of("a", "b"), List.of(), List.of("c"));
    AtomicInteger calls = new AtomicInteger();
    daemon.onList(
        request -> {
          calls.incrementAndGet();
          String token = request.getPageToken();
          int number = token.isEmpty() ? 0 : Integer.parseInt(token);
          ListJobsResponse.Builder response = ListJobsResponse.newBuilder();
          pages.get(number).forEach(id -> response.addJobs(Job.newBuilder().setId(id)));
          String next = number + 1 < pages.size() ? Integer.toString(number + 1) : "";
          return response.setNextPageToken(next).build();
        });
    List<String> ids = new ArrayList<>();
    client.all(2).forEach(job -> ids.add(job.getId()));
    assertEquals(List.of("a", "b", "c"), ids);
    calls.set(0);
    assertEquals("a", client.all(2).iterator().next().getId());
    assertEquals(1, calls.get());
  }

  /** The walk ends with the error of a page that could not be read. */
  @Test
  void allEndsWithTheError() {
    daemon.onList(request -> refuse(Status.INVALID_ARGUMENT));
    failed(Status.Code.INVALID_ARGUMENT, () -> client.all(-1).iterator().hasNext());
  }

  /** What may be repeated is repeated when the daemon is going away. */
  @Test
  void whatMayBeRepeatedIs() {
    AtomicInteger calls = failingTwice();
    List<String> command = List.of("x");
    for (Executable call :
        List.<Executable>of(
            () -> client.start(command),
            () -> client.stop(JOB_ID, Duration.ZERO),
            () -> client.get(JOB_ID),
            () -> client.list(0, ""))) {
      calls.set(0);
      assertDoesNotThrow(call);
      assertEquals(3, calls.get());
    }
  }

  /** What may not be repeated is not. */
  @Test
  void whatMayNotBeRepeatedIsNot() {
    AtomicInteger calls = failingTwice();
    List<String> command = List.of("x");
    LogStream stdout = LogStream.LOG_STREAM_STDOUT;
    for (Executable call :
        List.<Executable>of(
            () -> client.start(command, ""),
            () -> client.delete(JOB_ID),
            () -> client.read(JOB_ID, stdout, ReadOptions.ALL).iterator().hasNext())) {
      calls.set(0);
      failed(Status.Code.UNAVAILABLE, call);
      assertEquals(1, calls.get());
    }
  }

  /** An error has all that the daemon says of it for programs. */
  @Test
  void errorHasTheDetails() {
    ErrorInfo info =
        ErrorInfo.newBuilder().setReason("AMBIGUOUS_JOB_ID").putMetadata("jobs", "2").build();
    BadRequest wrong =
        BadRequest.newBuilder()
            .addFieldViolations(BadRequest.FieldViolation.newBuilder().setField("job_id"))
            .build();
    com.google.rpc.Status status =
        com.google.rpc.Status.newBuilder()
            .setCode(Code.INVALID_ARGUMENT_VALUE)
            .setMessage("several jobs")
            .addDetails(Any.pack(info))
            .addDetails(Any.pack(wrong))
            .build();
    daemon.onGet(
        request -> {
          throw StatusProto.toStatusRuntimeException(status);
        });
    JobworkerException error = failed(Status.Code.INVALID_ARGUMENT, () -> client.get("5"));
    assertEquals("AMBIGUOUS_JOB_ID", error.reason());
    assertEquals("job_id", error.field());
    assertEquals(Map.of("jobs", "2"), error.metadata());
    assertEquals("INVALID_ARGUMENT: several jobs", error.getMessage());
  }

  /** An error of the transport has no details, and can be asked for them all the same. */
  @Test
  void errorWithoutDetails() {
    JobworkerException error = failed(Status.Code.UNIMPLEMENTED, () -> client.delete(JOB_ID));
    assertEquals("", error.reason());
    assertEquals("", error.field());
    assertEquals(Map.of(), error.metadata());
  }

  /** A call ends with the context in which it is made. */
  @Test
  void callEndsWithItsContext() {
    Context.CancellableContext own = Context.current().withCancellation();
    daemon.onGet(
        request -> {
          own.cancel(null);
          FakeDaemon.awaitCancelled();
          return job();
        });
    own.run(() -> failed(Status.Code.CANCELLED, () -> client.get(JOB_ID)));
  }

  /** After its end a client makes no more calls. */
  @Test
  void closedClientMakesNoCalls() {
    client.close();
    failed(Status.Code.UNAVAILABLE, () -> client.get(JOB_ID));
  }

  private AtomicInteger failingTwice() {
    AtomicInteger calls = new AtomicInteger();
    daemon.onStart(request -> third(calls));
    daemon.onStop(request -> third(calls));
    daemon.onGet(request -> third(calls));
    daemon.onDelete(request -> third(calls));
    daemon.onRead((request, call) -> third(calls));
    daemon.onList(request -> ListJobsResponse.newBuilder().addJobs(third(calls)).build());
    return calls;
  }

  private static Job third(AtomicInteger calls) {
    if (calls.incrementAndGet() < 3) {
      throw Status.UNAVAILABLE.withDescription("going away").asRuntimeException();
    }
    return job();
  }

  private static ListJobsResponse refuse(Status status) {
    throw status.asRuntimeException();
  }
}
