package nats

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// oldServer passes questions about history on as a server before 2.11 understands them, which returns
// one publication at a time, and calls before with the number of each. It returns the beginning of
// the subjects.
func oldServer(t *testing.T, nc *nats.Conn, before func(n int)) (api string) {
	t.Helper()
	n := 0
	for _, verb := range []string{"DIRECT.GET.WSIFY_shop", "STREAM.MSG.GET.WSIFY_shop"} {
		_, err := nc.Subscribe("OLD."+verb, func(m *nats.Msg) {
			var r getRequest
			if err := json.Unmarshal(m.Data, &r); err != nil {
				t.Errorf("%s: %v", m.Data, err)
			}
			if r.Next != "" && r.Batch > 0 {
				n++
				before(n)
			}
			r.Batch, r.MaxBytes = 0, 0
			request, _ := json.Marshal(r)
			if err := nc.PublishRequest("$JS.API."+verb, m.Reply, request); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return "OLD."
}

// What is dropped while it is read, to make room for others, is not passed over.
func TestWhatIsDroppedWhileItIsReadIsNotPassedOver(t *testing.T) {
	s := startStreams(t)
	cfg := keeping(s.URL)
	cfg.History.Size = 10
	n := upNode(t, cfg)
	n.Place("h0", "the stream begins here")
	for name, at := range map[string]int{"hbefore": 1, "hbetween": 4} {
		t.Run(name, func(t *testing.T) {
			nc, _, _ := streams(t, s.URL)
			k, err := openKeeper(t.Context(), newPlan(cfg, mustDSN(t, s.URL)), nc)
			if err != nil {
				t.Fatal(err)
			}
			k.api = oldServer(t, nc, func(answer int) {
				for i := range 7 {
					if answer == at {
						n.Place(name, fmt.Sprint("meanwhile ", i))
					}
				}
			})
			began := n.Place(name, "0")
			for i := range 10 {
				n.Place(name, fmt.Sprint(i+1))
			}
			ctx, cancel := context.WithTimeout(t.Context(), brokertest.Patience)
			defer cancel()
			page, err := k.read(ctx, name, inbound+"shop."+name, began, 0)
			if err != nil || page.Complete {
				t.Errorf("of 10 publications, 6 were dropped: %d are read, complete: %t, %v", len(page.Entries), page.Complete, err)
			}
			for i, e := range page.Entries {
				if i > 0 && e.Head.Position.Offset != page.Entries[i-1].Head.Position.Offset+1 {
					t.Errorf("%q follows %q", e.Head.Position, page.Entries[i-1].Head.Position)
				}
			}
		})
	}
}

// A stream that has kept less does not remember what it dropped.
func TestMoreHistoryIsAnotherEpoch(t *testing.T) {
	s := startStreams(t)
	cfg := keeping(s.URL)
	cfg.History.Size = 5
	n := upNode(t, cfg)
	n.Place("h0", "the stream begins here")
	at := n.Place("h", "0")
	for i := range 20 {
		n.Place("h", fmt.Sprint(i))
	}
	larger := upNode(t, keeping(s.URL))
	if page := larger.Read("h", at, 0); page.Complete {
		t.Errorf("of 20 publications, %d are read as all", len(page.Entries))
	}
}

// A node that has not begun anew with the others may read a stream that keeps less than it thinks.
func TestLessHistoryIsNoticedByOtherNodes(t *testing.T) {
	s := startStreams(t)
	n := upNode(t, keeping(s.URL))
	n.Place("h0", "the stream begins here")
	at := n.Place("h", "0")
	for i := range 20 {
		n.Place("h", fmt.Sprint(i))
	}
	cfg := keeping(s.URL)
	cfg.History.Size = 5
	upNode(t, cfg)
	if page := n.Read("h", at, 0); page.Complete {
		t.Errorf("of 20 publications, %d are read as all", len(page.Entries))
	}
}

// A member that has missed nothing is not told of a gap because its channel was empty when somebody
// asked for more.
func TestAQuietChannelGoesOnWhenItsHistoryWasRead(t *testing.T) {
	cfg := keeping(startStreams(t).URL)
	cfg.History.TTL = 300 * time.Millisecond
	n := upNode(t, cfg)
	n.Join("h")
	first := n.Place("h", "1")
	n.Place("h2", "of another channel")
	n.Until("all have expired", func() bool { return len(n.Read("h2", broker.Position{}, 1).Entries) == 0 })
	n.Read("h", broker.Position{}, 5)
	n.Read("h", first, 0)
	n.Place("h", "2")
	n.Until("both have come", func() bool { return len(n.Heard("h")) == 2 })
	if heard := n.Heard("h"); heard[1].Head.Prev != first.Offset {
		t.Errorf("after %q comes %+v", first, heard[1].Head)
	}
}
