use std::time::Duration;

use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// After what time a call that then breaks counts as progress, even if the job wrote nothing meanwhile.
const STANDING: Duration = Duration::from_secs(1);

/// Decides how long to wait for a broken connection, and when to give up; it reads no clock.
#[derive(Debug, Clone)]
pub(crate) struct Outage {
    patience: Duration,
    since: Option<Instant>,
    pauses: u32,
}

impl Outage {
    pub(crate) fn new(patience: Duration) -> Outage {
        Outage { patience, since: None, pauses: 0 }
    }

    /// Takes note of progress.
    pub(crate) fn over(&mut self) {
        (self.since, self.pauses) = (None, 0);
    }

    /// Takes note that a call broke which had reached the daemon and stood for some time.
    pub(crate) fn stood(&mut self, duration: Duration) {
        if duration >= STANDING {
            self.over();
        }
    }

    /// Returns how long to wait before the next attempt, or `None` to give up. Chance is a random number from 0 to 1, so
    /// that many clients do not come back at the same moment.
    pub(crate) fn pause(&mut self, now: Instant, chance: f64) -> Option<Duration> {
        let since = *self.since.get_or_insert(now);
        if now - since >= self.patience {
            return None;
        }
        let longest = (FIRST_PAUSE * (1 << self.pauses.min(10))).min(LONGEST_PAUSE);
        self.pauses += 1;
        Some(longest.mul_f64((1.0 + chance) / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses grow to a bound, each at least half of what it may be.
    #[test]
    fn pauses_grow_to_a_bound() {
        let now = Instant::now();
        let mut outage = Outage::new(Duration::from_secs(3600));
        for longest in [100, 200, 400, 800, 1600, 3200, 5000, 5000].map(Duration::from_millis) {
            assert_eq!(outage.clone().pause(now, 0.0), Some(longest / 2));
            assert_eq!(outage.pause(now, 1.0), Some(longest));
        }
        outage.pauses = 1 << 20;
        assert_eq!(outage.pause(now, 1.0), Some(LONGEST_PAUSE));
    }

    /// Patience is counted from the last progress: what came, or a call that stood.
    #[test]
    fn patience_begins_anew_with_progress() {
        let start = Instant::now();
        let mut outage = Outage::new(Duration::from_secs(60));
        let more = |outage: &mut Outage, second| outage.pause(start + Duration::from_secs(second), 0.0).is_some();
        assert!(more(&mut outage, 0));
        assert!(more(&mut outage, 59));
        outage.stood(STANDING - Duration::from_nanos(1));
        assert!(!more(&mut outage, 60));
        outage.stood(STANDING);
        assert!(more(&mut outage, 60));
        assert!(more(&mut outage, 119));
        outage.over();
        assert!(more(&mut outage, 120));
        assert!(!more(&mut outage, 180));
    }
}
