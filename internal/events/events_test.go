package events

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"wsify/internal/logs"
	"wsify/internal/testtool"
)

// post is what a receiver got.
type post struct {
	Batch  string
	Events []got
	header http.Header
}

// got is an event as it is read by others.
type got struct {
	Event, Connection, User, Address, Channel, Reason, Node string
	Code                                                    int
	Seconds                                                 *float64
	Time                                                    time.Time
}

// receiver is a webhook for events. Each request is noted before it is answered.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	posts []post
}

// startReceiver starts a receiver that answers as answer does, or with 200.
func startReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		p := post{header: req.Header}
		if err := json.Unmarshal(body, &p); err != nil || req.Method != "POST" {
			t.Errorf("%s with %q: %v", req.Method, body, err)
		}
		r.mu.Lock()
		r.posts = append(r.posts, p)
		r.mu.Unlock()
		if answer != nil {
			answer(w, req)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) got() []post {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.posts[:len(r.posts):len(r.posts)]
}

// events returns the events of all posts, in order.
func (r *receiver) events() (all []got) {
	for _, p := range r.got() {
		all = append(all, p.Events...)
	}
	return all
}

// open returns a Sender of all kinds that is not started, with short times.
func open(t *testing.T, url string, kinds ...string) (*Sender, *testtool.Log) {
	t.Helper()
	book := &testtool.Log{}
	if len(kinds) == 0 {
		kinds = kindNames[:]
	}
	s, err := Open(Config{Kinds: kinds, URL: url, Timeout: testtool.Patience, Node: "n", Logger: slog.New(logs.Seldom(book.Logger().Handler()))})
	if err != nil {
		t.Fatal(err)
	}
	s.every, s.pause = 10*time.Millisecond, 10*time.Millisecond
	return s, book
}

// sum checks that each of n events is counted as taken or lost, and returns how many were taken.
func sum(t *testing.T, s *Sender, n int) (sent int) {
	t.Helper()
	st := s.Stats()
	for _, of := range st.Sent {
		sent += int(of)
	}
	all := sent
	for _, of := range st.Lost {
		all += int(of)
	}
	if all != n || st.Waiting != 0 {
		t.Errorf("%d of %d events are counted, and %d wait: %+v", all, n, st.Waiting, st)
	}
	return sent
}

func ended(n int) *Event {
	return &Event{Kind: Disconnect, Connection: fmt.Sprint(n), Code: 1006, Reason: "reset", Time: time.Now()}
}

func TestEventsAreSentAsTheContractSays(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, nil)
	s, _ := open(t, r.URL)
	seconds, at := 0.0, time.Date(2026, 5, 4, 3, 2, 1, 987654321, time.FixedZone("", 3600))
	s.Add(&Event{Kind: Disconnect, Connection: "n-1", User: "ann", Address: "[::1]:2", Code: 1006, Reason: "reset", Seconds: &seconds, Time: at})
	s.Start()
	s.Stop(time.Now().Add(testtool.Patience))
	if sum(t, s, 1) != 1 || len(r.got()) != 1 {
		t.Fatalf("got %v", r.got())
	}
	p := r.got()[0]
	if p.header.Get("Content-Type") != "application/json" || p.Batch != "n/1" {
		t.Errorf("batch %q with %v", p.Batch, p.header)
	}
	e := p.Events[0]
	if e.Seconds == nil || *e.Seconds != 0 {
		t.Errorf("seconds is %v, want 0", e.Seconds)
	}
	e.Seconds = nil
	if want := (got{Event: "disconnect", Connection: "n-1", User: "ann", Address: "[::1]:2", Code: 1006, Reason: "reset", Node: "n",
		Time: time.Date(2026, 5, 4, 2, 2, 1, 987000000, time.UTC)}); e != want {
		t.Errorf("got %+v, want %+v", e, want)
	}
}

func TestABatchHasAtMostAHundredEvents(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, nil)
	s, _ := open(t, r.URL)
	s.every = time.Hour // only full batches are sent before Stop
	for i := range 2*maxBatch + 1 {
		s.Add(ended(i))
	}
	s.Start()
	testtool.Until(t, "two full batches", func() bool { return len(r.got()) == 2 })
	s.Stop(time.Now().Add(testtool.Patience))
	posts := r.got()
	if len(posts) != 3 || len(posts[0].Events) != maxBatch || len(posts[1].Events) != maxBatch || len(posts[2].Events) != 1 {
		t.Fatalf("%d batches", len(posts))
	}
	for i, e := range r.events() {
		if e.Connection != fmt.Sprint(i) {
			t.Fatalf("event %d is that of %s", i, e.Connection)
		}
	}
}

func TestFewEventsAreSentAfterTheInterval(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, nil)
	s, _ := open(t, r.URL)
	s.Start()
	s.Add(ended(1))
	testtool.Until(t, "one event", func() bool { return len(r.events()) == 1 })
	s.Stop(time.Now().Add(testtool.Patience))
	sum(t, s, 1)
}

func TestTheStartSaysWhetherTheWebhookIsReached(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, nil)
	s, book := open(t, r.URL+"/path?secret")
	s.Check()
	r.Close()
	s.Check()
	text := book.String()
	if !strings.Contains(text, "is reached") || !strings.Contains(text, "cannot be reached") || strings.Contains(text, "secret") || strings.Contains(text, "authorizer") {
		t.Errorf("the log is %s", text)
	}
}

func TestAWebhookThatIsUnreachableLosesEvents(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, nil)
	r.Close()
	s, book := open(t, r.URL)
	s.Add(ended(1))
	s.Start()
	testtool.Until(t, "it is lost", func() bool { return s.Stats().Lost["no_answer"] == 1 })
	s.Stop(time.Now().Add(testtool.Patience))
	if text := book.String(); !strings.Contains(text, "unreachable") || strings.Contains(text, "authorizer") {
		t.Errorf("the log is %s", text)
	}
}

// A storm: the webhook hangs, so the queue fills. Nobody waits, one POST is under way at a time, and
// each event is taken once or counted as lost.
func TestAStormFillsTheQueueAndIsCounted(t *testing.T) {
	t.Parallel()
	const storm = 20_000
	first, goOn := make(chan struct{}), make(chan struct{})
	var busy, once sync.Mutex
	r := startReceiver(t, func(http.ResponseWriter, *http.Request) {
		if !busy.TryLock() {
			t.Error("two POSTs at once")
			return
		}
		defer busy.Unlock()
		if once.TryLock() {
			close(first)
			<-goOn
		}
	})
	s, _ := open(t, r.URL)
	s.Start()
	for i := range maxBatch {
		s.Add(ended(i))
	}
	<-first
	var adding sync.WaitGroup
	for loop := range 4 {
		adding.Go(func() {
			for i := range storm / 4 {
				s.Add(ended(maxBatch + loop*storm/4 + i))
			}
		})
	}
	adding.Wait()
	if st := s.Stats(); st.Waiting > maxQueue || st.Waiting < maxQueue-maxBatch {
		t.Errorf("%d events wait", st.Waiting)
	}
	close(goOn)
	s.Stop(time.Now().Add(testtool.Patience))
	if sent := sum(t, s, maxBatch+storm); sent < maxQueue || sent != len(r.events()) {
		t.Errorf("%d events were taken, and the webhook has %d: %+v", sent, len(r.events()), s.Stats())
	}
	seen := map[string]bool{}
	for _, e := range r.events() {
		if seen[e.Connection] {
			t.Fatalf("the event of %s came twice", e.Connection)
		}
		seen[e.Connection] = true
	}
}

func TestStopEndsInTimeAndCountsWhatIsLeft(t *testing.T) {
	t.Parallel()
	hangs, goOn := make(chan struct{}, 1), make(chan struct{})
	r := startReceiver(t, func(http.ResponseWriter, *http.Request) { hangs <- struct{}{}; <-goOn })
	defer close(goOn)
	s, book := open(t, r.URL)
	for i := range 3*maxBatch + 7 {
		s.Add(ended(i))
	}
	s.Channels().Unsubscribe("c")
	s.Start()
	<-hangs
	began := time.Now()
	s.Stop(began.Add(50 * time.Millisecond))
	if took := time.Since(began); took > testtool.Patience/2 {
		t.Errorf("it took %v", took)
	}
	if sent := sum(t, s, 3*maxBatch+8); sent != 0 || s.Stats().Lost["shutdown"] != 3*maxBatch+8 {
		t.Errorf("%+v", s.Stats())
	}
	text := book.String() // the batch under way may have a line of its own
	if !strings.Contains(text, "the shutdown left no time for them") || !strings.Contains(text, "events=308") && !strings.Contains(text, "events=208") {
		t.Errorf("the log does not say how many are lost: %s", text)
	}
}

func TestNoKindsIsNoSender(t *testing.T) {
	t.Parallel()
	s, err := Open(Config{})
	if s != nil || err != nil {
		t.Fatal(s, err)
	}
	s.Start()
	if s.Wants(Disconnect) || s.Channels() != nil || s.Stats().Sent != nil {
		t.Error("a nil Sender wants something")
	}
	s.Stop(time.Now())
}

func TestOnlyTheKindsThatWereAskedForAreSent(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, nil)
	s, _ := open(t, r.URL, "kicked", "slow")
	for kind := range numKinds {
		s.Add(&Event{Kind: kind})
	}
	s.Start()
	s.Stop(time.Now().Add(testtool.Patience))
	if all := r.events(); sum(t, s, 2) != 2 || len(all) != 2 || all[0].Event != "slow" || all[1].Event != "kicked" || s.Channels() != nil {
		t.Errorf("got %v", all)
	}
}

func TestAnUnknownKindIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := Open(Config{Kinds: []string{"connect"}, URL: "http://a"}); err == nil || !strings.Contains(err.Error(), "disconnect, occupied") {
		t.Error(err)
	}
}
