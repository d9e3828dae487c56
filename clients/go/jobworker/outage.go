package jobworker

import "time"

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second

	// standing is after what time a call that then breaks counts as progress, even if the job wrote nothing meanwhile.
	standing = time.Second
)

// outage decides how long to wait for a broken connection, and when to give up; it reads no clock.
type outage struct {
	patience time.Duration
	since    time.Time // zero while all is well
	pauses   int
}

// over takes note of progress.
func (o *outage) over() {
	o.since, o.pauses = time.Time{}, 0
}

// stood takes note that a call broke which had reached the daemon and stood for some time.
func (o *outage) stood(duration time.Duration) {
	if duration >= standing {
		o.over()
	}
}

// pause returns how long to wait before the next attempt, or false to give up. Chance is a random number from 0 to 1, so
// that many clients do not come back at the same moment.
func (o *outage) pause(now time.Time, chance float64) (time.Duration, bool) {
	if o.since.IsZero() {
		o.since = now
	}
	if now.Sub(o.since) >= o.patience {
		return 0, false
	}
	longest := min(firstPause<<min(o.pauses, 10), longestPause)
	o.pauses++
	return time.Duration(float64(longest) * (1 + chance) / 2), true
}
