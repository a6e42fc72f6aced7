package broker_test

import (
	"errors"
	"strings"
	"testing"

	natsgo "github.com/nats-io/nats.go"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/broker/nats"
	"wsify/broker/redis"
	"wsify/internal/natstest"
	"wsify/internal/redistest"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

var errBusy = errors.New("busy for the test")

// rig is an engine and how nodes get a broker of it.
type rig struct {
	open brokertest.Open
	// oneOrder says that publications of different nodes have one order everywhere.
	oneOrder bool

	// Of an engine that is reached by a network: its driver, the address of its server,
	// and what stands before that in a DSN.
	driver       broker.Driver
	addr, scheme string

	// What follows is nil for a broker without an engine. stop ends the engine
	// without a warning, start brings it back under the same address, and publish is
	// what another client of it does.
	stop    func()
	start   func()
	publish func(t testing.TB, channel, content string)
}

// rigs are the engines that pass the suite, by name.
var rigs = map[string]func(t testing.TB) *rig{
	"memory": func(testing.TB) *rig { return &rig{open: broker.MemoryDriver.Open, oneOrder: true} },
	"fake":   fakeRig,
	"redis":  redisRig,
	"nats":   natsRig,
}

// up is a node that has reached the engine.
func (r *rig) up(t testing.TB, cfg broker.Config) *brokertest.Node {
	t.Helper()
	return brokertest.Up(t, r.open, cfg)
}

// forEach runs a test with every broker; withEngine leaves out those without one.
func forEach(t *testing.T, test func(t *testing.T, r *rig)) {
	for name, open := range rigs {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func withEngine(t *testing.T, test func(t *testing.T, r *rig)) {
	forEach(t, func(t *testing.T, r *rig) {
		if r.stop == nil {
			t.Skip("it has no engine")
		}
		test(t, r)
	})
}

// at is how brokers are opened at an address.
func at(d broker.Driver, dsn string) brokertest.Open {
	return func(cfg broker.Config) (broker.Broker, error) {
		cfg.DSN = dsn
		return d.Open(cfg)
	}
}

// redisRig is a Redis server of Debian's.
func redisRig(t testing.TB) *rig {
	s := redistest.Start(t)
	return &rig{
		oneOrder: true, driver: redis.Driver, addr: s.Addr, scheme: "redis://",
		open: at(redis.Driver, s.DSN()), stop: s.Stop, start: s.Restart,
		publish: func(_ testing.TB, channel, content string) { s.CLI("PUBLISH", channel, content) },
	}
}

// natsRig is a NATS server in this process.
func natsRig(t testing.TB) *rig {
	s := natstest.Start(t, nil)
	return &rig{
		driver: nats.Driver, addr: strings.TrimPrefix(s.URL, "nats://"), scheme: "nats://",
		open: at(nats.Driver, s.URL), stop: s.Stop, start: s.Restart,
		publish: func(t testing.TB, channel, content string) {
			nc, err := natsgo.Connect(s.URL)
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
