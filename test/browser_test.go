package test

import (
	"encoding/json"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startupPatience is how long a browser may take to start on a small machine that is busy.
const startupPatience = 2 * time.Minute

// step is a step that a page reports; the page goes on when the test has closed goOn.
type step struct {
	Name  string
	Value json.RawMessage
	goOn  chan struct{}
}

// page is a page in a browser. There is no driver between it and the test: the page reports its
// steps to the server that it comes from.
type page struct {
	t       *testing.T
	origin  string
	steps   chan step
	browser *process
	current chan struct{} // open while the page waits
}

// newPage starts a server of pages: testdata/page.html, at /sse and /resume others, and at /readme
// and /follow blocks of README.md and docs/messages.md, with readmeAddr as their server.
func newPage(t *testing.T, readmeAddr string) *page {
	t.Helper()
	p := &page{t: t, steps: make(chan step)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "testdata/page.html")
	})
	for _, other := range []string{"sse", "resume"} {
		mux.HandleFunc("GET /"+other, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, "testdata/"+other+".html")
		})
	}
	for path, name := range map[string]string{"/readme": "page", "/follow": "sse page"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			block := strings.NewReplacer("localhost:3000", readmeAddr, "5000", "50").Replace(readme(t, name))
			_ = readmePage.Execute(w, template.JS(block))
		})
	}
	mux.HandleFunc("POST /step", func(_ http.ResponseWriter, r *http.Request) {
		s := step{goOn: make(chan struct{})}
		_ = json.NewDecoder(r.Body).Decode(&s)
		select {
		case p.steps <- s:
			<-s.goOn
		case <-r.Context().Done():
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	t.Cleanup(p.release)
	p.origin = server.URL
	return p
}

var readmePage = template.Must(template.New("").Parse(`<!DOCTYPE html><meta charset="utf-8"><script>
console.log = (value) => fetch('/step', { method: 'POST', body: JSON.stringify({ name: 'logged', value }) });
</script><script>{{.}}</script>`))

// open starts Chromium, headless, on a path of the page's server.
func (p *page) open(path string) {
	p.t.Helper()
	chromium := need(p.t, "chromium", "chromium")
	profile, err := os.MkdirTemp(scratch, "profile") // not the test's own, because Chromium may still write while it ends
	if err != nil {
		p.t.Fatal(err)
	}
	p.browser = start(p.t, scratch, []string{"HOME=" + profile}, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--no-proxy-server", "--user-data-dir="+profile, p.origin+path)
}

// expect waits for the page's next step and compares it. The page then waits until
// the test expects another.
func (p *page) expect(name, value string) {
	p.t.Helper()
	p.release()
	select {
	case s := <-p.steps:
		p.current = s.goOn
		if s.Name != name || string(s.Value) != value {
			p.t.Fatalf("the page says: %s %s, want %s %s", s.Name, s.Value, name, value)
		}
	case <-p.browser.ended:
		p.t.Fatalf("the browser ended before: %s", name)
	case <-time.After(startupPatience):
		p.t.Fatalf("the page does not come to: %s", name)
	}
}

// release lets the page go on.
func (p *page) release() {
	if p.current != nil {
		close(p.current)
		p.current = nil
	}
}

func TestPageInABrowser(t *testing.T) {
	need(t, "chromium", "chromium")
	p := newPage(t, "")
	s := serve(t, "-allowed-origins", p.origin)
	strict := serve(t, "-allowed-origins", "https://example.com")
	deflating := serve(t, "-compression", "on")
	between := countTo(t, deflating.addr)
	p.open("/?" + url.Values{"ws": {s.ws()}, "strict": {strict.ws()}, "deflating": {between.ws()}}.Encode())

	p.expect("refused for its origin", `{"code":1006,"reason":"","wasClean":false}`)
	p.expect("after offering a subprotocol", `{"code":1006,"reason":"","wasClean":false}`)
	p.expect("open with envelopes", `{"open":true,"protocol":"wsify.v1","extensions":""}`)
	p.expect("joined with envelopes", `"{\"type\":\"reply\",\"id\":\"join\",\"ok\":true}"`)
	p.expect("heard an envelope", `"{\"type\":\"message\",\"channel\":\"typed\",\"content\":\"ü😀\"}"`)
	p.expect("open", `{"open":true,"protocol":"","extensions":""}`)
	p.expect("joined", `"{\"id\":\"join\",\"ok\":true}"`)
	p.expect("heard itself", `"{\"text\":\"ü😀\"}"`)
	publish(t, s, `{"channel":"page","content":{"order":9007199254740993}}`)
	p.expect("heard curl", `"{\"order\":9007199254740993}"`)
	publish(t, s, `{"channel":"page","content":"`+strings.Repeat("x", 60_000)+`"}`)
	p.expect("heard a long one", "60002")
	p.expect("heard what was sent in binary", `"\"in binary\""`)
	p.expect("heard a number of 64 bits", `"18446744073709551615"`)
	p.expect("closed", `{"code":3999,"reason":"","wasClean":true}`)
	p.expect("open with compression", `{"open":true,"protocol":"","extensions":"permessage-deflate; server_no_context_takeover; client_no_context_takeover"}`)
	p.expect("joined there", `"{\"id\":\"join\",\"ok\":true}"`)
	p.expect("heard itself, compressed", `"\"from a page from a page"`)
	publish(t, deflating, `{"channel":"page","content":"`+strings.Repeat("to a page ", 6000)+`"}`)
	p.expect("heard a backend, compressed", "60002")
	between.check()
	p.expect("ready", "null")
	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	p.expect("told to reconnect", `{"code":1012,"reason":"this node restarts, reconnect","wasClean":true}`)
}

// publish publishes with curl.
func publish(t *testing.T, s *server, body string) {
	t.Helper()
	file := writeFile(t, t.TempDir(), "body", body)
	if status, out := curl(t, s.http()+"/broadcast", "-H", jsonType, "--data-binary", "@"+file); status != 201 {
		t.Fatalf("curl: %d %s", status, out)
	}
}

func TestReadmePage(t *testing.T) {
	need(t, "chromium", "chromium")
	s := serve(t)
	p := newPage(t, s.addr)
	p.open("/readme")
	p.expect("logged", `"from a page"`)
}
