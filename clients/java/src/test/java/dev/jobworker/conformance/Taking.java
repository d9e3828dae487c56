package dev.jobworker.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.jobworker.client.Frame;
import dev.jobworker.client.Frames;
import dev.jobworker.v1.Job;

/** What a read came to. */
final class Taking {
  private final Sha256 sum = new Sha256();
  private final JsonArray gaps = new JsonArray();
  private long bytes;
  private Long firstOffset;
  private Long endOffset;
  private Job job;
  private boolean cancelled;
  private boolean ordered = true;
  private Long due; // null until the first frame says where the reading begins
  private int resumes;

  private Taking() {}

  /** Reads to the end, or until it has as many bytes as the step is to be cancelled after. */
  static Taking all(Frames frames, Step step) {
    Taking taken = new Taking();
    for (Frame frame : frames) {
      taken.take(frame);
      if (step.has("cancel_after_bytes") && taken.bytes >= step.number("cancel_after_bytes")) {
        taken.cancelled = true;
        break;
      }
    }
    return taken;
  }

  int resumes() {
    return resumes;
  }

  JsonObject result() {
    JsonObject result = new JsonObject();
    result.addProperty("bytes", bytes);
    result.addProperty("sha256", sum.hex());
    result.addProperty("first_offset", firstOffset);
    result.addProperty("end_offset", endOffset);
    result.add("gaps", gaps);
    result.add("job", job == null ? null : JobFacts.of(job));
    result.addProperty("cancelled", cancelled);
    result.addProperty("ordered", ordered);
    return result;
  }

  private void take(Frame frame) {
    if (frame instanceof Frame.Data data) {
      expect(data.offset(), data.offset() + data.bytes().size());
      firstOffset = firstOffset == null ? Long.valueOf(data.offset()) : firstOffset;
      bytes += data.bytes().size();
      data.bytes().asReadOnlyByteBufferList().forEach(sum::add);
    } else if (frame instanceof Frame.Gap gap) {
      expect(gap.from(), gap.to());
      JsonArray pair = new JsonArray();
      pair.add(gap.from());
      pair.add(gap.to());
      gaps.add(pair);
    } else if (frame instanceof Frame.End end) {
      expect(end.offset(), end.offset());
      endOffset = end.offset();
      job = end.job();
    } else {
      resumes++;
    }
  }

  private void expect(long from, long to) {
    ordered = ordered && (due == null || due == from);
    due = to;
  }
}
