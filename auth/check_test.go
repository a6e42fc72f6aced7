package auth

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
)

func TestCheckConnectsAndAsksNothing(t *testing.T) {
	quiet := make(chan bool, 1)
	p := newPeer(t, func(l *line) { quiet <- !l.request() })
	c := newClient(t, Config{URL: strings.Replace(p.URL, "://", "://ann:s3cr@", 1) + "auth?key=s3cr"})
	report, err := c.Check(context.Background())
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	addr := strings.Trim(strings.TrimPrefix(p.URL, "http:"), "/")
	if report.URL != p.URL+"auth" || report.Addr != addr || report.TLS != "" || report.Elapsed <= 0 || report.Hint != "" {
		t.Errorf("Check = %+v", report)
	}
	if text := report.String(); !strings.Contains(text, "reached at "+addr) || strings.Contains(text, "s3cr") {
		t.Errorf("the report reads %q", text)
	}
	if !<-quiet {
		t.Error("Check sent a question")
	}
}

func TestCheckOverTLS(t *testing.T) {
	hook := newTLSWebhook(t)
	report, err := newClient(t, Config{URL: hook.URL, TLSConfig: trusting(hook)}).Check(context.Background())
	if err != nil || report.TLS != "TLS 1.3" || !strings.Contains(report.String(), "over TLS 1.3") {
		t.Errorf("Check = %v, %v", report, err)
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	secure := newTLSWebhook(t)
	hook := newWebhook(t, status(200))
	silent := newPeer(t, (*line).hang)
	elsewhere := trusting(secure)
	elsewhere.ServerName = "elsewhere.test"

	const anyResult = NumResults // a resolver may refuse or say nothing
	tests := []struct {
		name   string
		cfg    Config
		result Result
		hint   string
	}{
		{"refused", Config{URL: "http://" + closed.Addr().String()}, ResultUnreachable, "is the webhook running?"},
		{"no such name", Config{URL: "http://wsify.invalid/"}, anyResult, `"wsify.invalid" cannot be looked up`},
		{"plain webhook", Config{URL: "https" + strings.TrimPrefix(hook.URL, "http")}, ResultUnreachable, "should the URL start with http://?"},
		{"unknown authority", Config{URL: secure.URL}, ResultUnreachable, "does not trust"},
		{"another name", Config{URL: secure.URL, TLSConfig: elsewhere}, ResultUnreachable, "elsewhere.test"},
		{"silence", Config{URL: "https" + strings.TrimPrefix(silent.URL, "http"), Timeout: haste}, ResultTimeout, "in time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			report, err := newClient(t, tt.cfg).Check(context.Background())
			failed := (*CallError)(nil)
			if !errors.As(err, &failed) || tt.result != anyResult && failed.Result != tt.result {
				t.Errorf("Check: %v, want %v", err, tt.result)
			}
			if text := report.String(); !strings.Contains(text, tt.hint) || !strings.Contains(text, "cannot be reached") {
				t.Errorf("the report reads %q, want %q in it", text, tt.hint)
			}
		})
	}
}

func TestCheckEndsWithItsContext(t *testing.T) {
	silent := newPeer(t, (*line).hang)
	c := newClient(t, Config{URL: "https" + strings.TrimPrefix(silent.URL, "http")})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if report, err := c.Check(ctx); err == nil {
		t.Errorf("Check = %v with a context that had ended", report)
	}
}
