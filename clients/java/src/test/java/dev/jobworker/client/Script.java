package dev.jobworker.client;

import dev.jobworker.fakedaemon.FakeDaemon;
import dev.jobworker.v1.ReadLogsRequest;
import dev.jobworker.v1.ReadLogsResponse;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** Answers each ReadLogs with the next of its answers, and keeps the requests. */
final class Script implements FakeDaemon.Reader {
  private final List<FakeDaemon.Reader> answers;
  private final List<ReadLogsRequest> requests = new CopyOnWriteArrayList<>();

  Script(FakeDaemon.Reader... answers) {
    this.answers = List.of(answers);
  }

  /** Sends frames, and ends well. */
  static FakeDaemon.Reader sends(ReadLogsResponse... frames) {
    return (request, call) -> List.of(frames).forEach(call::onNext);
  }

  /** Sends frames, and fails. */
  static FakeDaemon.Reader fails(Status.Code code, ReadLogsResponse... frames) {
    return (request, call) -> {
      List.of(frames).forEach(call::onNext);
      throw code.toStatus().withDescription("as the test has it").asRuntimeException();
    };
  }

  /** Sends frames, and waits until the call is cancelled or cut. */
  static FakeDaemon.Reader stands(ReadLogsResponse... frames) {
    return (request, call) -> {
      List.of(frames).forEach(call::onNext);
      FakeDaemon.awaitCancelled();
    };
  }

  @Override
  public void answer(ReadLogsRequest request, StreamObserver<ReadLogsResponse> call) {
    requests.add(request);
    if (requests.size() > answers.size()) {
      throw Status.INTERNAL.withDescription("the test has no more answers").asRuntimeException();
    }
    answers.get(requests.size() - 1).answer(request, call);
  }

  List<ReadLogsRequest> requests() {
    return requests;
  }

  List<Long> offsets() {
    return requests.stream().map(ReadLogsRequest::getOffset).toList();
  }
}
