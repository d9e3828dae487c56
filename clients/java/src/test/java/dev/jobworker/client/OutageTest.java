package dev.jobworker.client;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class OutageTest {
  /** The pauses grow to a bound, each at least half of what it may be. */
  @Test
  void pausesGrowToABound() {
    Outage most = new Outage(Duration.ofHours(1));
    Outage least = new Outage(Duration.ofHours(1));
    for (long longest : new long[] {100, 200, 400, 800, 1600, 3200, 5000, 5000}) {
      assertEquals(Optional.of(Duration.ofMillis(longest)), most.pause(0, 1));
      assertEquals(Optional.of(Duration.ofMillis(longest / 2)), least.pause(0, 0));
    }
    for (int i = 0; i < 100; i++) {
      assertEquals(Optional.of(Outage.LONGEST_PAUSE), most.pause(0, 1));
    }
  }

  /** Patience is counted from the last progress: what came, or a call that stood. */
  @Test
  void patienceBeginsAnewWithProgress() {
    Outage outage = new Outage(Duration.ofMinutes(1));
    expect(outage, 0, true);
    expect(outage, 59, true);
    outage.stood(Outage.STANDING.minusNanos(1));
    expect(outage, 60, false);
    outage.stood(Outage.STANDING);
    expect(outage, 60, true);
    expect(outage, 119, true);
    outage.over();
    expect(outage, 120, true);
    expect(outage, 180, false);
  }

  private static void expect(Outage outage, long second, boolean more) {
    assertEquals(more, outage.pause(Duration.ofSeconds(second).toNanos(), 0).isPresent());
  }
}
