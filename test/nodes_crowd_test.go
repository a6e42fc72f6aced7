package test

import (
	"net/http"
	"syscall"
	"testing"
	"time"
)

// The number of publications to the crowd: in normal operation, and around the end of the engine.
const (
	publications       = 30_000
	publicationsAround = 20_000
	killAfter          = publicationsAround / 4
	refusalsAround     = publicationsAround / 16 // until the engine is started again
)

// TestEveryDeliveryIsAccountedFor has 5,000 clients on each of two nodes, in 1,000 channels, and
// 30,000 publications from clients and by HTTP on both. Every member receives each one of its
// channel, once, in the order that the broker promises. Then the engine is killed and restarted
// while publications go on.
func TestEveryDeliveryIsAccountedFor(t *testing.T) {
	endToEnd(t)
	onBothEngines(t, func(t *testing.T, g *guide, nodes []*server, engine *process) {
		began := time.Now()
		c := newCrowd(t, g.driver, nodes)
		t.Logf("%d clients have joined after %v", len(c.members), time.Since(began).Round(time.Millisecond))
		c.allIsWell(nodes)
		if t.Failed() {
			return
		}
		c.engineIsKilled(g, nodes, engine)
	})
}

func (c *crowd) allIsWell(nodes []*server) {
	c.t.Helper()
	began := time.Now()
	r := newRound(c, publications)
	r.publish(nodes)
	took := time.Since(began)
	a := r.settle()
	if want := (account{accepted: publications, deliveries: publications * int(r.perChannel)}); a != want && !c.t.Failed() {
		c.t.Errorf("%d publications came to %+v, want %+v", publications, a, want)
	}
	c.t.Logf("%d publications were received %d times in %v", publications, a.deliveries, took.Round(time.Millisecond))
}

// engineIsKilled publishes a round during which the engine is killed and restarted. No client loses
// its connection, and none receives a publication twice. Missing publications were under way when
// the engine ended, or while one node was ready and the other was not.
func (c *crowd) engineIsKilled(g *guide, nodes []*server, engine *process) {
	c.t.Helper()
	r := newRound(c, publicationsAround)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.breakAndMend(g, nodes, engine)
	}()
	r.publish(nodes)
	<-done
	a := r.settle()
	if a.lost > roundWindow {
		c.t.Errorf("%d publications were lost, want at most the %d that may be under way at a time", a.lost, roundWindow)
	}
	if a.refused < refusalsAround || a.resumed < killAfter {
		c.t.Errorf("%+v: the engine was not unreachable, or did not come back in time", a)
	}
	c.t.Logf("around the end of the engine: %+v", a)
}

// breakAndMend kills the engine once some of the round is under way, and restarts it when both
// nodes have refused many. It runs beside publish, which ends when this has failed.
func (r *round) breakAndMend(g *guide, nodes []*server, engine *process) {
	r.c.awaitProgress("publications before the engine is killed", &r.next, killAfter)
	r.stage.Store(outage)
	engine.stop(syscall.SIGKILL)
	began := time.Now()
	g.awaitReady(http.StatusServiceUnavailable)
	r.stage.Store(noticed)
	for _, node := range nodes {
		if status, body, err := post(node.http()+"/broadcast?key=dev", `{"channel":"elsewhere"}`); status != 503 || outcomeOf(body) != refused {
			r.c.t.Errorf("POST while the engine is unreachable: %d %q %v, want 503 and that it is not published", status, body, err)
		}
		c := dialGo(r.c.t, node.ws())
		c.expect("open")
		c.ask(`{"command":"broadcast","args":{"channel":"elsewhere"},"id":1}`, "message "+brokerAway("1"))
	}
	r.c.awaitProgress("refusals", &r.refusals, refusalsAround)
	g.engine()
	again := time.Now()
	g.awaitReady(http.StatusOK)
	r.stage.Store(resumed)
	r.giveRoom()
	r.c.t.Logf("the engine was away for %v; both nodes were ready %v after it", again.Sub(began).Round(time.Millisecond), time.Since(again).Round(time.Millisecond))
}
