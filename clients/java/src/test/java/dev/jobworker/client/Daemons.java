package dev.jobworker.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.ByteString;
import dev.jobworker.fakedaemon.FakeDaemon;
import dev.jobworker.v1.Job;
import dev.jobworker.v1.JobState;
import dev.jobworker.v1.LogData;
import dev.jobworker.v1.LogEnd;
import dev.jobworker.v1.LogGap;
import dev.jobworker.v1.ReadLogsResponse;
import io.grpc.Status;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.function.Executable;

/** What the tests say to a daemon, and what it says to them. */
final class Daemons {
  static final String JOB_ID = "5a2e0b1c-0000-4000-8000-000000000000";

  private Daemons() {}

  /** Returns a client of a daemon, with little patience: tests that wait for its end are short. */
  static JobworkerClient connect(FakeDaemon daemon) throws IOException {
    return connect(daemon, Duration.ofSeconds(10));
  }

  static JobworkerClient connect(FakeDaemon daemon, Duration patience) throws IOException {
    return JobworkerClient.connect(
        daemon.address(), daemon.ca(), daemon.cert(), daemon.key(), patience);
  }

  /** Returns the error that a call has to fail with. */
  static JobworkerException failed(Status.Code code, Executable call) {
    JobworkerException error = assertThrows(JobworkerException.class, call);
    assertEquals(code, error.code(), error.getMessage());
    return error;
  }

  static Job job() {
    return Job.newBuilder().setId(JOB_ID).setState(JobState.JOB_STATE_RUNNING).build();
  }

  static ReadLogsResponse data(long offset, String text) {
    ByteString bytes = ByteString.copyFrom(text, StandardCharsets.ISO_8859_1);
    return ReadLogsResponse.newBuilder()
        .setData(LogData.newBuilder().setOffset(offset).setData(bytes))
        .build();
  }

  static ReadLogsResponse gap(long from, long to) {
    return ReadLogsResponse.newBuilder()
        .setGap(LogGap.newBuilder().setFrom(from).setTo(to))
        .build();
  }

  static ReadLogsResponse end(long offset) {
    Job job = job().toBuilder().setState(JobState.JOB_STATE_SUCCEEDED).build();
    return ReadLogsResponse.newBuilder()
        .setEnd(LogEnd.newBuilder().setOffset(offset).setJob(job))
        .build();
  }
}
