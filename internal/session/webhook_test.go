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

// A webhook is an authorizer as an operator would write one, on net/http. It keeps
// what it was asked. Its methods may be called from any goroutine.
type webhook struct {
	URL string
	t   testing.TB

	mu     sync.Mutex
	heard  []question                               // guarded by mu, as is what follows
	answer func(w http.ResponseWriter, q question)  // never nil
	holds  map[*chan struct{}]func(q question) bool // questions that wait
}

// A question is one call of the webhook.
type question struct {
	command string
	body    string
	header  http.Header
	method  string
}

// newWebhook runs a webhook that answers with a status. Nil answers 200.
func newWebhook(t testing.TB, status func(q question) int) *webhook {
	t.Helper()
	h := &webhook{t: t, holds: map[*chan struct{}]func(q question) bool{}}
	h.answerStatus(status)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	h.URL = srv.URL
	return h
}

// answerStatus changes what is answered from now on.
func (h *webhook) answerStatus(status func(q question) int) {
	h.answerWith(func(w http.ResponseWriter, q question) {
		if status != nil {
			w.WriteHeader(status(q))
		}
	})
}

// answerWith changes who answers from now on.
func (h *webhook) answerWith(answer func(w http.ResponseWriter, q question)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = answer
}

// ServeHTTP implements http.Handler.
func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the server hung up
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

// hold lets questions wait for which is says so, until the returned function is
// called (more than once is fine) or the test ends. Nil is every question. Call it
// after start, so that the server's end finds no call held.
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

// questions returns what was asked so far, of these commands or of all.
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

// awaitQuestions waits until so many questions of this command were asked, and
// returns them.
func (h *webhook) awaitQuestions(n int, command string) []question {
	h.t.Helper()
	testtool.Until(h.t, "the webhook is asked", func() bool { return len(h.questions(command)) >= n })
	return h.questions(command)
}

// is matches questions about a command.
func is(command string) func(q question) bool {
	return func(q question) bool { return q.command == command }
}
