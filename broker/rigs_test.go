package broker

import (
	"testing"

	"github.com/nats-io/nats.go"

	"wsify/internal/natstest"
	"wsify/internal/redistest"
)

// rigs are the engines that pass the suite, by name.
var rigs = map[string]func(t testing.TB) *rig{
	"memory": memoryRig,
	"fake":   fakeRig,
	"redis":  redisRig,
	"nats":   natsRig,
}

func memoryRig(testing.TB) *rig {
	return &rig{open: func(testing.TB, Config) anyBroker { return &Memory{} }, oneOrder: true}
}

// redisRig is a Redis server of Debian's.
func redisRig(t testing.TB) *rig {
	s := redistest.Start(t)
	return &rig{
		oneOrder: true,
		open: func(t testing.TB, cfg Config) anyBroker {
			cfg.DSN = s.DSN()
			r, err := NewRedis(cfg)
			if err != nil {
				t.Fatal(err)
			}
			return r
		},
		stop:    func(testing.TB) { s.Stop() },
		start:   func(testing.TB) { s.Restart() },
		publish: func(_ testing.TB, channel, content string) { s.CLI("PUBLISH", channel, content) },
	}
}

// natsRig is a NATS server in this process.
func natsRig(t testing.TB) *rig {
	s := natstest.Start(t, nil)
	return &rig{
		open: func(t testing.TB, cfg Config) anyBroker {
			cfg.DSN = s.URL
			r, err := NewNATS(cfg)
			if err != nil {
				t.Fatal(err)
			}
			return r
		},
		stop:  func(testing.TB) { s.Stop() },
		start: func(testing.TB) { s.Restart() },
		publish: func(t testing.TB, channel, content string) {
			nc, err := nats.Connect(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if err := nc.Publish(channel, []byte(content)); err != nil {
				t.Fatal(err)
			}
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
		},
	}
}
