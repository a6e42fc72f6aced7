package events

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"wsify/internal/testtool"
)

func TestAFailedBatchIsTriedOnceMore(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		answer func(w http.ResponseWriter, try int)
		tries  int
		lost   string // the reason; empty: it was taken
	}{
		{"202", func(w http.ResponseWriter, _ int) { w.WriteHeader(202) }, 1, ""},
		{"204", func(w http.ResponseWriter, _ int) { w.WriteHeader(204) }, 1, ""},
		{"299", func(w http.ResponseWriter, _ int) { w.WriteHeader(299) }, 1, ""},
		{"500 and then 200", func(w http.ResponseWriter, try int) {
			if try == 1 {
				w.WriteHeader(500)
			}
		}, 2, ""},
		{"500 twice", func(w http.ResponseWriter, _ int) { w.WriteHeader(500) }, 2, "refused"},
		{"300", func(w http.ResponseWriter, _ int) { w.WriteHeader(300) }, 2, "refused"},
		{"a redirect", func(w http.ResponseWriter, _ int) { w.Header().Set("Location", "/"); w.WriteHeader(307) }, 2, "refused"},
		{"404", func(w http.ResponseWriter, _ int) { w.WriteHeader(404) }, 2, "refused"},
		{"a reset", func(w http.ResponseWriter, _ int) { reset(t, w) }, 2, "no_answer"},
		{"a reset and then 200", func(w http.ResponseWriter, try int) {
			if try == 1 {
				reset(t, w)
			}
		}, 2, ""},
		{"half a body", func(w http.ResponseWriter, _ int) { raw(t, w, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf") }, 1, ""},
		{"a chunk that is none", func(w http.ResponseWriter, _ int) {
			raw(t, w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n")
		}, 1, ""},
		{"half a body of a 500", func(w http.ResponseWriter, _ int) {
			raw(t, w, "HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\nhalf")
		}, 2, "refused"},
		{"half a head", func(w http.ResponseWriter, _ int) { raw(t, w, "HTTP/1.1 200 OK\r\n") }, 2, "no_answer"},
		{"not HTTP", func(w http.ResponseWriter, _ int) { raw(t, w, "hello\r\n\r\n") }, 2, "no_answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tries := 0 // one POST is under way at a time
			r := startReceiver(t, func(w http.ResponseWriter, _ *http.Request) { tries++; tc.answer(w, tries) })
			s, book := open(t, r.URL)
			s.Add(ended(1))
			s.Start()
			testtool.Until(t, "it is counted", func() bool {
				st := s.Stats()
				return st.Sent["disconnect"]+st.Lost["refused"]+st.Lost["no_answer"] == 1
			})
			s.Stop(time.Now().Add(testtool.Patience))
			taken := sum(t, s, 1) == 1
			posts := r.got()
			if len(posts) != tc.tries || posts[0].Batch != posts[len(posts)-1].Batch {
				t.Errorf("%d tries: %v, want %d", len(posts), posts, tc.tries)
			}
			if warned := strings.Contains(book.String(), "events are lost"); taken != (tc.lost == "") || warned == taken || !taken && s.Stats().Lost[tc.lost] != 1 {
				t.Errorf("taken: %v, %v; want it lost as %q: %s", taken, s.Stats(), tc.lost, book)
			}
		})
	}
}

// A webhook whose answer has no end has answered all the same: the next batch comes on another
// connection, and no batch comes twice.
func TestAnAnswerWithoutAnEndTakesTheBatch(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 500} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			over, peers := make(chan struct{}), map[string]bool{}
			r := startReceiver(t, func(w http.ResponseWriter, req *http.Request) {
				peers[req.RemoteAddr] = true // one POST is under way at a time
				w.WriteHeader(status)
				_, _ = io.WriteString(w, "and so on")
				w.(http.Flusher).Flush()
				select {
				case <-over:
				case <-req.Context().Done(): // the connection was closed
				}
			})
			t.Cleanup(func() { close(over) })
			s, _ := open(t, r.URL)
			s.pause = time.Millisecond
			s.Start()
			for i := range 2 {
				s.Add(ended(i))
				testtool.Until(t, "it is counted", func() bool {
					return s.Stats().Sent["disconnect"]+s.Stats().Lost["refused"] == uint64(i+1)
				})
			}
			s.Stop(time.Now().Add(testtool.Patience))
			tries := 2
			if status == 500 {
				tries = 4
			}
			if taken := sum(t, s, 2); taken != 4-tries || len(r.got()) != tries || len(peers) != tries {
				t.Errorf("%d are taken after %d POSTs on %d connections, want %d each", taken, len(r.got()), len(peers), tries)
			}
		})
	}
}

// reset ends a connection without an answer.
func reset(t *testing.T, w http.ResponseWriter) { raw(t, w, "") }

// raw answers with text and ends the connection.
func raw(t *testing.T, w http.ResponseWriter, text string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	_, _ = io.WriteString(conn, text)
	_ = conn.Close()
}

// A webhook that closes a connection which has served before, without an answer, is asked on a new
// one at once: it looks like a connection that was idle for too long.
func TestAClosedConnectionIsNoTry(t *testing.T) {
	t.Parallel()
	requests := 0
	r := startReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		if requests++; requests == 2 {
			reset(t, w)
		}
	})
	s, _ := open(t, r.URL)
	s.pause = time.Hour
	s.Start()
	for i := range 2 {
		s.Add(ended(i))
		testtool.Until(t, "it is taken", func() bool { return s.Stats().Sent["disconnect"] == uint64(i+1) })
	}
	s.Stop(time.Now().Add(testtool.Patience))
	if posts := r.got(); len(posts) != 3 || posts[1].Batch != posts[2].Batch || posts[0].Batch == posts[1].Batch {
		t.Errorf("%d POSTs: %v", len(posts), posts)
	}
}
