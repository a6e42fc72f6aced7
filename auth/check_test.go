package auth

import (
	"context"
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

func TestCheckEndsWithItsContext(t *testing.T) {
	silent := newPeer(t, (*line).hang)
	c := newClient(t, Config{URL: "https" + strings.TrimPrefix(silent.URL, "http")})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if report, err := c.Check(ctx); err == nil {
		t.Errorf("Check = %v with a context that had ended", report)
	}
}
