package auth

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// examine asks a webhook three times.
func examine(t *testing.T, cfg Config) Examination {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = patience
	}
	return Examine(context.Background(), cfg, join(), 3)
}

func TestAnExaminationAsksAndTellsTheAnswers(t *testing.T) {
	for code, want := range map[int]struct {
		decision Decision
		calls    int
		cause    string
	}{200: {Allow, 3, ""}, 403: {Deny, 3, "403"}, 302: {Deny, 3, "302"}, 204: {Deny, 3, "204"}, 500: {Down, 1, "500"}} {
		hook := newWebhook(t, status(code))
		x := examine(t, Config{URL: hook.URL})
		if x.Err != nil || x.Report.Addr == "" || x.Decision != want.decision || len(x.Took) != want.calls || !x.Kept || !x.Dated || x.Skew != 0 || !x.Report.Expires.IsZero() {
			t.Errorf("%d: %+v", code, x)
		}
		if (x.Cause == nil) != (want.cause == "") || x.Cause != nil && !strings.Contains(x.Cause.Error(), want.cause) {
			t.Errorf("%d: the cause is %v, want %q", code, x.Cause, want.cause)
		}
	}
}

func TestAnExaminationSeesThatConnectionsAreNotKept(t *testing.T) {
	for name, script := range map[string]func(*line){
		"it says so": func(l *line) {
			l.request()
			l.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		},
		"it just closes": func(l *line) {
			l.request()
			l.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		},
	} {
		x := examine(t, Config{URL: newPeer(t, script).URL})
		if x.Err != nil || x.Decision != Allow || len(x.Took) != 3 || x.Kept || x.Dated {
			t.Errorf("%s: %+v", name, x)
		}
	}
}

func TestAnExaminationComparesTheClocks(t *testing.T) {
	var ahead atomic.Int64
	hook := newWebhook(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(time.Duration(ahead.Load())).UTC().Format(http.TimeFormat))
	})
	for _, off := range []time.Duration{0, time.Hour, -time.Hour} {
		ahead.Store(int64(off))
		x := examine(t, Config{URL: hook.URL})
		if !x.Dated || x.Skew.Round(10*time.Minute) != off {
			t.Errorf("a clock that is %s ahead: %s, dated %t", off, x.Skew, x.Dated)
		}
	}
	wrong := newWebhook(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", "yesterday") })
	if x := examine(t, Config{URL: wrong.URL}); x.Dated || x.Skew != 0 {
		t.Errorf("a Date that is none: %+v", x)
	}
}

func TestAnExaminationTellsWhenTheCertificateExpires(t *testing.T) {
	hook := newTLSWebhook(t)
	x := examine(t, Config{URL: hook.URL, TLSConfig: trusting(hook)})
	if x.Err != nil || !x.Report.Expires.Equal(hook.Certificate().NotAfter) {
		t.Errorf("%v, expires %s, want %s", x.Err, x.Report.Expires, hook.Certificate().NotAfter)
	}
	if x := examine(t, Config{URL: hook.URL}); x.Err == nil || !strings.Contains(x.Report.Hint, "-authorizer-ca") || len(x.Took) != 0 {
		t.Errorf("without its authority: %+v", x)
	}
}

func TestAnExaminationOfNothingSaysWhy(t *testing.T) {
	if x := examine(t, Config{URL: "http://127.0.0.1:1"}); x.Err == nil || !strings.Contains(x.Report.Hint, "nothing listens on 127.0.0.1:1") {
		t.Errorf("%+v", x)
	}
	if x := examine(t, Config{URL: "ftp://x"}); x.Err == nil {
		t.Errorf("%+v", x)
	}
	silent := newPeer(t, (*line).hang)
	if x := examine(t, Config{URL: silent.URL, Timeout: haste}); x.Err != nil || x.Decision != Down || len(x.Took) != 1 || !strings.Contains(x.Cause.Error(), "timeout") {
		t.Errorf("%+v", x)
	}
}
