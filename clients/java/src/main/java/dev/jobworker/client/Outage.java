package dev.jobworker.client;

import java.time.Duration;
import java.util.Optional;

/** Decides how long to wait for a broken connection, and when to give up; reads no clock. */
final class Outage {
  static final Duration FIRST_PAUSE = Duration.ofMillis(100);
  static final Duration LONGEST_PAUSE = Duration.ofSeconds(5);

  /** After what time a call that then breaks is progress, even if the job wrote nothing. */
  static final Duration STANDING = Duration.ofSeconds(1);

  private final Duration patience;
  private Long sinceNanos; // null while all is well
  private int pauses;

  Outage(Duration patience) {
    this.patience = patience;
  }

  Duration patience() {
    return patience;
  }

  /** Takes note of progress. */
  void over() {
    sinceNanos = null;
    pauses = 0;
  }

  /** Takes note that a call broke which had reached the daemon and stood for some time. */
  void stood(Duration duration) {
    if (duration.compareTo(STANDING) >= 0) {
      over();
    }
  }

  /**
   * Returns how long to wait before the next attempt, or nothing to give up.
   *
   * @param nowNanos the time, as of {@link System#nanoTime}
   * @param chance a random number from 0 to 1, so that many clients do not come back at the same
   *     moment
   */
  Optional<Duration> pause(long nowNanos, double chance) {
    if (sinceNanos == null) {
      sinceNanos = nowNanos;
    }
    if (nowNanos - sinceNanos >= patience.toNanos()) {
      return Optional.empty();
    }
    long longest = Math.min(FIRST_PAUSE.toNanos() << Math.min(pauses, 10), LONGEST_PAUSE.toNanos());
    pauses++;
    return Optional.of(Duration.ofNanos((long) (longest * (1 + chance) / 2)));
  }
}
