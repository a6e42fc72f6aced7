//go:build linux

package main

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func openTestWebhook(t *testing.T, m mood) *webhook {
	t.Helper()
	h, err := openWebhook(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	return h
}

func TestAWebhookAnswersAsItsMoodIs(t *testing.T) {
	const slow, other = `{"command":"join","args":{"channel":"slow-00001"}}`, `{"command":"join","args":{"channel":"c00000001"}}`
	for _, tt := range []struct {
		name  string
		mood  mood
		body  string
		want  int
		waits bool
	}{
		{"a slow channel waits", mood{status: 200, latency: 20 * time.Millisecond}, slow, 200, true},
		{"another one does not", mood{status: 200, latency: time.Hour}, other, 200, false},
		{"unless it is about all", mood{status: 200, latency: 20 * time.Millisecond, all: true}, other, 200, true},
		{"it may fail", mood{status: 500}, slow, 500, false},
		{"but not for others", mood{status: 500}, other, 200, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := openTestWebhook(t, tt.mood)
			start := time.Now()
			for range 2 { // over one connection
				answer, err := http.Post(h.url, "application/json", strings.NewReader(tt.body))
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				if answer.StatusCode != tt.want {
					t.Errorf("answered %d, want %d", answer.StatusCode, tt.want)
				}
			}
			if took := time.Since(start); tt.waits && took < 2*tt.mood.latency {
				t.Errorf("two answers took %v, want %v each", took, tt.mood.latency)
			}
		})
	}
}

func TestAHangingWebhookLastsUntilTheServerGivesUp(t *testing.T) {
	h := openTestWebhook(t, mood{all: true})
	client := http.Client{Timeout: 20 * time.Millisecond}
	if _, err := client.Post(h.url, "application/json", strings.NewReader("{}")); err == nil {
		t.Error("a webhook that never answers answered")
	}
	if err := h.calm(5 * time.Second); err != nil {
		t.Error(err)
	}
}
