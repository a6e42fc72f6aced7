package operate

import (
	"encoding/json"
	"errors"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"wsify/internal/testtool"
)

// pointsOf samples source at these seconds and returns the points, by name of their values.
func pointsOf(t *testing.T, a *Admin, each func(i int), seconds ...float64) (points []map[string]float64) {
	t.Helper()
	a.sampler.charts.board = a.board
	start := time.Now()
	for i, second := range seconds {
		each(i)
		a.sampler.sample(a.source, start.Add(time.Duration(second*float64(time.Second))))
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/events", nil)
	a.board.Events(firstEvent{w}, r)
	var got struct {
		Names  []string
		Points [][]*float64
	}
	_, data, _ := strings.Cut(w.Body.String(), "data: ")
	if err := json.Unmarshal([]byte(data), &got); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	for _, values := range got.Points {
		p := map[string]float64{}
		for i, name := range got.Names {
			p[name] = math.NaN()
			if v := values[i+1]; v != nil {
				p[name] = *v
			}
		}
		points = append(points, p)
	}
	return points
}

// firstEvent cannot flush, so a stream ends behind its first event.
type firstEvent struct{ *httptest.ResponseRecorder }

func (firstEvent) Flush()            {}
func (firstEvent) FlushError() error { return errors.New("one event only") }

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-4*math.Abs(want) }

func TestCountersAreRatesInPoints(t *testing.T) {
	source := &testSource{stats: zeros(), stuck: []bool{false}}
	points := pointsOf(t, newTestAdmin(source), func(i int) {
		st := &source.stats
		st.Net.Connections, st.Sent = int64(10*i), uint64(100*i)
		st.Dropped = map[string]uint64{"slow_consumer": uint64(6 * i)}
		st.Authorizer = map[string]map[string]uint64{"join": {"allow": uint64(2 * i)}, "connect": {"allow": uint64(4 * i)}}
		st.Broker = engine()
		st.Broker.Received = uint64(8 * i)
	}, 0, 2)
	if len(points) != 1 {
		t.Fatalf("%d points of two readings, want one", len(points))
	}
	for name, want := range map[string]float64{
		"connections": 10, "sent": 50, "dropped.slow_consumer": 3, "authorizer.allow": 3, "broker_received": 4, "broker_up": 1, "broker_backlog_bytes": 6,
	} {
		if got, ok := points[0][name]; !ok || !near(got, want) {
			t.Errorf("%s is %v, %v; want %v", name, got, ok, want)
		}
	}
	for _, name := range []string{"resident_bytes", "heap_bytes"} {
		if points[0][name] <= 0 {
			t.Errorf("%s is %v", name, points[0][name])
		}
	}
}

// TestPointsHaveNothingOfAnAuthorizerThatThereIsNot, so the page has no empty charts of it.
func TestPointsHaveNothingOfAnAuthorizerThatThereIsNot(t *testing.T) {
	for _, there := range []bool{false, true} {
		source := &testSource{stats: zeros(), stuck: []bool{false}}
		source.stats.HasAuthorizer = there
		points := pointsOf(t, newTestAdmin(source), func(int) {}, 0, 1)
		for _, name := range []string{"authorizer.allow", "authorizer_inflight", "authorizer_p50", "authorizer_p99", "queue_depth"} {
			if _, got := points[0][name]; got != there {
				t.Errorf("authorizer %t: %s is there: %t", there, name, got)
			}
		}
	}
}

// TestDurationsOfPoints are of the last interval only, and unknown when there was nothing.
func TestDurationsOfPoints(t *testing.T) {
	source := &testSource{stats: zeros(), stuck: []bool{false}}
	a := newTestAdmin(source)
	points := pointsOf(t, a, func(i int) {
		switch i {
		case 0:
			a.sampler.Asked(5 * time.Second) // before the first interval
		case 1:
			for range 4 {
				a.sampler.Asked(3 * time.Millisecond)
			}
			a.sampler.Lagged(4 * time.Millisecond)
			a.sampler.Lagged(time.Millisecond)
		}
	}, 0, 1, 2)
	if got, want := points[0]["authorizer_p50"], .00375; !near(got, want) { // the middle of the bucket from 2.5 to 5 ms
		t.Errorf("p50 is %v, want %v", got, want)
	}
	if got := points[0]["loop_lag"]; !near(got, .004) {
		t.Errorf("the longest lag is %v, want 0.004", got)
	}
	if got := points[1]["authorizer_p50"]; !math.IsNaN(got) {
		t.Errorf("p50 of no call is %v, want unknown", got)
	}
	if got := points[1]["loop_lag"]; got != 0 {
		t.Errorf("the lag is %v, want 0", got)
	}
}

// TestALoopThatHangsIsInPoints and metrics: it gives no sign that could be measured.
func TestALoopThatHangsIsInPoints(t *testing.T) {
	source := &testSource{stats: zeros(), stuck: []bool{false, true}}
	a := newTestAdmin(source)
	points := pointsOf(t, a, func(int) {}, 0, 1, 2.5)
	for i, want := range []float64{1, 2.5} {
		if got := points[i]["loop_lag"]; !near(got, want) {
			t.Errorf("point %d: the lag is %v, want %v", i, got, want)
		}
	}
	if got := samples(t, a)["loop_unanswered_seconds"]; got != 2.5 {
		t.Errorf("loop_unanswered_seconds is %v, want 2.5", got)
	}
}

func TestAValueAboveAllBucketsIsTheLastBound(t *testing.T) {
	s := NewSampler(false)
	before := read(s.asking)
	s.Asked(time.Hour)
	if got := quantile(.99, read(s.asking), before); got != 10 {
		t.Errorf("p99 is %v, want 10", got)
	}
}

func TestBrowsersGetThePage(t *testing.T) {
	a := newTestAdmin(&testSource{stats: zeros()})
	for accept, want := range map[string]string{"": "text/plain", "*/*": "text/plain", "text/html,application/xhtml+xml;q=0.9": "text/html"} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", accept)
		a.handler().ServeHTTP(w, r)
		if got := w.Header().Get("Content-Type"); w.Code != 200 || !strings.HasPrefix(got, want) || w.Header().Get("Vary") != "Accept" {
			t.Errorf("Accept %q: %d, %s, Vary %q; want %s", accept, w.Code, got, w.Header().Get("Vary"), want)
		}
	}
}

// TestTheSamplerAddsAPoint of a real second, and ends its goroutine.
func TestTheSamplerAddsAPoint(t *testing.T) {
	source := &testSource{stats: zeros(), stuck: []bool{false}}
	a := newTestAdmin(source)
	a.sampler.Start(source, a.board)
	testtool.Until(t, "there is a point", func() bool {
		w := httptest.NewRecorder()
		a.board.Events(firstEvent{w}, httptest.NewRequest("GET", "/events", nil))
		return !strings.Contains(w.Body.String(), `"points":[]`)
	})
	a.sampler.Stop()
}

// timeAfter returns a time a second after the latest reading.
func timeAfter(a *Admin) time.Time {
	if a.sampler.charts.before == nil {
		return time.Now()
	}
	return a.sampler.charts.before.at.Add(time.Second)
}

// chanWriter sends each event to a channel.
type chanWriter struct {
	*httptest.ResponseRecorder
	events chan<- string
}

func (w chanWriter) Write(p []byte) (int, error) {
	w.events <- string(p)
	return len(p), nil
}
