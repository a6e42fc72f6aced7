package session

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wsify/internal/testtool"
	"wsify/netpoll"
)

// fakeClock is a clock that a test moves.
type fakeClock struct{ at atomic.Int64 }

func (c *fakeClock) now() time.Time        { return time.Unix(1_000_000, c.at.Load()) }
func (c *fakeClock) move(by time.Duration) { c.at.Add(int64(by)) }

// upgradeRefused sends an upgrade that must be refused, and checks the answer and its count.
func upgradeRefused(t *testing.T, srv *Server, status int, reason string) {
	t.Helper()
	before := srv.Stats().Rejected[reason]
	p := dial(t, srv)
	p.write(upgradeHead("/ws"))
	res := p.expectStatus(status)
	if n, err := strconv.Atoi(res.header.Get("Retry-After")); err != nil || n < 1 || n > 9 {
		t.Errorf("Retry-After is %q, want 1 to 9 seconds", res.header.Get("Retry-After"))
	}
	if res.body == "" {
		t.Error("the answer does not say why")
	}
	p.expectEnd()
	if got := srv.Stats().Rejected[reason]; got != before+1 {
		t.Errorf("Rejected[%s] grew by %d, want 1", reason, got-before)
	}
}

// placesTaken waits until so many places are taken.
func placesTaken(t testing.TB, srv *Server, want int64) {
	t.Helper()
	testtool.Until(t, fmt.Sprint(want, " places are taken"), func() bool { return srv.admission.taken.Load() == want })
}

func TestTheConnectionAfterTheLastPlaceIsRefused(t *testing.T) {
	srv := start(t, Config{Limits: Limits{MaxConnections: 3}})
	connect(t, srv, "/ws")
	connect(t, srv, "/ws")
	if why := srv.Full(); why != "" {
		t.Errorf("with a free place: %q", why)
	}
	last := connect(t, srv, "/ws")
	if why := srv.Full(); !strings.Contains(why, "full: 3 sessions") || !strings.Contains(why, "-max-connections") {
		t.Errorf("without a free place: %q", why)
	}
	upgradeRefused(t, srv, 503, "max_connections")
	last.usable()
	post201(t, srv, "a", "1") // publications of backends need no place
	_ = last.Close()
	placesTaken(t, srv, 2)
	connect(t, srv, "/ws").usable()
	upgradeRefused(t, srv, 503, "max_connections")
}

// However many clients connect at the same moment, on all loops: exactly as many as there
// are places are let in, and never one more is in.
func TestRacingClientsGetExactlyThePlacesThereAre(t *testing.T) {
	const places, clients = 10, 64
	srv := startOn(t, anyAddr, Config{Loops: 4, Limits: Limits{MaxConnections: places}})
	for round := range unlessRace(20, 5) {
		var in atomic.Int64
		conns := make([]rawClient, clients)
		inParallel(t, clients, clients, func(_, i int) (err error) {
			if conns[i], err = dialRaw(srv.Addr(), i+1); err != nil {
				return err
			}
			if err = conns[i].upgrade(); err == nil {
				in.Add(1)
			} else if strings.Contains(err.Error(), "HTTP/1.1 503 ") {
				err = nil
			}
			return err
		})
		if got := in.Load(); got != places {
			t.Errorf("round %d: %d clients were let in, want %d", round, got, places)
		}
		for _, c := range conns {
			c.reset()
		}
		placesTaken(t, srv, 0)
	}
}

// Clients come and go all the time. Those that know themselves to be in are never more
// than there are places.
func TestComingAndGoingNeverExceedsThePlaces(t *testing.T) {
	const places = 5
	srv := startOn(t, anyAddr, Config{Loops: 4, Limits: Limits{MaxConnections: places}})
	var in, most, refusals atomic.Int64
	inParallel(t, 16, unlessRace(4000, 500), func(worker, _ int) error {
		c, err := dialRaw(srv.Addr(), worker+1)
		if err != nil {
			return err
		}
		if err := c.upgrade(); err != nil {
			c.close()
			refusals.Add(1)
			return nil
		}
		n := in.Add(1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		in.Add(-1)
		c.reset()
		return nil
	})
	if most.Load() > places || refusals.Load() == 0 {
		t.Errorf("up to %d were in at once, and %d refused; want at most %d, and some", most.Load(), refusals.Load(), places)
	}
}

func TestAnUpgradeThatWaitsForTheAuthorizerHasAPlace(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL, Limits: Limits{MaxConnections: 2}})
	release := hook.hold(is("connect"))
	var waiting []*peer
	for range 2 {
		p := dial(t, srv)
		p.write(upgradeHead("/ws"))
		waiting = append(waiting, p)
	}
	hook.awaitQuestions(2, "connect")
	upgradeRefused(t, srv, 503, "max_connections")
	if n := len(hook.questions("connect")); n != 2 {
		t.Errorf("the authorizer was asked %d times, want 2: not about the refused one", n)
	}
	release()
	for _, p := range waiting {
		p.expectUpgrade()
	}
	upgradeRefused(t, srv, 503, "max_connections")
}

func TestADeniedUpgradeGivesItsPlaceBack(t *testing.T) {
	hook := newWebhook(t, func(question) int { return 403 })
	srv := start(t, Config{AuthorizerURL: hook.URL, Limits: Limits{MaxConnections: 1}})
	for range 5 {
		p := dial(t, srv)
		p.write(upgradeHead("/ws"))
		p.expectStatus(403)
		_ = p.Close()
		placesTaken(t, srv, 0)
	}
}

// Every kind of life gives its place back, once (I13).
func TestChurnGivesEveryPlaceBack(t *testing.T) {
	srv := startOn(t, anyAddr, Config{Limits: Limits{MaxConnections: 2000, MaxConnectionsPerAddress: 2000}})
	churn(t, srv, unlessRace(2000, 200))
	placesTaken(t, srv, 0)
}

// A connection that another process hands over is judged like an accepted one. One that is
// handed over to another process gives its place back.
func TestAConnectionThatIsHandedOverHasAPlaceOnce(t *testing.T) {
	srv := start(t, Config{Limits: Limits{MaxConnections: 1}})
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	if err := srv.group.Adopt(fds[0], []byte(upgradeHead("/ws"))); err != nil {
		t.Fatal(err)
	}
	placesTaken(t, srv, 1)
	upgradeRefused(t, srv, 503, "max_connections")
	for _, l := range srv.loops {
		onLoop(t, l, func() {
			l.net.Each(func(c *netpoll.Conn) {
				if l.session(c).state == open {
					l.drop(l.session(c))
					l.vacate(c)
					_ = unix.Close(c.Detach())
				}
			})
		})
	}
	placesTaken(t, srv, 0)
	connect(t, srv, "/ws")
	upgradeRefused(t, srv, 503, "max_connections")
}

// The bucket of -accept-rate is full at the start, and gets one more each 1/rate seconds.
func TestUpgradesBeyondTheAcceptRateAreRefused(t *testing.T) {
	var clock fakeClock
	srv := start(t, Config{Now: clock.now, Limits: Limits{AcceptRate: 4}})
	for range 4 {
		connect(t, srv, "/ws")
	}
	upgradeRefused(t, srv, 503, "accept_rate")
	clock.move(249 * time.Millisecond)
	upgradeRefused(t, srv, 503, "accept_rate")
	clock.move(time.Millisecond)
	connect(t, srv, "/ws").usable()
	upgradeRefused(t, srv, 503, "accept_rate")
	clock.move(time.Hour)
	for range 4 {
		connect(t, srv, "/ws")
	}
	upgradeRefused(t, srv, 503, "accept_rate")
	if why := srv.Full(); why != "" {
		t.Errorf("a rate is no lack of places: %q", why)
	}
}

// An upgrade that is refused for another reason does not use the rate up, and one that the
// rate refuses takes no place.
func TestARefusedUpgradeUsesNothingUp(t *testing.T) {
	var clock fakeClock
	srv := start(t, Config{Now: clock.now, AllowedOrigins: []string{"https://a.example"}, Limits: Limits{MaxConnections: 1, AcceptRate: 2}})
	p := dial(t, srv)
	p.write(upgradeHead("/ws", "Origin: https://b.example"))
	p.expectStatus(403)
	first := connect(t, srv, "/ws")
	for range 3 {
		upgradeRefused(t, srv, 503, "max_connections")
	}
	_ = first.Close()
	placesTaken(t, srv, 0)
	second := connect(t, srv, "/ws")
	_ = second.Close()
	placesTaken(t, srv, 0)
	upgradeRefused(t, srv, 503, "accept_rate")
	placesTaken(t, srv, 0)
}

func TestWithoutLimitsAConnectionHasNoPlace(t *testing.T) {
	srv := start(t, Config{Loops: 1, Limits: Limits{AcceptRate: 1000}})
	connect(t, srv, "/ws")
	onLoop(t, srv.loops[0], func() {
		if srv.loops[0].places.Has(0) {
			t.Error("there is memory for places")
		}
	})
}
