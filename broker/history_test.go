package broker_test

import (
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
		return &brokertest.HistoryRig{Open: at(redis.Driver, s.DSN()), Nodes: 2, Restart: s.Restart}
	},
	"nats": func(t *testing.T) *brokertest.HistoryRig {
		s := natstest.Start(t, &natsserver.Options{JetStream: true, StoreDir: t.TempDir()})
		return &brokertest.HistoryRig{Nodes: 2, Restart: func() { s.Stop(); s.Restart() }, Open: func(cfg broker.Config) (broker.Broker, error) {
			cfg.DSN, cfg.Prefix = s.URL, "shop."
			return nats.Driver.Open(cfg)
		}}
	},
}

func TestHistory(t *testing.T) {
	for name, open := range historyRigs {
		t.Run(name, func(t *testing.T) { brokertest.History(t, open) })
	}
}
