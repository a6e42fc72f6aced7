package redis

import (
	"fmt"
	"strings"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/redistest"
)

// A server whose first replica comes changes its replication ID, and loses nothing. Connections from
// before and new ones have to agree about the run, or each ends the epoch of the other for ever.
func TestNodesAgreeAboutTheRunWhenAReplicaComes(t *testing.T) {
	s := redistest.Start(t, "--repl-diskless-sync-delay", "0")
	old := upNode(t, keeping(s.DSN()))
	before := runOf(s.Says("INFO", "replication"))
	old.Place("h", "1")
	redistest.Start(t, "--replicaof", "127.0.0.1", fmt.Sprint(s.Port))
	brokertest.Until(t, "the server has another ID", func() bool {
		now := runOf(s.Says("INFO", "replication"))
		return now != "" && now != before
	})
	recent := upNode(t, keeping(s.DSN()))
	var at broker.Position
	brokertest.Until(t, "the older node goes on with the epoch of the other", func() bool {
		at = recent.Place("h", "2")
		return old.Place("h", "3").Epoch == at.Epoch && old.Read("h", at, 0).Tail.Epoch == at.Epoch
	})
	for _, n := range []*brokertest.Node{recent, old, recent} {
		if page := n.Read("h", at, 0); !page.Complete {
			t.Errorf("after %q, %+v is read", at, page)
		}
		if got := n.Place("h", "4"); got.Epoch != at.Epoch {
			t.Errorf("%q follows %q", got, at)
		}
	}
}

// A replica has the run of its master. When it takes over it may lack publications, so who has asked
// it before must not go on with their epoch.
func TestTheRunOfAReplicaIsNotUsed(t *testing.T) {
	master := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof", "127.0.0.1", fmt.Sprint(master.Port))
	brokertest.Until(t, "the replica follows", func() bool {
		return strings.Contains(replica.Says("INFO", "replication"), "master_link_status:up")
	})
	o, err := parseDSN(replica.DSN())
	if err != nil {
		t.Fatal(err)
	}
	cfg := keeping(replica.DSN())
	d := &dialer{o: o, timeout: o.timeout, log: discard, limit: 100, keep: newKeeper(cfg.History, false)}
	for s, want := range map[*redistest.Server]bool{master: true, replica: false} {
		c, err := d.keeping(t.Context(), s.Addr)
		if err == nil {
			c.close()
		}
		if (err == nil) != want {
			t.Errorf("the run of %s: %v", s.Says("ROLE"), err)
		}
	}
}
