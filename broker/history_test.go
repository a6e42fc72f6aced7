package broker_test

import (
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/broker/nats"
	"wsify/broker/redis"
	"wsify/internal/natstest"
	"wsify/internal/redistest"
)

// historyRigs are the engines that keep history, by name.
var historyRigs = map[string]func(t *testing.T) *brokertest.HistoryRig{
	"memory": func(*testing.T) *brokertest.HistoryRig {
		return &brokertest.HistoryRig{Open: broker.MemoryDriver.Open, Nodes: 1}
	},
	"redis": func(t *testing.T) *brokertest.HistoryRig {
		s := redistest.Start(t)
		open := func(addr string) brokertest.Open { return at(redis.Driver, "redis://"+addr) }
		return &brokertest.HistoryRig{Open: open(s.Addr), Nodes: 2, Server: s.Addr, OpenAt: open, Restart: s.Restart}
	},
	"nats": func(t *testing.T) *brokertest.HistoryRig {
		s := natstest.Start(t, &natsserver.Options{JetStream: true, StoreDir: t.TempDir()})
		open := func(addr string) brokertest.Open {
			return func(cfg broker.Config) (broker.Broker, error) {
				cfg.DSN, cfg.Prefix = "nats://"+addr, "shop."
				return nats.Driver.Open(cfg)
			}
		}
		addr := strings.TrimPrefix(s.URL, "nats://")
		return &brokertest.HistoryRig{Open: open(addr), Nodes: 2, Server: addr, OpenAt: open, Restart: func() { s.Stop(); s.Restart() }}
	},
}

func TestHistory(t *testing.T) {
	for name, open := range historyRigs {
		t.Run(name, func(t *testing.T) { brokertest.History(t, open) })
	}
}
