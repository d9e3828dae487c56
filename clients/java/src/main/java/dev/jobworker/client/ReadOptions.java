package dev.jobworker.client;

import java.util.OptionalLong;

/**
 * What a read reads.
 *
 * @param offset the first byte wanted
 * @param follow whether to wait for more output at the end of what there is now, until the stream
 *     is final
 * @param tailLines if present, how many lines before the end to begin, in place of at the offset
 * @param limit the most bytes to read; zero is no limit
 */
public record ReadOptions(long offset, boolean follow, OptionalLong tailLines, long limit) {
  /** All that there is now. */
  public static final ReadOptions ALL = new ReadOptions(0, false, OptionalLong.empty(), 0);

  /** Returns these options with another offset. */
  public ReadOptions withOffset(long other) {
    return new ReadOptions(other, follow, tailLines, limit);
  }

  /** Returns these options with or without waiting for more. */
  public ReadOptions withFollow(boolean other) {
    return new ReadOptions(offset, other, tailLines, limit);
  }

  /** Returns these options with a beginning so many lines before the end. */
  public ReadOptions withTailLines(long lines) {
    return new ReadOptions(offset, follow, OptionalLong.of(lines), limit);
  }

  /** Returns these options with another limit. */
  public ReadOptions withLimit(long other) {
    return new ReadOptions(offset, follow, tailLines, other);
  }
}
