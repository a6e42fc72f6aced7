package auth

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func TestDecisionsFailClosed(t *testing.T) {
	var d Decision
	if d != Deny || ResultOf(d, nil) != ResultDeny {
		t.Errorf("the zero Decision is %v", d)
	}
	for d, want := range map[Decision]string{Deny: "deny", Allow: "allow", Down: "down", 9: "invalid"} {
		if got := d.String(); got != want {
			t.Errorf("Decision(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestResultsHaveDistinctLabels(t *testing.T) {
	seen := map[string]bool{"": true}
	for r := range NumResults {
		if seen[r.String()] || strings.ContainsAny(r.String(), ` "`) {
			t.Errorf("result %d has the label %q", r, r)
		}
		seen[r.String()] = true
	}
	if got := NumResults.String(); got != "invalid" {
		t.Errorf("NumResults = %q", got)
	}
}

func TestResultOf(t *testing.T) {
	tests := []struct {
		d     Decision
		cause error
		want  Result
	}{
		{Allow, nil, ResultAllow},
		{Deny, statusError(403), ResultDeny},
		{Down, statusError(503), ResultStatus},
		{Down, errTimeout, ResultTimeout},
		{Down, fmt.Errorf("asking: %w", errBusy), ResultBusy},
		{Down, fmt.Errorf("asking: %w", statusError(500)), ResultStatus},
		{Down, errors.New("of another package"), ResultInternal},
		{Down, nil, ResultInternal},
	}
	for _, tt := range tests {
		if got := ResultOf(tt.d, tt.cause); got != tt.want {
			t.Errorf("ResultOf(%v, %v) = %v, want %v", tt.d, tt.cause, got, tt.want)
		}
	}
}

func TestCausesSayWhy(t *testing.T) {
	tests := []struct {
		cause error
		want  string
	}{
		{statusError(403), "authorizer answered 403 Forbidden"},
		{statusError(777), "authorizer answered 777"},
		{statusError(1000), "authorizer answered 1000"},
		{errTimeout, "authorizer timeout"},
		{&CallError{Result: ResultReset, Err: io.EOF}, "authorizer reset: EOF"},
		{failure(fasthttp.ErrTimeout), "authorizer timeout"},
		{failure(io.ErrShortWrite), "authorizer internal: short write"},
	}
	for _, tt := range tests {
		if got := tt.cause.Error(); got != tt.want {
			t.Errorf("cause %q, want %q", got, tt.want)
		}
	}
	if !errors.Is(&CallError{Err: io.EOF}, io.EOF) {
		t.Error("a CallError hides the underlying error")
	}
}

func TestCauseRepeatsNothingTheWebhookWrote(t *testing.T) {
	p := newPeer(t, answering("HTTP/1.1 forged-log-line\r\n\r\n"))
	_, cause := newClient(t, Config{URL: p.URL}).Ask(join())
	if cause == nil || strings.Contains(cause.Error(), "forged") {
		t.Errorf("cause %v", cause)
	}
}

func TestTimeoutTooShortForAnything(t *testing.T) {
	hook := newWebhook(t, status(200))
	wants(t, newClient(t, Config{URL: hook.URL, Timeout: time.Nanosecond}), Down, ResultTimeout)
}

func TestAskNeverPanics(t *testing.T) {
	hook := newWebhook(t, status(200))
	c := newClient(t, Config{URL: hook.URL, MaxConns: 1})
	if d, cause := c.Ask(nil); d != Down || ResultOf(d, cause) != ResultInternal {
		t.Errorf("Ask(nil) = %v, %v, want down, internal", d, cause)
	}
	c.host.Transport = exploding{}
	wants(t, c, Down, ResultInternal)
	c.host.Transport = (*transport)(c.dialer)
	wants(t, c, Allow, ResultAllow) // the only connection was released
}

// exploding panics while a connection is held.
type exploding struct{}

func (exploding) RoundTrip(host *fasthttp.HostClient, req *fasthttp.Request, _ *fasthttp.Response) (bool, error) {
	t := transport(dialer{})
	return t.RoundTrip(host, req, nil) // which must not be nil
}

func TestCloseEndsIdleConnections(t *testing.T) {
	ended := make(chan struct{})
	p := newPeer(t, func(l *line) {
		for l.request() {
			l.say(yes)
		}
		close(ended)
	})
	c := newClient(t, Config{URL: p.URL})
	wants(t, c, Allow, ResultAllow)
	c.Close()
	<-ended
	wants(t, c, Down, ResultClosed)
	c.Close()
}

func TestCloseLetsCallsUnderWayFinish(t *testing.T) {
	asked, answer, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	p := newPeer(t, func(l *line) {
		l.request()
		close(asked)
		<-answer
		l.say(yes)
		l.hang() // until the client closes
		close(ended)
	})
	c := newClient(t, Config{URL: p.URL})
	var call sync.WaitGroup
	call.Go(func() { wants(t, c, Allow, ResultAllow) })
	<-asked
	c.Close()
	close(answer)
	call.Wait()
	<-ended
}

func TestCallersDoNotMixTheirAnswers(t *testing.T) {
	hook := newWebhook(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if id := r.Header.Get(HeaderConnection); id != string(body) {
			t.Errorf("connection %q came with the body of %q", id, body)
		}
		if strings.HasSuffix(string(body), "7") {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	c := newClient(t, Config{URL: hook.URL, MaxConns: 4})
	var callers sync.WaitGroup
	for caller := range 8 {
		callers.Go(func() {
			for i := range 100 {
				id := fmt.Sprint(caller, "-", i)
				want := Allow
				if strings.HasSuffix(id, "7") {
					want = Deny
				}
				if d, cause := c.Ask(&Call{Body: []byte(id), Connection: id}); d != want {
					t.Errorf("Ask(%s) = %v, %v, want %v", id, d, cause, want)
				}
			}
		})
	}
	callers.Wait()
}

func TestCallEndsAtItsDeadline(t *testing.T) {
	p := newPeer(t, answering(""))
	c := newClient(t, Config{URL: p.URL})
	call := join()
	call.Deadline = time.Now().Add(-time.Second)
	if d, cause := c.Ask(call); d != Down || ResultOf(d, cause) != ResultBusy {
		t.Errorf("Ask behind the deadline = %v, %v, want down without a turn", d, cause)
	}
	if n := p.conns.Load(); n != 0 {
		t.Errorf("%d connections were made for a call that came too late", n)
	}
	call.Deadline = time.Now().Add(haste)
	if d, cause := c.Ask(call); d != Down || ResultOf(d, cause) != ResultTimeout {
		t.Errorf("Ask = %v, %v, want a timeout at the deadline", d, cause)
	}
}
