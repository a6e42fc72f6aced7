package doctor

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"wsify/auth"
	"wsify/internal/server"
)

// ofEvents is a configuration whose events go to this URL.
func ofEvents(url string) server.Config {
	return server.Config{Events: []string{"disconnect"}, EventsURL: url}
}

func TestWebhooksForEventsThatDoNotWorkWell(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   expected
	}{
		"200":          {status(200), expected{OK, "It takes an empty batch, with 200. It answers in ", ""}},
		"204":          {status(204), expected{OK, "It takes an empty batch, with 204.", ""}},
		"no such page": {status(404), expected{Warning, "It answers 404 to an empty batch. Events are lost with such an answer", ""}},
		"a redirect":   {status(307), expected{Warning, "It answers 307", ""}},
		"it is broken": {status(503), expected{Problem, "It is down: it answered 503 Service Unavailable.", ""}},
		"it closes":    {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }, expected{Warning, "closes connections after an answer", ""}},
		"no HTTP":      {func(w http.ResponseWriter, _ *http.Request) { hangUp(t, w) }, expected{Problem, "It is down: reset", ""}},
	} {
		s := httptest.NewServer(tc.answer)
		tc.want.compare(t, name, finding(t, examined(t, ofEvents(s.URL)), "events"))
		s.Close()
	}
	expected{Problem, "nothing listens on 127.0.0.1:1: is the webhook running? unreachable: dial tcp", ""}.compare(t, "nobody", finding(t, examined(t, ofEvents("http://127.0.0.1:1")), "events"))
}

func hangUp(t *testing.T, w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	_ = conn.Close()
}

// A receiver gets a batch as it expects it, in which nothing has happened. Without an address of its
// own it is the authorizer's, which has to take batches too. Without events nobody is asked.
func TestTheWebhookForEventsGetsAnEmptyBatch(t *testing.T) {
	var got atomic.Pointer[string]
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if text := r.UserAgent() + " " + string(body); text != questionOfDoctor {
			got.Store(&text)
			w.WriteHeader(403)
		}
	}))
	defer s.Close()
	r := examined(t, server.Config{AuthorizerURL: s.URL, Events: []string{"slow"}})
	expected{Warning, "It answers 403 to an empty batch", ""}.compare(t, "the authorizer", finding(t, r, "events"))
	expected{OK, "It allows", ""}.compare(t, "the authorizer", finding(t, r, "authorizer"))
	if want := `wsify-doctor {"batch":"wsify-doctor/1","events":[]}`; got.Load() == nil || *got.Load() != want {
		t.Errorf("it gets %v, want %s", got.Load(), want)
	}
	for _, f := range examined(t, server.Config{AuthorizerURL: s.URL}).Findings {
		if f.Check == "events" {
			t.Errorf("without events: %+v", f)
		}
	}
}

const questionOfDoctor = `wsify-doctor {"command":"connect","args":{"headers":{"User-Agent":["wsify-doctor"]},"query":{}}}`

func TestAnswersOfAWebhookForEvents(t *testing.T) {
	report := auth.Report{URL: "https://a.com/hook", Addr: "10.0.0.9:443", TLS: "TLS 1.3", Elapsed: 3 * time.Millisecond}
	fast := []time.Duration{9 * time.Millisecond, time.Millisecond, 2 * time.Millisecond}
	for name, tc := range map[string]struct {
		x    auth.Examination
		want expected
	}{
		"it is fast":        {auth.Examination{Report: report, Decision: auth.Allow, Took: fast, Kept: true}, expected{OK, "https://a.com/hook reached at 10.0.0.9:443 over TLS 1.3 in 3ms. It takes an empty batch, with 200. It answers in 1ms, at most 2ms.", ""}},
		"it is slow":        {auth.Examination{Report: report, Decision: auth.Allow, Took: []time.Duration{0, slowAnswer}, Kept: true}, expected{Warning, "That is slow", ""}},
		"plain HTTP to TLS": {auth.Examination{Report: report, Decision: auth.Deny, Cause: &auth.StatusError{Status: 400}, Hint: "it speaks TLS?", Took: fast, Kept: true}, expected{Problem, "400: it speaks TLS? It answers in", ""}},
		"it hangs":          {auth.Examination{Report: report, Decision: auth.Down, Cause: &auth.CallError{Result: auth.ResultTimeout}}, expected{Problem, "does not answer in time", ""}},
		"no such file":      {auth.Examination{Err: errors.New("no such file")}, expected{Problem, "no such file.", ""}},
	} {
		f := facts(t, nil, func(f *Facts) { f.Events = &tc.x })
		tc.want.compare(t, name, finding(t, Examine(f, asked), "events"))
	}
}
