package dev.jobworker.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.Timestamp;
import com.google.rpc.Code;
import com.google.rpc.ErrorInfo;
import dev.jobworker.fakedaemon.FakeDaemon;
import dev.jobworker.v1.Job;
import dev.jobworker.v1.JobState;
import dev.jobworker.v1.ListJobsRequest;
import dev.jobworker.v1.ListJobsResponse;
import dev.jobworker.v1.LogData;
import dev.jobworker.v1.LogEnd;
import dev.jobworker.v1.LogGap;
import dev.jobworker.v1.LogStream;
import dev.jobworker.v1.ReadLogsRequest;
import dev.jobworker.v1.ReadLogsResponse;
import dev.jobworker.v1.Termination;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
final class DriverTest {
  private static final String ID = "5a2e0b1c-0000-4000-8000-000000000000";
  private static final String EMPTY =
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  private static final String RUNNING =
      """
      {"id": "%s", "command": ["echo", "$0"], "state": "RUNNING", "exit_code": null, "signal": null,
       "stdout_bytes": 0, "stderr_bytes": 0, "owner": "ab", "principal": "", "killed_processes": null,
       "lost": false, "started": true, "ended": false, "stop_requested": false}
      """
          .formatted(ID);
  private static final String STOPPED =
      """
      {"id": "%s", "command": ["echo", "$0"], "state": "STOPPED", "exit_code": null, "signal": 9,
       "stdout_bytes": 5, "stderr_bytes": 0, "owner": "ab", "principal": "ci", "killed_processes": 2,
       "lost": false, "started": true, "ended": true, "stop_requested": true}
      """
          .formatted(ID);
  private static final String READ =
      """
      "bytes": 2, "sha256": "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603",
      "first_offset": 3, "gaps": [[0, 3]], "ordered": true,
      """;

  @TempDir private Path folder;
  private FakeDaemon daemon;

  /** Serves one job, and two pages with one job each. */
  @BeforeEach
  void serve() throws IOException {
    daemon =
        new FakeDaemon(folder)
            .onStart(request -> running().toBuilder().setPrincipal(request.getRequestId()).build())
            .onStop(request -> stopped(request.getJobId()))
            .onGet(request -> stopped(request.getJobId()))
            .onDelete(request -> stopped(request.getJobId()))
            .onList(DriverTest::page)
            .onRead(DriverTest::read);
  }

  @AfterEach
  void end() {
    daemon.close();
  }

  /** Steps on jobs give what the runner expects of them, and can name the jobs of earlier ones. */
  @Test
  void jobs() throws Exception {
    gives(
        """
        [{"op": "start", "command": ["echo", "$0"], "request_id": ""},
         {"op": "stop", "job": "$0:8", "grace_ms": 1500, "deadline_ms": 60000},
         {"op": "get", "job": "$1"},
         {"op": "delete", "job": "ffff"},
         {"op": "get", "job": "$0", "deadline_ms": 0}]
        """,
        """
        [{"ok": {"job": %s}},
         {"ok": {"job": %s}},
         {"ok": {"job": %s}},
         {"error": {"code": "NOT_FOUND", "reason": "JOB_NOT_FOUND", "field": "",
                    "metadata": {"job_id": "ffff"}}},
         {"error": {"code": "DEADLINE_EXCEEDED", "reason": "", "field": "", "metadata": {}}}]
        """
            .formatted(RUNNING, STOPPED, STOPPED));
  }

  /** Steps on pages give them, and can name the next page of earlier ones. */
  @Test
  void pages() throws Exception {
    gives(
        """
        [{"op": "list", "page_size": 1},
         {"op": "list", "page_size": 1, "page_token": "$page0"},
         {"op": "list_all", "page_size": 1}]
        """,
        """
        [{"ok": {"count": 1, "ids": ["job"], "next_page_token": "2"}},
         {"ok": {"count": 1, "ids": ["job2"], "next_page_token": ""}},
         {"ok": {"count": 2, "unique": 2,
          "ids_sha256": "5261cc4cfa511c25c4ca6c42a8e7603019b48b4b56c351b32ce0e858527cc7e7"}}]
        """);
  }

  /** Reads are summed up, and end where they are to be cancelled. */
  @Test
  void reads() throws Exception {
    gives(
        """
        [{"op": "read", "job": "5a", "stream": "stdout"},
         {"op": "read", "job": "$0", "stream": "stderr", "follow": true, "cancel_after_bytes": 1},
         {"op": "read", "job": "$0", "stream": "unspecified"},
         {"op": "follow", "job": "$0", "stream": "stdout", "offset": 0},
         {"op": "read", "job": "$3", "stream": "stdout", "cancel_after_bytes": 0}]
        """,
        """
        [{"ok": {%s "end_offset": 5, "job": %s, "cancelled": false}},
         {"ok": {%s "end_offset": null, "job": null, "cancelled": true}},
         {"error": {"code": "INVALID_ARGUMENT", "reason": "", "field": "", "metadata": {}}},
         {"ok": {%s "end_offset": 5, "job": %s, "cancelled": false, "resumes": 0}},
         {"ok": {"bytes": 0, "sha256": "%s", "first_offset": null, "end_offset": null,
                 "gaps": [[0, 3]], "job": null, "cancelled": true, "ordered": true}}]
        """
            .formatted(READ, STOPPED, READ, READ, STOPPED, EMPTY));
  }

  /** gRPC's own services are asked over the same connection. */
  @Test
  void grpcsOwnServices() throws Exception {
    gives(
        """
        [{"op": "health", "service": ""},
         {"op": "health", "service": "no.such"},
         {"op": "reflection"}]
        """,
        """
        [{"ok": {"status": "SERVING"}},
         {"error": {"code": "NOT_FOUND", "reason": "", "field": "", "metadata": {}}},
         {"ok": {"services": ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                              "jobworker.v1.JobWorkerService"]}}]
        """);
  }

  /** Without a request id in the step the library makes one. */
  @Test
  void startWithTheLibrarysRequestId() throws Exception {
    JsonArray results = results("[{\"op\": \"start\", \"command\": [\"x\"]}]");
    JsonObject ok = results.get(0).getAsJsonObject().getAsJsonObject("ok");
    assertEquals(ID.length(), ok.getAsJsonObject("job").get("principal").getAsString().length());
  }

  /** A scenario that makes no sense fails as a whole. */
  @Test
  void senselessScenarios() {
    for (String step :
        new String[] {
          "{\"op\": \"no such\"}",
          "{\"op\": \"get\", \"job\": \"$0\"}",
          "{\"op\": \"list\", \"page_token\": \"$page0\"}",
          "{\"op\": \"get\", \"job\": 7}"
        }) {
      assertThrows(IllegalArgumentException.class, () -> results("[" + step + "]"));
    }
  }

  private void gives(String steps, String expected) throws Exception {
    assertEquals(JsonParser.parseString(expected), results(steps));
  }

  private JsonArray results(String steps) throws Exception {
    JsonObject scenario = new JsonObject();
    scenario.addProperty("address", daemon.address());
    scenario.addProperty("ca", daemon.ca().toString());
    scenario.addProperty("cert", daemon.cert().toString());
    scenario.addProperty("key", daemon.key().toString());
    scenario.add("steps", JsonParser.parseString(steps));
    JsonElement whole = JsonParser.parseString(Driver.run(scenario.toString()));
    return whole.getAsJsonObject().getAsJsonArray("results");
  }

  private static Job running() {
    return Job.newBuilder()
        .setId(ID)
        .addCommand("echo")
        .addCommand("$0")
        .setState(JobState.JOB_STATE_RUNNING)
        .setStartTime(Timestamp.getDefaultInstance())
        .setOwner("ab")
        .build();
  }

  private static Job stopped() {
    return running().toBuilder()
        .setState(JobState.JOB_STATE_STOPPED)
        .setEndTime(Timestamp.getDefaultInstance())
        .setStopRequestTime(Timestamp.getDefaultInstance())
        .setSignal(9)
        .setTermination(Termination.newBuilder().setKilledProcesses(2))
        .setStdoutBytes(5)
        .setPrincipal("ci")
        .build();
  }

  private static Job stopped(String asked) {
    if (ID.startsWith(asked)) {
      return stopped();
    }
    ErrorInfo info =
        ErrorInfo.newBuilder().setReason("JOB_NOT_FOUND").putMetadata("job_id", asked).build();
    throw StatusProto.toStatusRuntimeException(
        com.google.rpc.Status.newBuilder()
            .setCode(Code.NOT_FOUND_VALUE)
            .addDetails(Any.pack(info))
            .build());
  }

  private static ListJobsResponse page(ListJobsRequest request) {
    return ListJobsResponse.newBuilder()
        .addJobs(Job.newBuilder().setId("job" + request.getPageToken()))
        .setNextPageToken(request.getPageToken().isEmpty() ? "2" : "")
        .build();
  }

  private static void read(ReadLogsRequest request, StreamObserver<ReadLogsResponse> call) {
    if (request.getStream() == LogStream.LOG_STREAM_UNSPECIFIED) {
      throw Status.INVALID_ARGUMENT.asRuntimeException();
    }
    LogGap gap = LogGap.newBuilder().setFrom(request.getOffset()).setTo(3).build();
    LogData data = LogData.newBuilder().setOffset(3).setData(ByteString.copyFromUtf8("ab")).build();
    LogEnd end = LogEnd.newBuilder().setOffset(5).setJob(stopped()).build();
    call.onNext(ReadLogsResponse.newBuilder().setGap(gap).build());
    call.onNext(ReadLogsResponse.newBuilder().setData(data).build());
    call.onNext(ReadLogsResponse.newBuilder().setEnd(end).build());
  }
}
