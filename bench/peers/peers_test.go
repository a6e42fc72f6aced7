//go:build linux

package peers_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"wsify/bench/internal/scenario"
	"wsify/bench/internal/swarm"
)

// Each peer, as a process, gives every member every publication exactly once.
func TestEachPeerDelivers(t *testing.T) {
	for name, dialect := range map[string]string{"nbio": "", "gws": "", "gobwas": "", "gorilla": "", "centrifuge": "centrifuge"} {
		t.Run(name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), name)
			if out, err := exec.Command("go", "build", "-o", program, "./"+name).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			server, err := scenario.Contender{Name: name, Command: []string{program}}.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s, err := swarm.New()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			target := swarm.Target{Addr: server.Addr, Host: server.Addr, Dialect: dialect}
			for group, n := range map[string]int{"members": 20, "publisher": 1} {
				if o := opened(s, swarm.Plan{Group: group, Target: target, N: n, Channel: "c", Joins: 1}); o.Open != n {
					t.Fatalf("%s: %+v", group, o)
				}
			}
			const count = 50
			_ = s.Watch(swarm.Args{Group: "members", Count: count, Members: 20}, nil)
			talked(s, swarm.Talk{Group: "publisher", Channel: "c", Count: count, Size: 100})
			for n := range uint32(count) {
				if err := s.Await(swarm.Args{Group: "members", First: n, Seconds: 20}, nil); err != nil {
					t.Fatalf("%v: %+v", err, heard(s, count))
				}
			}
			if h := heard(s, count); h.Messages != 20*count || h.Doubles+h.Missing > 0 {
				t.Errorf("%+v", h)
			}
			if h := talked(s, swarm.Talk{Group: "publisher", Channel: "c", Count: 1, First: count}); h.Missing > 0 {
				t.Errorf("%+v", h)
			}
		})
	}
}

func opened(s *swarm.Swarm, p swarm.Plan) (o swarm.Opened) { _ = s.Open(p, &o); return o }

func talked(s *swarm.Swarm, t swarm.Talk) (h swarm.Heard) { _ = s.Talk(t, &h); return h }

func heard(s *swarm.Swarm, end uint32) (h swarm.Heard) {
	_ = s.Heard(swarm.Args{Group: "members", First: end}, &h)
	return h
}
