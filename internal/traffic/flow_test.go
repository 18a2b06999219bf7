package traffic

import (
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/socket"
)

func TestWindow(t *testing.T) {
	for name, test := range map[string]struct {
		at   []int // seconds
		now  int
		want int
	}{
		"none":                      {nil, 0, 0},
		"in one slot":               {[]int{1, 2, 3}, 9, 3},
		"within a minute":           {[]int{1, 11, 21, 31, 41, 51}, 59, 6},
		"the first slot has passed": {[]int{1, 11, 21, 31, 41, 51}, 60, 5},
		"all have passed":           {[]int{1, 11, 51}, 111, 0},
		"an hour later":             {[]int{1, 3601}, 3602, 1},
		"clock set back a little":   {[]int{100, 75}, 100, 2},
		"clock set back an hour":    {[]int{3601, 3601, 1}, 2, 1},
		"set back without events":   {[]int{3601}, 2, 0},
		"before 1970":               {[]int{-100}, 0, 1},
	} {
		var w window
		start := time.Unix(0, 0)
		if name != "before 1970" {
			start = begin
		}
		for _, seconds := range test.at {
			w.add(start.Add(time.Duration(seconds) * time.Second))
		}
		if got := w.sum(start.Add(time.Duration(test.now) * time.Second)); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

func TestRoundTripTimes(t *testing.T) {
	var f flow
	if counted := f.publish(begin); counted.RTT != 0 || counted.MinRTT != 0 {
		t.Errorf("without a measurement: %v, %v", counted.RTT, counted.MinRTT)
	}
	add := func(microseconds ...time.Duration) {
		for _, rtt := range microseconds {
			f.add(&socket.Ended{At: begin, RTT: rtt * time.Microsecond}, false)
		}
	}
	add(1, 9, 5, 0)
	if counted := f.publish(begin); counted.RTT != 5*time.Microsecond || counted.MinRTT != time.Microsecond || counted.Opened != 4 {
		t.Errorf("%+v", counted)
	}
	for range latestRTTs { // they replace the earlier ones
		add(7)
	}
	if counted := f.publish(begin); counted.RTT != 7*time.Microsecond || counted.MinRTT != time.Microsecond {
		t.Errorf("median %v, least %v", counted.RTT, counted.MinRTT)
	}
	f.add(&socket.Ended{At: begin, RTT: 100 * time.Hour}, false) // more than fits
}

func TestRecentFigures(t *testing.T) {
	var f flow
	f.add(&socket.Ended{At: begin}, false)
	f.add(&socket.Ended{At: begin}, true)
	f.add(&socket.Ended{At: begin, Outcome: socket.Refused}, false)
	f.add(&socket.Ended{At: begin, Outcome: socket.Unanswered}, false)
	if counted := f.publish(after(1)); counted.Recent != 2 || counted.RecentFailed != 2 || counted.Opened != 1 {
		t.Errorf("%+v", counted)
	}
	if counted := f.publish(after(61)); counted.Recent != 0 || counted.RecentFailed != 0 {
		t.Errorf("a minute later: %+v", counted)
	}
}
