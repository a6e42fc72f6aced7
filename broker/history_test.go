package broker_test

import (
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/broker/redis"
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
}

func TestHistory(t *testing.T) {
	for name, open := range historyRigs {
		t.Run(name, func(t *testing.T) { brokertest.History(t, open) })
	}
}
