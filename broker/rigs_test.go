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

// rig is an engine, and a way to open brokers of it.
type rig struct {
	open brokertest.Open
	// oneOrder means that publications of different nodes have one order everywhere.
	oneOrder bool

	// Of an engine that is reached over a network: its driver, the address of its server, and the
	// part of a DSN before the address.
	driver       broker.Driver
	addr, scheme string

	// These are nil for a broker without an engine. stop ends the engine without a warning, start
	// starts it again at the same address, and publish publishes as another client of it.
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

// up returns a node that has reached the engine.
func (r *rig) up(t testing.TB, cfg broker.Config) *brokertest.Node {
	t.Helper()
	return brokertest.Up(t, r.open, cfg)
}

// forEach runs a test with every broker; withEngine omits those without an engine.
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

// at returns a function that opens brokers at an address.
func at(d broker.Driver, dsn string) brokertest.Open {
	return func(cfg broker.Config) (broker.Broker, error) {
		cfg.DSN = dsn
		return d.Open(cfg)
	}
}

// redisRig runs a Redis server from Debian.
func redisRig(t testing.TB) *rig {
	s := redistest.Start(t)
	return &rig{
		oneOrder: true, driver: redis.Driver, addr: s.Addr, scheme: "redis://",
		open: at(redis.Driver, s.DSN()), stop: s.Stop, start: s.Restart,
		publish: func(_ testing.TB, channel, content string) { s.CLI("PUBLISH", channel, content) },
	}
}

// natsRig runs a NATS server in this process.
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
