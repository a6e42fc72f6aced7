package live

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"wsify/internal/testtool"
)

// newBoard returns a Board with two values, and a server that has the read and write timeouts of the
// admin listener, but shorter.
func newBoard(t *testing.T, maxStreams int) (*Board, *httptest.Server) {
	t.Helper()
	b := New("1.2.3", maxStreams)
	b.Name([]string{"connections", "lag"})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events", b.Events)
	mux.HandleFunc("GET /{$}", Page)
	mux.HandleFunc("GET /live/{file}", File)
	s := httptest.NewUnstartedServer(mux)
	s.Config.ReadTimeout, s.Config.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	s.Start()
	t.Cleanup(s.Close)
	return b, s
}

// add adds a point at second i, whose values are i and unknown. It returns how often the notes were
// asked for.
func add(b *Board, i int) (asked int) {
	b.Add(Point{At: time.Unix(int64(i), 0), Values: []float32{float32(i), float32(math.NaN())}}, func() Notes {
		asked++
		return Notes{NotReady: []string{"full"}}
	})
	return asked
}

// listen opens a stream and returns a function that reads its next event.
func listen(t *testing.T, s *httptest.Server) (next func() (kind, data string, err error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testtool.Patience)
	t.Cleanup(cancel)
	r, _ := http.NewRequestWithContext(ctx, "GET", s.URL+"/events", nil)
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if got := answer.Header.Get("Content-Type"); answer.StatusCode != 200 || got != "text/event-stream" {
		t.Fatalf("GET /events: %d, %s", answer.StatusCode, got)
	}
	lines := bufio.NewReader(answer.Body)
	return func() (kind, data string, err error) {
		for {
			line, err := lines.ReadString('\n')
			line = strings.TrimSuffix(line, "\n")
			if err != nil || line == "" {
				return kind, data, err
			}
			name, value, _ := strings.Cut(line, ": ")
			if name == "event" {
				kind = value
			} else {
				data += value
			}
		}
	}
}

func expect(t *testing.T, next func() (string, string, error), kind, data string) {
	t.Helper()
	if k, d, err := next(); err != nil || k != kind || d != data {
		t.Fatalf("event %q %q, %v; want %q %q", k, d, err, kind, data)
	}
}

// The timeouts of the server are far shorter than the stream lasts.
func TestAStreamHasTheHistoryAndThenEachPoint(t *testing.T) {
	b, s := newBoard(t, 2)
	add(b, 1)
	add(b, 2)
	one := listen(t, s)
	expect(t, one, "history", `{"version":"1.2.3","names":["connections","lag"],"points":[[1000,1,null],[2000,2,null]]}`)
	time.Sleep(2 * s.Config.WriteTimeout) // the timeouts have to pass
	add(b, 3)
	expect(t, one, "", `{"point":[3000,3,null],"notes":{"not_ready":["full"]}}`)
	two := listen(t, s)
	expect(t, two, "history", `{"version":"1.2.3","names":["connections","lag"],"points":[[1000,1,null],[2000,2,null],[3000,3,null]]}`)
	if asked := add(b, 4); asked != 1 {
		t.Errorf("a point was encoded %d times for two streams", asked)
	}
	for _, next := range []func() (string, string, error){one, two} {
		expect(t, next, "", `{"point":[4000,4,null],"notes":{"not_ready":["full"]}}`)
	}
}

func TestABoardKeepsTheLatestPoints(t *testing.T) {
	b, s := newBoard(t, 1)
	for i := range Keep + 1 {
		add(b, i)
	}
	_, data, err := listen(t, s)()
	var got struct{ Points [][]float64 }
	if err := json.Unmarshal([]byte(data), &got); err != nil {
		t.Fatal(err)
	}
	if err != nil || len(got.Points) != Keep || got.Points[0][1] != 1 || got.Points[Keep-1][1] != Keep {
		t.Errorf("%d points, %v; want the last %d", len(got.Points), err, Keep)
	}
}

func TestNothingIsEncodedWhileNobodyListens(t *testing.T) {
	b := New("", 1)
	b.Add(Point{}, func() Notes { t.Error("notes are asked for"); return Notes{} })
}

func TestStreamsAreBounded(t *testing.T) {
	b, s := newBoard(t, 2)
	for range 2 {
		_, _, _ = listen(t, s)()
	}
	answer, err := http.Get(s.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != 503 || answer.Header.Get("Retry-After") == "" {
		t.Errorf("one stream too many: %d, %v; want 503 with Retry-After", answer.StatusCode, answer.Header)
	}
	s.CloseClientConnections()
	testtool.Until(t, "a place is free", func() bool { return !b.Watched() })
	expect(t, listen(t, s), "history", `{"version":"1.2.3","names":["connections","lag"],"points":[]}`)
}

// TestAReaderThatDoesNotReadIsDropped also checks that Add does not wait for it. What the kernel
// takes for the reader is small against the events here.
func TestAReaderThatDoesNotReadIsDropped(t *testing.T) {
	b, s := newBoard(t, 2)
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /events HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	testtool.Until(t, "the stream is open", b.Watched)
	for i := 0; b.Watched(); i++ {
		if i > 10_000 {
			t.Fatal("a reader that reads nothing has its stream")
		}
		b.Add(Point{At: time.Unix(0, 0)}, func() Notes { return Notes{NotReady: []string{strings.Repeat("x", 1<<20)}} })
	}
	add(b, 1)
	expect(t, listen(t, s), "history", `{"version":"1.2.3","names":["connections","lag"],"points":[`+strings.TrimSuffix(strings.Repeat("[0],", b.points.Len()-1), ",")+`,[1000,1,null]]}`)
}

func TestPagesOfOtherSitesGetNoStream(t *testing.T) {
	_, s := newBoard(t, 1)
	for site, want := range map[string]int{"cross-site": 403, "same-site": 403, "same-origin": 200, "none": 200} {
		r, _ := http.NewRequest("HEAD", s.URL+"/events", nil)
		r.Header.Set("Sec-Fetch-Site", site)
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("Sec-Fetch-Site %s: %d, want %d", site, answer.StatusCode, want)
		}
	}
}

// TestThePageUsesNothingElse checks the policy and that each file that the page names is there.
func TestThePageUsesNothingElse(t *testing.T) {
	_, s := newBoard(t, 1)
	for path, content := range map[string]string{
		"/": "text/html", "/live/page.js": "text/javascript", "/live/page.css": "text/css", "/live/icon.svg": "image/svg+xml",
		"/live/uPlot.iife.min.js": "text/javascript", "/live/uPlot.min.css": "text/css", "/live/uPlot.LICENSE": "",
	} {
		answer, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != 200 || !strings.HasPrefix(answer.Header.Get("Content-Type"), content) || len(body) == 0 {
			t.Errorf("%s: %d, %s, %d bytes", path, answer.StatusCode, answer.Header.Get("Content-Type"), len(body))
		}
		if got := answer.Header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'") {
			t.Errorf("%s: Content-Security-Policy %q", path, got)
		}
		if path == "/" && (strings.Contains(string(body), "://") || strings.Contains(string(body), "<style") || strings.Contains(string(body), "<script>")) {
			t.Errorf("the page is not made of its own files alone: %s", body)
		}
	}
}
