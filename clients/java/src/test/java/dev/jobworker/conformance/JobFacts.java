package dev.jobworker.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.jobworker.v1.Job;

/** A job as the runner compares it. */
final class JobFacts {
  private JobFacts() {}

  static JsonObject of(Job job) {
    JsonArray command = new JsonArray();
    job.getCommandList().forEach(command::add);
    JsonObject facts = new JsonObject();
    facts.addProperty("id", job.getId());
    facts.add("command", command);
    facts.addProperty("state", job.getState().name().replaceFirst("^JOB_STATE_", ""));
    facts.addProperty("exit_code", job.hasExitCode() ? job.getExitCode() : null);
    facts.addProperty("signal", job.hasSignal() ? job.getSignal() : null);
    facts.addProperty("stdout_bytes", job.getStdoutBytes());
    facts.addProperty("stderr_bytes", job.getStderrBytes());
    facts.addProperty("owner", job.getOwner());
    facts.addProperty("principal", job.getPrincipal());
    facts.addProperty(
        "killed_processes",
        job.hasTermination() ? job.getTermination().getKilledProcesses() : null);
    facts.addProperty("lost", job.hasLost());
    facts.addProperty("started", job.hasStartTime());
    facts.addProperty("ended", job.hasEndTime());
    facts.addProperty("stop_requested", job.hasStopRequestTime());
    return facts;
  }
}
