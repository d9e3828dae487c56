package dev.jobworker.conformance;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.jobworker.client.JobworkerClient;
import dev.jobworker.client.JobworkerException;
import io.grpc.Context;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * The driver of clients/conformance for this language: takes the steps of a scenario, does them
 * over one client, and returns their results, both as JSON.
 */
public final class Driver implements AutoCloseable {
  private static final Gson JSON =
      new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

  private final JobworkerClient client;
  private final ScheduledExecutorService deadlines = Executors.newScheduledThreadPool(1);

  private Driver(JobworkerClient client) {
    this.client = client;
  }

  /** Does the scenario on stdin. */
  public static void main(String[] args) throws Exception {
    String scenario = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
    System.out.write(run(scenario).getBytes(StandardCharsets.UTF_8));
    System.out.flush();
  }

  /**
   * Does a whole scenario. An exception is a fault of the scenario or of the driver, never what a
   * step came to.
   */
  static String run(String text) throws Exception {
    JsonObject scenario = JsonParser.parseString(text).getAsJsonObject();
    JsonArray results = new JsonArray();
    try (Driver driver = new Driver(connect(scenario))) {
      for (JsonElement fields : scenario.getAsJsonArray("steps")) {
        results.add(driver.step(new Step(fields.getAsJsonObject(), results)));
      }
    }
    JsonObject whole = new JsonObject();
    whole.add("results", results);
    return JSON.toJson(whole);
  }

  @Override
  public void close() {
    client.close();
    deadlines.shutdownNow();
  }

  private static JobworkerClient connect(JsonObject scenario) throws IOException {
    return JobworkerClient.connect(
        scenario.get("address").getAsString(),
        file(scenario, "ca"),
        file(scenario, "cert"),
        file(scenario, "key"));
  }

  private static Path file(JsonObject scenario, String name) {
    String path = scenario.get(name).getAsString();
    return path.isEmpty() ? null : Path.of(path);
  }

  private JsonObject step(Step step) throws Exception {
    JsonObject result = new JsonObject();
    try {
      result.add("ok", inTime(step));
    } catch (JobworkerException e) {
      result.add("error", facts(e));
    } catch (StatusRuntimeException e) {
      // From a stub of gRPC's own services.
      result.add("error", facts(JobworkerException.of(e)));
    }
    return result;
  }

  private JsonElement inTime(Step step) throws Exception {
    if (!step.has("deadline_ms")) {
      return Operations.carryOut(client, step);
    }
    Context.CancellableContext limited =
        Context.current()
            .withDeadlineAfter(step.number("deadline_ms"), TimeUnit.MILLISECONDS, deadlines);
    try {
      return limited.call(() -> Operations.carryOut(client, step));
    } finally {
      limited.cancel(null);
    }
  }

  private static JsonObject facts(JobworkerException e) {
    JsonObject facts = new JsonObject();
    facts.addProperty("code", e.code().name());
    facts.addProperty("reason", e.reason());
    facts.addProperty("field", e.field());
    facts.add("metadata", JSON.toJsonTree(e.metadata()));
    return facts;
  }
}
