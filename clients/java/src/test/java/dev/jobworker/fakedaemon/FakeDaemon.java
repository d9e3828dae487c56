package dev.jobworker.fakedaemon;

import dev.jobworker.v1.DeleteJobRequest;
import dev.jobworker.v1.DeleteJobResponse;
import dev.jobworker.v1.GetJobRequest;
import dev.jobworker.v1.GetJobResponse;
import dev.jobworker.v1.Job;
import dev.jobworker.v1.JobWorkerServiceGrpc.JobWorkerServiceImplBase;
import dev.jobworker.v1.ListJobsRequest;
import dev.jobworker.v1.ListJobsResponse;
import dev.jobworker.v1.ReadLogsRequest;
import dev.jobworker.v1.ReadLogsResponse;
import dev.jobworker.v1.StartJobRequest;
import dev.jobworker.v1.StartJobResponse;
import dev.jobworker.v1.StopJobRequest;
import dev.jobworker.v1.StopJobResponse;
import io.grpc.Context;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.netty.shaded.io.netty.handler.ssl.ClientAuth;
import io.grpc.netty.shaded.io.netty.handler.ssl.SslContext;
import io.grpc.protobuf.services.HealthStatusManager;
import io.grpc.protobuf.services.ProtoReflectionServiceV1;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Serves the API for tests: real gRPC over real mutual TLS on loopback, with answers that the test
 * gives. A method without one is UNIMPLEMENTED.
 */
public final class FakeDaemon extends JobWorkerServiceImplBase implements AutoCloseable {
  /** Answers one ReadLogs; what it throws is the call's status. */
  @FunctionalInterface
  public interface Reader {
    /** Sends frames; the call ends when it returns. */
    void answer(ReadLogsRequest request, StreamObserver<ReadLogsResponse> call);
  }

  private final Certificates certificates;
  private final Server server;
  private final Relay relay;
  private volatile Function<StartJobRequest, Job> start =
      request -> {
        throw unexpected();
      };
  private volatile Function<StopJobRequest, Job> stop =
      request -> {
        throw unexpected();
      };
  private volatile Function<GetJobRequest, Job> get =
      request -> {
        throw unexpected();
      };
  private volatile Function<DeleteJobRequest, Job> delete =
      request -> {
        throw unexpected();
      };
  private volatile Function<ListJobsRequest, ListJobsResponse> list =
      request -> {
        throw unexpected();
      };
  private volatile Reader read =
      (request, call) -> {
        throw unexpected();
      };

  /** Starts serving, with certificates in a folder. */
  public FakeDaemon(Path folder) throws IOException {
    certificates = new Certificates(folder);
    SslContext identity =
        GrpcSslContexts.forServer(
                certificates.cert("server").toFile(), certificates.key("server").toFile())
            .protocols("TLSv1.3")
            .trustManager(certificates.cert("ca").toFile())
            .clientAuth(ClientAuth.REQUIRE)
            .build();
    server =
        NettyServerBuilder.forAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
            .sslContext(identity)
            .addService(this)
            .addService(new HealthStatusManager().getHealthService())
            .addService(ProtoReflectionServiceV1.newInstance())
            .build()
            .start();
    relay = new Relay(server.getPort());
  }

  /** Returns where it serves. */
  public String address() {
    return "127.0.0.1:" + relay.port();
  }

  /** Returns the file of the authority's certificate. */
  public Path ca() {
    return certificates.cert("ca");
  }

  /** Returns the file of the client's certificate. */
  public Path cert() {
    return certificates.cert("client");
  }

  /** Returns the file of the key of the client's certificate. */
  public Path key() {
    return certificates.key("client");
  }

  /** Breaks all connections there are, without a word. */
  public void cut() {
    relay.cut();
  }

  @Override
  public void close() {
    server.shutdownNow();
    relay.close();
  }

  /** Says what StartJob answers. */
  public FakeDaemon onStart(Function<StartJobRequest, Job> answer) {
    start = answer;
    return this;
  }

  /** Says what StopJob answers. */
  public FakeDaemon onStop(Function<StopJobRequest, Job> answer) {
    stop = answer;
    return this;
  }

  /** Says what GetJob answers. */
  public FakeDaemon onGet(Function<GetJobRequest, Job> answer) {
    get = answer;
    return this;
  }

  /** Says what DeleteJob answers. */
  public FakeDaemon onDelete(Function<DeleteJobRequest, Job> answer) {
    delete = answer;
    return this;
  }

  /** Says what ListJobs answers. */
  public FakeDaemon onList(Function<ListJobsRequest, ListJobsResponse> answer) {
    list = answer;
    return this;
  }

  /** Says what ReadLogs answers. */
  public FakeDaemon onRead(Reader answer) {
    read = answer;
    return this;
  }

  /** Waits until the call in whose handler it is made is cancelled or its connection lost. */
  public static void awaitCancelled() {
    CountDownLatch cancelled = new CountDownLatch(1);
    Context.current().addListener(context -> cancelled.countDown(), Runnable::run);
    try {
      cancelled.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void startJob(StartJobRequest request, StreamObserver<StartJobResponse> call) {
    answer(call, () -> StartJobResponse.newBuilder().setJob(start.apply(request)).build());
  }

  @Override
  public void stopJob(StopJobRequest request, StreamObserver<StopJobResponse> call) {
    answer(call, () -> StopJobResponse.newBuilder().setJob(stop.apply(request)).build());
  }

  @Override
  public void getJob(GetJobRequest request, StreamObserver<GetJobResponse> call) {
    answer(call, () -> GetJobResponse.newBuilder().setJob(get.apply(request)).build());
  }

  @Override
  public void deleteJob(DeleteJobRequest request, StreamObserver<DeleteJobResponse> call) {
    answer(call, () -> DeleteJobResponse.newBuilder().setJob(delete.apply(request)).build());
  }

  @Override
  public void listJobs(ListJobsRequest request, StreamObserver<ListJobsResponse> call) {
    answer(call, () -> list.apply(request));
  }

  @Override
  public void readLogs(ReadLogsRequest request, StreamObserver<ReadLogsResponse> call) {
    try {
      read.answer(request, call);
      if (!Context.current().isCancelled()) {
        call.onCompleted();
      }
    } catch (StatusRuntimeException e) {
      call.onError(e);
    }
  }

  private static <T> void answer(StreamObserver<T> call, Supplier<T> response) {
    try {
      call.onNext(response.get());
      call.onCompleted();
    } catch (StatusRuntimeException e) {
      call.onError(e);
    }
  }

  private static StatusRuntimeException unexpected() {
    return Status.UNIMPLEMENTED.withDescription("the test has no answer").asRuntimeException();
  }
}
