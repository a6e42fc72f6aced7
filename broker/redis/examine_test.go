package redis

import (
	"context"
	"strings"
	"testing"

	"wsify/broker"
	"wsify/internal/redistest"
)

func examined(t *testing.T, cfg broker.Config) broker.Examination {
	t.Helper()
	x, err := Driver.Examine(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestAnExaminationTellsWhatTheServerIsAndThatAllWorks(t *testing.T) {
	s := redistest.Start(t, "--client-output-buffer-limit", "pubsub 3mb 2mb 10")
	x := examined(t, broker.Config{DSN: s.DSN(), Prefix: "shop:", MaxContent: 2 << 20})
	if x.Subscribe != nil || x.Publish != nil || x.Deaf != nil || x.RoundTrip <= 0 || x.Opened <= 0 {
		t.Errorf("%+v", x)
	}
	if x.Engine != "redis at "+s.Addr || !strings.HasPrefix(x.Channel, "shop:wsify-doctor-") || x.MaxContent != 512<<20 {
		t.Errorf("%+v", x)
	}
	want := broker.Waiting{Hard: 3 << 20, Soft: 2 << 20, Seconds: 10}
	if len(x.Servers) != 1 || x.Servers[0].Addr != s.Addr || x.Servers[0].Version[:1] < "6" || x.Servers[0].Waiting == nil || *x.Servers[0].Waiting != want {
		t.Errorf("the servers are %+v, want one at %s with %+v", x.Servers, s.Addr, want)
	}
	if left := s.CLI("PUBSUB", "CHANNELS"); left != "" {
		t.Errorf("it is still subscribed to %s", left)
	}
}

func TestAnExaminationTellsWhatTheUserMayNot(t *testing.T) {
	s := redistest.Start(t)
	for rights, refused := range map[string]struct{ subscribe, publish string }{
		"&* +hello +publish +subscribe +unsubscribe":      {},
		"&shop:* +hello +publish +subscribe +unsubscribe": {},
		"&* +hello +subscribe +unsubscribe":               {"", "NOPERM"},
		"&* +hello +publish":                              {"NOPERM", ""},
		"&news +hello +publish +subscribe +unsubscribe":   {"NOPERM", "NOPERM"},
	} {
		rule := append([]string{"ACL", "SETUSER", "limited", "reset", "on", ">hunter2", "resetchannels"}, strings.Fields(rights)...)
		s.CLI(rule...)
		x := examined(t, broker.Config{DSN: "redis://limited:hunter2@" + s.Addr, Prefix: "shop:"})
		for what, got := range map[string]struct {
			err  error
			want string
		}{"subscribe": {x.Subscribe, refused.subscribe}, "publish": {x.Publish, refused.publish}, "hear": {x.Deaf, ""}} {
			said := ""
			if got.err != nil {
				said = got.err.Error()
			}
			if (said == "") != (got.want == "") || !strings.Contains(said, got.want) || strings.Contains(said, "hunter2") {
				t.Errorf("%s: %s: %q, want %q in it", rights, what, said, got.want)
			}
		}
		if len(x.Servers) != 1 || x.Servers[0].Waiting != nil {
			t.Errorf("%s: %+v, want a server that does not tell its limits", rights, x.Servers)
		}
	}
}

func TestAnExaminationOfAClusterHasEveryMaster(t *testing.T) {
	servers := redistest.StartCluster(t, 3)
	servers[1].Config("client-output-buffer-limit", "pubsub 1mb 0 0")
	x := examined(t, broker.Config{DSN: servers[0].DSN()})
	if x.Subscribe != nil || x.Publish != nil || x.Deaf != nil || len(x.Servers) != 3 {
		t.Fatalf("%+v", x)
	}
	for _, s := range x.Servers {
		if small := s.Waiting != nil && s.Waiting.Hard == 1<<20; small != (s.Addr == servers[1].Addr) {
			t.Errorf("%s: %+v", s.Addr, s.Waiting)
		}
	}
}

func TestAnExaminationOfNothingSaysWhy(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "right")
	for dsn, want := range map[string]string{"redis://:hunter2@" + s.Addr: "WRONGPASS", "redis://127.0.0.1:1": "connection refused", "http://x": "must begin with"} {
		if _, err := Driver.Examine(context.Background(), broker.Config{DSN: dsn}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", dsn, err, want)
		}
	}
}

func TestTheLimitOfSubscribersIsReadOrUnknown(t *testing.T) {
	full := broker.Waiting{Hard: 33554432, Soft: 8388608, Seconds: 60}
	for list, want := range map[string]*broker.Waiting{
		"normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60": &full,
		"pubsub 0 0 0":      {},
		"pubsub 1 2":        nil,
		"pubsub 1 2 x":      nil,
		"normal 0 0 0":      nil,
		"":                  nil,
		"0 0 0 pubsub":      nil,
		"pubsub 1 2 3 more": {Hard: 1, Soft: 2, Seconds: 3},
	} {
		got := waitingOf(list)
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("waitingOf(%q) = %+v, want %+v", list, got, want)
		}
	}
}
