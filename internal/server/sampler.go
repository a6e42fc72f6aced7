package server

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// sampleInterval is how often the durations are sampled that would cost too much
// to take each time.
const sampleInterval = time.Second

// sampler measures durations. How long a loop takes to do what is posted to it, and
// how long a publication takes to be given to all members, are sampled: once in an
// interval, and only while there is an admin listener to show them. Its methods may
// be called from any goroutine.
type sampler struct {
	epoch time.Time   // immutable; stamps count from here
	due   atomic.Bool // the next publication is to be timed

	asking     prometheus.Histogram // calls to the authorizer, all of them
	publishing prometheus.Histogram // publications that an engine took, all of them
	fanout     prometheus.Histogram
	lag        prometheus.Histogram

	stopOnce sync.Once
	stopping chan struct{}
	running  sync.WaitGroup
}

func newSampler() *sampler {
	return &sampler{
		epoch: time.Now(), stopping: make(chan struct{}),
		asking: newHistogram("authorizer_duration_seconds", "How long calls to the authorizer took.",
			.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10),
		publishing: newHistogram("broker_publish_duration_seconds", "From a publication to the engine's answer, of those that it took.",
			.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5),
		fanout: newHistogram("broadcast_fanout_seconds",
			"From the moment a publication is taken until an event loop has given it to the last of its members; of one publication a second at most.",
			.00001, .000025, .0001, .00025, .001, .0025, .01, .025, .1, .25, 1, 2.5, 10),
		lag: newHistogram("loop_lag_seconds", "How long a task waits for its event loop; sampled once a second for each loop.",
			.00001, .000025, .0001, .00025, .001, .0025, .01, .025, .1, .25, 1, 2.5, 10),
	}
}

func newHistogram(name, help string, bounds ...float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: metricPrefix + name, Help: help, Buckets: bounds})
}

func (s *sampler) published(took time.Duration) { s.publishing.Observe(took.Seconds()) }

// start begins to sample the loops and their deliveries.
func (s *sampler) start(loops []*loop) {
	s.running.Go(func() {
		tick := time.NewTicker(sampleInterval)
		defer tick.Stop()
		for {
			s.due.Store(true)
			for _, l := range loops {
				l.askPulse()
			}
			select {
			case <-s.stopping:
				return
			case <-tick.C:
			}
		}
	})
}

// stop returns when nothing is sampled any more. It may be called more than once.
func (s *sampler) stop() {
	s.stopOnce.Do(func() { close(s.stopping) })
	s.running.Wait()
}

// stamp returns the time for a publication that is to be timed, else 0: the first one
// in an interval, also when it turns out to have nobody to go to. It costs the others a
// look at a flag.
func (s *sampler) stamp() int64 {
	if !s.due.Load() || !s.due.CompareAndSwap(true, false) {
		return 0
	}
	return int64(max(time.Since(s.epoch), 1))
}

// delivered takes the time of a publication that a loop has given to all its members.
func (s *sampler) delivered(stamp int64) {
	s.fanout.Observe((time.Since(s.epoch) - time.Duration(stamp)).Seconds())
}

// pulse is a question to a loop whether it is alive. At most one is under way, so a
// loop that is stuck is not sent more and more of them.
type pulse struct {
	mu     sync.Mutex    // a leaf lock
	answer chan struct{} // closed by the loop; nil while nothing is asked; guarded by mu
}

// askPulse asks the loop for a sign of life, unless that is under way, and returns
// what is closed when it comes. On a loop that has ended it never is.
func (l *loop) askPulse() <-chan struct{} {
	l.pulse.mu.Lock()
	answer, asked := l.pulse.answer, l.pulse.answer != nil
	if !asked {
		answer = make(chan struct{})
		l.pulse.answer = answer
	}
	l.pulse.mu.Unlock()
	if asked {
		return answer
	}
	began := time.Now()
	l.net.Post(func() {
		l.srv.sampler.lag.Observe(time.Since(began).Seconds())
		l.pulse.mu.Lock()
		l.pulse.answer = nil
		l.pulse.mu.Unlock()
		close(answer)
	})
	return answer
}
