package session

import (
	"fmt"
	"testing"
	"time"
)

// reloadLimits puts limits in force while the node runs.
func (srv *Server) reloadLimits(limits Limits) {
	cfg := srv.cfg
	cfg.Limits = limits
	srv.Reload(cfg)
}

// Connections that are open when a limit is lowered stay. The next one is judged by it.
func TestAReloadChangesTheNumberOfPlaces(t *testing.T) {
	srv := start(t, Config{Limits: Limits{MaxConnections: 3, MaxConnectionsPerAddress: 3}})
	first := connect(t, srv, "/ws")
	second := connect(t, srv, "/ws")
	srv.reloadLimits(Limits{MaxConnections: 1, MaxConnectionsPerAddress: 3})
	upgradeRefused(t, srv, 503, "max_connections")
	second.usable()
	_ = second.Close()
	placesTaken(t, srv, 1)
	upgradeRefused(t, srv, 503, "max_connections")
	srv.reloadLimits(Limits{MaxConnections: 10, MaxConnectionsPerAddress: 1})
	upgradeRefused(t, srv, 429, "max_connections_per_address")
	_ = first.Close()
	placesTaken(t, srv, 0)
	connect(t, srv, "/ws")
	srv.reloadLimits(Limits{})
	for range 5 {
		connect(t, srv, "/ws")
	}
}

// Connections from before are not counted, so these two limits begin with the process.
func TestALimitOnConnectionsDoesNotBeginWithAReload(t *testing.T) {
	for _, before := range []Limits{{}, {MaxConnections: 100}, {MaxConnectionsPerAddress: 100}} {
		srv := start(t, Config{Limits: before})
		open := connect(t, srv, "/ws")
		srv.reloadLimits(Limits{MaxConnections: 100 * before.MaxConnections, MaxConnectionsPerAddress: 100 * before.MaxConnectionsPerAddress})
		srv.reloadLimits(Limits{MaxConnections: max(before.MaxConnections, 1), MaxConnectionsPerAddress: max(before.MaxConnectionsPerAddress, 1)})
		for range 3 {
			connect(t, srv, "/ws")
		}
		open.usable()
	}
}

func TestAReloadChangesTheRates(t *testing.T) {
	srv, clock := startRated(t, Config{})
	p := connect(t, srv, "/ws")
	join := func(id int, want string) {
		t.Helper()
		p.send(joinMessage(id))
		p.expectText(fmt.Sprintf(want, id))
	}
	join(0, okReply)
	limits := Limits{AcceptRate: 1, CommandRate: 1, CommandBurst: 2, DropOverRate: true, PublishRate: 1}
	srv.reloadLimits(limits)
	connect(t, srv, "/ws")
	upgradeRefused(t, srv, 503, "accept_rate")
	post201(t, srv, "c", "1")
	if res := post(t, srv, "/broadcast", `{"channel":"c"}`); res.status != 429 {
		t.Errorf("the second publication got %d, want 429", res.status)
	}
	join(1, okReply) // a session from before has a bucket, too
	join(2, okReply)
	join(3, overRate)
	srv.reloadLimits(limits) // what has not changed goes on
	upgradeRefused(t, srv, 503, "accept_rate")
	join(4, overRate)
	limits.CommandRate, limits.CommandBurst, limits.DropOverRate = 10, 3, false
	srv.reloadLimits(limits) // what has changed begins with a full bucket
	for id := range 3 {
		join(5+id, okReply)
	}
	clock.move(100 * time.Millisecond)
	join(8, okReply)
	p.send(joinMessage(9))
	p.expectClose(4029)
	srv.reloadLimits(Limits{})
	q := connect(t, srv, "/ws")
	for id := range 5 {
		q.send(broadcastMessage("c", "1", id))
		q.expectText(fmt.Sprintf(okReply, id))
	}
}
