package dev.jobworker.client;

import dev.jobworker.v1.DeleteJobRequest;
import dev.jobworker.v1.GetJobRequest;
import dev.jobworker.v1.Job;
import dev.jobworker.v1.JobWorkerServiceGrpc;
import dev.jobworker.v1.JobWorkerServiceGrpc.JobWorkerServiceBlockingStub;
import dev.jobworker.v1.ListJobsRequest;
import dev.jobworker.v1.ListJobsResponse;
import dev.jobworker.v1.LogStream;
import dev.jobworker.v1.StartJobRequest;
import dev.jobworker.v1.StopJobRequest;
import io.grpc.Channel;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import java.util.function.Supplier;

/**
 * A connection to a daemon. It may be used from many threads at once.
 *
 * <p>Each call belongs to the {@link Context} in which it is made: with that it ends, by its
 * deadline or its cancellation. It ends, too, if its thread is interrupted. None of that harms a
 * job. Every call that fails throws {@link JobworkerException}.
 */
public final class JobworkerClient implements AutoCloseable {
  /** How long a follow bears to be without progress, unless told otherwise. */
  public static final Duration PATIENCE = Duration.ofMinutes(1);

  private final ManagedChannel repeating;
  private final ManagedChannel once;
  private final Duration patience;

  private JobworkerClient(Connection connection, Duration patience) {
    this.repeating = connection.repeating();
    this.once = connection.once();
    this.patience = patience;
  }

  /** The same with the patience {@link #PATIENCE}. */
  public static JobworkerClient connect(String address, Path ca, Path cert, Path key)
      throws IOException {
    return connect(address, ca, cert, key, PATIENCE);
  }

  /**
   * Returns a client, which connects with its first call and again whenever the connection was
   * lost.
   *
   * @param address the daemon's host:port, such as {@code localhost:8080} or {@code [::1]:8080}
   * @param ca a PEM file with the certificate of the daemon's authority
   * @param cert a PEM file with the client's own certificate. With null for it and its key every
   *     daemon refuses the client, which is good for trying just that.
   * @param key a PEM file with the certificate's key, in PKCS #8
   * @param patience how long a follow bears to be without progress
   * @throws IOException if a file cannot be read or is no such file
   * @throws IllegalArgumentException if the address is not host:port
   */
  public static JobworkerClient connect(
      String address, Path ca, Path cert, Path key, Duration patience) throws IOException {
    return new JobworkerClient(new Connection(address, ca, cert, key), patience);
  }

  /** Ends the connection and all calls that go over it. No job is harmed. */
  @Override
  public void close() {
    repeating.shutdownNow();
    once.shutdownNow();
  }

  /** Returns the connection, for stubs of other services, such as gRPC's health and reflection. */
  public Channel channel() {
    return repeating;
  }

  /**
   * Starts a command as a new job and returns it once its first process runs. The request carries a
   * request id of its own and is repeated by itself if the connection breaks: there is one job all
   * the same.
   *
   * @param command the program and its arguments; no shell takes part
   */
  public Job start(List<String> command) {
    return start(command, UUID.randomUUID().toString());
  }

  /**
   * The same with a request id from the caller: whoever keeps it can ask again, even after a crash,
   * and gets the job that the first request started.
   *
   * @param command the program and its arguments; no shell takes part
   * @param requestId a UUID. If it is empty, every request starts a job, and it is made once, over
   *     a connection of its own: gRPC can give up repeating only for a whole connection.
   */
  public Job start(List<String> command, String requestId) {
    StartJobRequest request =
        StartJobRequest.newBuilder().addAllCommand(command).setRequestId(requestId).build();
    ManagedChannel channel = requestId.isEmpty() ? once : repeating;
    return explained(() -> stub(channel).startJob(request)).getJob();
  }

  /**
   * Ends all processes of a job and returns it once they are gone. A job that has ended already is
   * returned as it is.
   *
   * @param jobId the job's id, or an unambiguous beginning of it
   * @param grace how long after SIGTERM what is left is killed; with zero all is killed at once
   */
  public Job stop(String jobId, Duration grace) {
    StopJobRequest.Builder request = StopJobRequest.newBuilder().setJobId(jobId);
    if (!grace.isZero()) {
      request.setGracePeriod(
          com.google.protobuf.Duration.newBuilder()
              .setSeconds(grace.toSeconds())
              .setNanos(grace.toNanosPart()));
    }
    return explained(() -> stub(repeating).stopJob(request.build())).getJob();
  }

  /** Returns a job as it is now. */
  public Job get(String jobId) {
    GetJobRequest request = GetJobRequest.newBuilder().setJobId(jobId).build();
    return explained(() -> stub(repeating).getJob(request)).getJob();
  }

  /**
   * Deletes a job that has ended, and its output, and returns it as it was. It is not repeated by
   * itself, since after a request that got through the next one finds no such job.
   */
  public Job delete(String jobId) {
    DeleteJobRequest request = DeleteJobRequest.newBuilder().setJobId(jobId).build();
    return explained(() -> stub(repeating).deleteJob(request)).getJob();
  }

  /**
   * Returns one page of jobs, newest first.
   *
   * @param pageSize the most jobs that it may have; zero leaves it to the daemon
   * @param pageToken from the page before; empty for the first page
   */
  public Page list(int pageSize, String pageToken) {
    ListJobsRequest request =
        ListJobsRequest.newBuilder().setPageSize(pageSize).setPageToken(pageToken).build();
    ListJobsResponse response = explained(() -> stub(repeating).listJobs(request));
    return new Page(response.getJobsList(), response.getNextPageToken());
  }

  /**
   * Returns all jobs, newest first, and gets them in pages as the loop goes on, which throws if one
   * cannot be got.
   *
   * @param pageSize the most jobs that a page may have; zero leaves it to the daemon
   */
  public Iterable<Job> all(int pageSize) {
    return () -> new AllJobs(this, pageSize);
  }

  /**
   * Reads an output stream of a job with one call, which may break: {@link #follow} is what goes on
   * by itself.
   */
  public Frames read(String jobId, LogStream stream, ReadOptions options) {
    return new Reading(this, jobId, stream, options);
  }

  /**
   * Reads an output stream of a job from an offset until the stream is final. If the connection
   * breaks, or the daemon is started anew, it reads on at its offset by itself, and says so with
   * {@link Frame.Resumed}; without progress for as long as the client's patience is, it gives up.
   */
  public Frames follow(String jobId, LogStream stream, long offset) {
    // The beginning of an id may fit another job by the time a broken read is resumed; the whole id
    // never does.
    return new Following(this, get(jobId).getId(), stream, offset);
  }

  Duration patience() {
    return patience;
  }

  boolean isClosed() {
    return repeating.isShutdown();
  }

  /** Returns a stub for a call that is now to be made. */
  JobWorkerServiceBlockingStub stub() {
    return stub(repeating);
  }

  private static JobWorkerServiceBlockingStub stub(ManagedChannel channel) {
    // After failures gRPC lets minutes pass before it connects again. Whoever calls wants it now.
    channel.resetConnectBackoff();
    return JobWorkerServiceGrpc.newBlockingStub(channel);
  }

  private static <T> T explained(Supplier<T> call) {
    try {
      return call.get();
    } catch (StatusRuntimeException e) {
      throw JobworkerException.of(e);
    }
  }
}
