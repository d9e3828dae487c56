package jobworker

import (
	"testing"
	"time"
)

// The pauses grow to a bound, each at least half of what it may be.
func TestPausesGrowToABound(t *testing.T) {
	o := outage{patience: time.Hour}
	for _, longest := range []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000} {
		least := o
		if pause, more := least.pause(time.Unix(0, 0), 0); !more || pause != longest*time.Millisecond/2 {
			t.Errorf("%s is not half of %d ms", pause, longest)
		}
		if pause, more := o.pause(time.Unix(0, 0), 1); !more || pause != longest*time.Millisecond {
			t.Errorf("%s is not %d ms", pause, longest)
		}
	}
	o.pauses = 1 << 20
	if pause, _ := o.pause(time.Unix(0, 0), 1); pause != longestPause {
		t.Errorf("after very many it is %s", pause)
	}
}

// Patience is counted from the last progress: what came, or a call that stood.
func TestPatienceBeginsAnewWithProgress(t *testing.T) {
	o := outage{patience: time.Minute}
	expect := func(second int64, more bool) {
		t.Helper()
		if _, got := o.pause(time.Unix(second, 0), 0); got != more {
			t.Errorf("at %d s it is %t", second, got)
		}
	}
	expect(0, true)
	expect(59, true)
	o.stood(standing - 1)
	expect(60, false)
	o.stood(standing)
	expect(60, true)
	expect(119, true)
	o.over()
	expect(120, true)
	expect(180, false)
}
