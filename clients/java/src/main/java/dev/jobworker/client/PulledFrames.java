package dev.jobworker.client;

import java.util.Iterator;
import java.util.NoSuchElementException;

/** Frames that are pulled one by one, until the end or an error. */
abstract class PulledFrames implements Frames {
  private final Iterator<Frame> iterator = new Pulling();

  /** Waits for the next frame and returns it; not called after an end or an error. */
  abstract Frame pull();

  @Override
  public final Iterator<Frame> iterator() {
    return iterator;
  }

  private final class Pulling implements Iterator<Frame> {
    private Frame due; // null if it is not yet known
    private boolean over;

    @Override
    public boolean hasNext() {
      if (due == null && !over) {
        over = true;
        due = pull();
        over = due instanceof Frame.End;
      }
      return due != null;
    }

    @Override
    public Frame next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      Frame frame = due;
      due = null;
      return frame;
    }
  }
}
