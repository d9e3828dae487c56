package dev.jobworker.client;

import java.util.Iterator;

/**
 * The frames of a read, for one {@code for} loop in one thread. {@code hasNext} waits for the next
 * frame and throws {@link JobworkerException}, which is then the last that comes; without one, the
 * last is {@link Frame.End}. To close it, from any thread, ends the call and never harms the job.
 */
public interface Frames extends Iterable<Frame>, AutoCloseable {
  /** Returns the frames; each call the same iterator. */
  @Override
  Iterator<Frame> iterator();

  /** Ends the call, if it has not ended. */
  @Override
  void close();
}
