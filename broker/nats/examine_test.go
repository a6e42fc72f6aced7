package nats

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"wsify/broker"
	"wsify/internal/natstest"
)

func TestAnExaminationTellsWhatTheServerIsAndThatAllWorks(t *testing.T) {
	s := natstest.Start(t, &server.Options{MaxPayload: 4096, MaxPending: 8192, HTTPHost: "127.0.0.1", HTTPPort: server.RANDOM_PORT})
	_, monitor, _ := net.SplitHostPort(s.NATS.MonitorAddr().String())
	x, err := examineAt(context.Background(), broker.Config{DSN: s.URL, Prefix: "shop."}, monitor)
	if err != nil || x.Subscribe != nil || x.Publish != nil || x.Deaf != nil || x.RoundTrip <= 0 || x.Opened <= 0 {
		t.Fatalf("%+v, %v", x, err)
	}
	if x.MaxContent != 4096 || !strings.HasPrefix(x.Channel, "shop.wsify-doctor-") || x.Engine != "nats at "+s.URL {
		t.Errorf("%+v", x)
	}
	if len(x.Servers) != 1 || x.Servers[0].Version != server.VERSION || x.Servers[0].Waiting == nil || x.Servers[0].Waiting.Hard != 8192 {
		t.Errorf("the servers are %+v", x.Servers)
	}
}

// Another server may have its monitoring at the usual port of this machine.
func TestTheMonitoringOfAnotherServerIsNotBelieved(t *testing.T) {
	ours := natstest.Start(t, nil)
	other := natstest.Start(t, &server.Options{HTTPHost: "127.0.0.1", HTTPPort: server.RANDOM_PORT})
	_, monitor, _ := net.SplitHostPort(other.NATS.MonitorAddr().String())
	for _, port := range []string{monitor, "1"} {
		x, err := examineAt(context.Background(), broker.Config{DSN: ours.URL}, port)
		if err != nil || len(x.Servers) != 1 || x.Servers[0].Waiting != nil {
			t.Errorf("monitoring at %s: %+v, %v; want a server that does not tell its limit", port, x, err)
		}
	}
}

func TestAnExaminationTellsWhatTheUserMayNot(t *testing.T) {
	allowed, none := &server.SubjectPermission{Allow: []string{"shop.>"}}, &server.SubjectPermission{Deny: []string{">"}}
	for name, tc := range map[string]struct {
		may                server.Permissions
		subscribe, publish string
	}{
		"all of the prefix": {may: server.Permissions{Publish: allowed, Subscribe: allowed}},
		"no subscribing":    {may: server.Permissions{Publish: allowed, Subscribe: none}, subscribe: "Permissions Violation"},
		"no publishing":     {may: server.Permissions{Publish: none, Subscribe: allowed}, publish: "Permissions Violation"},
		"neither":           {may: server.Permissions{Publish: none, Subscribe: none}, subscribe: "Permissions Violation", publish: "Permissions Violation"},
	} {
		s := natstest.Start(t, &server.Options{Users: []*server.User{{Username: "limited", Password: "hunter2", Permissions: &tc.may}}})
		x, err := Driver.Examine(context.Background(), broker.Config{DSN: withUser(s.URL, "limited:hunter2"), Prefix: "shop."})
		if err != nil {
			t.Fatal(err)
		}
		for what, got := range map[string]struct {
			err  error
			want string
		}{"subscribe": {x.Subscribe, tc.subscribe}, "publish": {x.Publish, tc.publish}, "hear": {x.Deaf, ""}} {
			said := ""
			if got.err != nil {
				said = got.err.Error()
			}
			if (said == "") != (got.want == "") || !strings.Contains(said, got.want) || strings.Contains(said, "hunter2") {
				t.Errorf("%s: %s: %q, want %q in it", name, what, said, got.want)
			}
		}
	}
}

func TestAnExaminationOfNothingSaysWhy(t *testing.T) {
	s := natstest.Start(t, &server.Options{Authorization: "right"})
	for dsn, want := range map[string]string{withUser(s.URL, "hunter2"): "Authorization Violation", "nats://127.0.0.1:1": "connection refused", "http://x": "a URL begins with"} {
		if _, err := Driver.Examine(context.Background(), broker.Config{DSN: dsn}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", dsn, err, want)
		}
	}
}
