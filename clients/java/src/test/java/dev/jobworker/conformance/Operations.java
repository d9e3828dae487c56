package dev.jobworker.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.jobworker.client.Frames;
import dev.jobworker.client.JobworkerClient;
import dev.jobworker.client.Page;
import dev.jobworker.client.ReadOptions;
import dev.jobworker.v1.Job;
import dev.jobworker.v1.LogStream;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.reflection.v1.ServerReflectionGrpc;
import io.grpc.reflection.v1.ServerReflectionRequest;
import io.grpc.reflection.v1.ServerReflectionResponse;
import io.grpc.stub.StreamObserver;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** What a step may ask for. */
final class Operations {
  private Operations() {}

  static JsonElement carryOut(JobworkerClient client, Step step) throws Exception {
    String op = step.text("op");
    return switch (op) {
      case "start" -> job(start(client, step));
      case "stop" -> job(client.stop(step.text("job"), Duration.ofMillis(step.number("grace_ms"))));
      case "get" -> job(client.get(step.text("job")));
      case "delete" -> job(client.delete(step.text("job")));
      case "list" -> page(client.list((int) step.number("page_size"), step.text("page_token")));
      case "list_all" -> walk(client.all((int) step.number("page_size")));
      case "read" -> read(client, step);
      case "follow" -> follow(client, step);
      case "health" -> health(client, step.text("service"));
      case "reflection" -> reflection(client);
      default -> throw new IllegalArgumentException("there is no op \"" + op + "\"");
    };
  }

  private static Job start(JobworkerClient client, Step step) {
    List<String> command = step.texts("command");
    return step.has("request_id")
        ? client.start(command, step.text("request_id"))
        : client.start(command);
  }

  private static JsonObject job(Job job) {
    JsonObject result = new JsonObject();
    result.add("job", JobFacts.of(job));
    return result;
  }

  private static JsonObject page(Page page) {
    JsonArray ids = new JsonArray();
    page.jobs().forEach(job -> ids.add(job.getId()));
    JsonObject result = new JsonObject();
    result.addProperty("count", ids.size());
    result.add("ids", ids);
    result.addProperty("next_page_token", page.nextPageToken());
    return result;
  }

  private static JsonObject walk(Iterable<Job> jobs) {
    List<String> ids = new ArrayList<>();
    jobs.forEach(job -> ids.add(job.getId()));
    Sha256 sum = new Sha256();
    sum.add(String.join("\n", ids).getBytes(StandardCharsets.UTF_8));
    JsonObject result = new JsonObject();
    result.addProperty("count", ids.size());
    result.addProperty("unique", new HashSet<>(ids).size());
    result.addProperty("ids_sha256", sum.hex());
    return result;
  }

  private static JsonObject read(JobworkerClient client, Step step) {
    ReadOptions options =
        ReadOptions.ALL
            .withOffset(step.number("offset"))
            .withFollow(step.flag("follow"))
            .withLimit(step.number("limit"));
    if (step.has("tail_lines")) {
      options = options.withTailLines(step.number("tail_lines"));
    }
    try (Frames frames = client.read(step.text("job"), stream(step), options)) {
      return Taking.all(frames, step).result();
    }
  }

  private static JsonObject follow(JobworkerClient client, Step step) {
    try (Frames frames = client.follow(step.text("job"), stream(step), step.number("offset"))) {
      Taking taken = Taking.all(frames, step);
      JsonObject result = taken.result();
      result.addProperty("resumes", taken.resumes());
      return result;
    }
  }

  /** Leaves it to the daemon to refuse what is no stream. */
  private static LogStream stream(Step step) {
    return switch (step.text("stream")) {
      case "stdout" -> LogStream.LOG_STREAM_STDOUT;
      case "stderr" -> LogStream.LOG_STREAM_STDERR;
      default -> LogStream.LOG_STREAM_UNSPECIFIED;
    };
  }

  private static JsonObject health(JobworkerClient client, String service) {
    HealthCheckRequest request = HealthCheckRequest.newBuilder().setService(service).build();
    JsonObject result = new JsonObject();
    result.addProperty(
        "status", HealthGrpc.newBlockingStub(client.channel()).check(request).getStatus().name());
    return result;
  }

  private static JsonObject reflection(JobworkerClient client) throws Exception {
    CompletableFuture<ServerReflectionResponse> first = new CompletableFuture<>();
    StreamObserver<ServerReflectionRequest> call =
        ServerReflectionGrpc.newStub(client.channel()).serverReflectionInfo(new First<>(first));
    call.onNext(ServerReflectionRequest.newBuilder().setListServices("").build());
    JsonArray names = new JsonArray();
    try {
      first.get().getListServicesResponse().getServiceList().stream()
          .map(service -> service.getName())
          .sorted()
          .forEach(names::add);
    } catch (ExecutionException e) {
      throw e.getCause() instanceof Exception cause ? cause : e;
    }
    call.onCompleted();
    JsonObject result = new JsonObject();
    result.add("services", names);
    return result;
  }

  /** Keeps the first answer of a stream. */
  private record First<T>(CompletableFuture<T> answer) implements StreamObserver<T> {
    @Override
    public void onNext(T value) {
      answer.complete(value);
    }

    @Override
    public void onError(Throwable cause) {
      answer.completeExceptionally(cause);
    }

    @Override
    public void onCompleted() {
      answer.completeExceptionally(new IllegalStateException("the stream ended without an answer"));
    }
  }
}
