package session

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"wsify/internal/testtool"
)

// A webhook is an authorizer as an operator would write one, on net/http. It records
// the questions. Its methods may be called from any goroutine.
type webhook struct {
	URL string
	t   testing.TB

	mu     sync.Mutex
	heard  []question                               // guarded by mu, like the fields below
	answer func(w http.ResponseWriter, q question)  // never nil
	holds  map[*chan struct{}]func(q question) bool // which questions wait
}

// A question is one call of the webhook.
type question struct {
	command string
	body    string
	header  http.Header
	method  string
}

// newWebhook runs a webhook that answers with the status from a func; nil means 200.
func newWebhook(t testing.TB, status func(q question) int) *webhook {
	t.Helper()
	h := &webhook{t: t, holds: map[*chan struct{}]func(q question) bool{}}
	h.answerStatus(status)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	h.URL = srv.URL
	return h
}

// answerStatus changes the status of the answers from now on.
func (h *webhook) answerStatus(status func(q question) int) {
	h.answerWith(func(w http.ResponseWriter, q question) {
		if status != nil {
			w.WriteHeader(status(q))
		}
	})
}

// answerWith changes the func that answers from now on.
func (h *webhook) answerWith(answer func(w http.ResponseWriter, q question)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = answer
}

// ServeHTTP implements http.Handler.
func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the server closed the connection
	}
	q := question{body: string(body), header: r.Header, method: r.Method}
	var named struct{ Command string }
	_ = json.Unmarshal(body, &named)
	q.command = named.Command
	h.mu.Lock()
	h.heard = append(h.heard, q)
	answer := h.answer
	var gates []chan struct{}
	for gate, holds := range h.holds {
		if holds(q) {
			gates = append(gates, *gate)
		}
	}
	h.mu.Unlock()
	for _, gate := range gates {
		<-gate
	}
	answer(w, q)
}

// hold delays the questions for which is returns true, or all if is is nil, until the
// returned function is called or the test ends. The function may be called more than
// once. Call hold after start, so that no call is held when the server ends.
func (h *webhook) hold(is func(q question) bool) (release func()) {
	if is == nil {
		is = func(question) bool { return true }
	}
	gate := make(chan struct{})
	h.mu.Lock()
	h.holds[&gate] = is
	h.mu.Unlock()
	release = sync.OnceFunc(func() {
		h.mu.Lock()
		delete(h.holds, &gate)
		h.mu.Unlock()
		close(gate)
	})
	h.t.Cleanup(release)
	return release
}

// questions returns the questions so far about these commands, or about all.
func (h *webhook) questions(commands ...string) []question {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []question
	for _, q := range h.heard {
		if len(commands) == 0 || slices.Contains(commands, q.command) {
			found = append(found, q)
		}
	}
	return found
}

// forget forgets the questions so far, and their memory.
func (h *webhook) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard = nil
}

// awaitQuestions waits until there are n questions about this command, and returns
// them.
func (h *webhook) awaitQuestions(n int, command string) []question {
	h.t.Helper()
	testtool.Until(h.t, "the webhook is asked", func() bool { return len(h.questions(command)) >= n })
	return h.questions(command)
}

// is returns a func that matches questions about a command.
func is(command string) func(q question) bool {
	return func(q question) bool { return q.command == command }
}
