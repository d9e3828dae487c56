package dev.jobworker.example;

import dev.jobworker.client.Frame;
import dev.jobworker.client.Frames;
import dev.jobworker.client.JobworkerClient;
import dev.jobworker.client.JobworkerException;
import dev.jobworker.v1.Job;
import dev.jobworker.v1.LogStream;
import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/** A tour of the API: starts jobs, follows one, stops one, lists all, and tells errors apart. */
public final class Example {
  private Example() {}

  /** Takes the daemon's host:port and the folder with the certificates, or does without. */
  public static void main(String[] args) {
    if (args.length > 2) {
      System.err.println("usage: Example [HOST:PORT [FOLDER]]");
      System.exit(1);
    }
    String address = args.length > 0 ? args[0] : "localhost:8080";
    Path certs = Path.of(args.length > 1 ? args[1] : "../../certs");
    try (JobworkerClient client =
        JobworkerClient.connect(
            address,
            certs.resolve("ca-cert.pem"),
            certs.resolve("client-cert.pem"),
            certs.resolve("client-key.pem"))) {
      tour(client);
    } catch (JobworkerException e) {
      System.err.println(advice(e));
      System.exit(1);
    } catch (IOException | IllegalArgumentException e) {
      System.err.println(e.getMessage());
      System.exit(1);
    }
  }

  private static void tour(JobworkerClient client) throws IOException {
    // Start sends a request id, so that the call can be repeated and there is one job all the same.
    Job lines = client.start(List.of("sh", "-c", "for i in 1 2 3; do echo line $i; sleep 1; done"));
    System.out.println("started " + lines.getId());
    // Restart the daemon meanwhile, with --state-dir, or cut the network: no line is lost or
    // repeated.
    try (Frames frames = client.follow(lines.getId(), LogStream.LOG_STREAM_STDOUT, 0)) {
      for (Frame frame : frames) {
        show(frame);
      }
    }
    Job sleeping = client.start(List.of("sleep", "3600"));
    Job stopped = client.stop(sleeping.getId(), Duration.ofSeconds(5));
    System.out.printf("stopped %s, by signal %d%n", stopped.getId(), stopped.getSignal());
    int count = 0;
    for (Job job : client.all(100)) {
      count += job.getId().isEmpty() ? 0 : 1;
    }
    System.out.printf("the daemon has %d jobs%n", count);
    try {
      client.start(List.of("no-such-program"));
    } catch (JobworkerException e) {
      System.out.println("to start no-such-program: " + advice(e));
    }
  }

  private static void show(Frame frame) throws IOException {
    if (frame instanceof Frame.Data data) {
      data.bytes().writeTo(System.out);
      System.out.flush();
    } else if (frame instanceof Frame.Gap gap) {
      System.out.printf("(bytes %d to %d are gone)%n", gap.from(), gap.to());
    } else if (frame instanceof Frame.Resumed resumed) {
      System.out.printf(
          "(resumed at byte %d after: %s)%n", resumed.offset(), resumed.cause().getMessage());
    } else if (frame instanceof Frame.End end) {
      System.out.printf("ended as %s with %d bytes%n", end.job().getState(), end.offset());
    }
  }

  /** Tells errors apart: by their code what may be done, by their reason what is the matter. */
  private static String advice(JobworkerException e) {
    if (e.reason().equals("PROGRAM_NOT_FOUND")) {
      return "the daemon's host has no such program: " + e.getMessage();
    }
    if (e.code() == Status.Code.PERMISSION_DENIED) {
      return "ask the operator for a role: " + e.getMessage();
    }
    if (e.code() == Status.Code.UNAVAILABLE) {
      return "see whether the daemon runs there and takes this certificate: " + e.getMessage();
    }
    return "%s %s: %s".formatted(e.reason(), e.field(), e.getMessage());
  }
}
