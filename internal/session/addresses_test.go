package session

import (
	"hash/maphash"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"unsafe"
	"wsify/internal/testtool"
)

// dialFrom is dial from an address of this machine.
func dialFrom(t testing.TB, srv *Server, source string) *peer {
	t.Helper()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: patience}
	conn, err := from.Dial("tcp", srv.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return newPeer(t, conn)
}

// connectFrom sends an upgrade from an address of this machine.
func connectFrom(t testing.TB, srv *Server, source string) *peer {
	t.Helper()
	p := dialFrom(t, srv, source)
	p.write(upgradeHead("/ws"))
	return p
}

func TestTheConnectionAfterTheLastPlaceOfAnAddressIsRefused(t *testing.T) {
	srv := start(t, Config{Limits: Limits{MaxConnectionsPerAddress: 2}})
	first := connectFrom(t, srv, "127.0.0.1")
	first.expectUpgrade()
	connectFrom(t, srv, "127.0.0.1").expectUpgrade()
	upgradeRefused(t, srv, 429, "max_connections_per_address")
	if why := srv.Full(); why != "" {
		t.Errorf("one address has no places left, and others have: %q", why)
	}
	for range 2 {
		connectFrom(t, srv, "127.0.0.2").expectUpgrade()
	}
	connectFrom(t, srv, "127.0.0.2").expectStatus(429)
	placesTaken(t, srv, 4)
	first.reset() // the kernel forgets its address
	placesTaken(t, srv, 3)
	connectFrom(t, srv, "127.0.0.1").expectUpgrade()
	upgradeRefused(t, srv, 429, "max_connections_per_address")
}

// An upgrade that its address has no place for takes no other place either.
func TestAnAddressWithoutPlacesTakesNoneOfTheNode(t *testing.T) {
	srv := start(t, Config{Limits: Limits{MaxConnections: 2, MaxConnectionsPerAddress: 1}})
	connectFrom(t, srv, "127.0.0.1").expectUpgrade()
	for range 3 {
		upgradeRefused(t, srv, 429, "max_connections_per_address")
	}
	connectFrom(t, srv, "127.0.0.2").expectUpgrade()
	upgradeRefused(t, srv, 503, "max_connections")
}

func TestPeersOfAUnixSocketHaveNoAddressToLimit(t *testing.T) {
	srv := startOn(t, "unix:"+filepath.Join(shortDir(t), "s"), Config{Limits: Limits{MaxConnections: 3, MaxConnectionsPerAddress: 1}})
	for range 3 {
		connect(t, srv, "/ws")
	}
	upgradeRefused(t, srv, 503, "max_connections")
}

func TestAnIPv6AddressCountsByItsPrefix(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
		{"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
		{"::1", "127.0.0.1", false},
		{"192.0.2.1", "192::2:1", false},
		{"2001:db8::1", "0.0.0.0", false},
	} {
		a, b := netip.MustParseAddr(c.a), netip.MustParseAddr(c.b)
		if got := addressKey(a) == addressKey(b); got != c.same {
			t.Errorf("%s and %s count as one: %v, want %v", a, b, got, c.same)
		}
	}
}

// entriesOf returns how many entries there are.
func entriesOf(a *addresses) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, shard := range a.shards {
		n += len(shard)
	}
	return n
}

// replay opens and closes connections as the script says, with addresses and with a map,
// and compares them after each step. A byte below 128 is an upgrade from that address, any
// other is the end of one of the connections.
func replay(t *testing.T, script []byte, most int) {
	t.Helper()
	var a addresses
	twin := map[place]int{}
	var held []place
	for step, op := range script {
		if op >= 128 && len(held) > 0 {
			i := int(op-128) % len(held)
			p := held[i]
			a.giveBack(p)
			if twin[p]--; twin[p] == 0 {
				delete(twin, p)
			}
			held = slices.Delete(held, i, i+1)
		} else {
			addr := netip.AddrFrom4([4]byte{10, 0, 0, op % 128})
			p, ok := a.take(addr, most)
			if ok == (p <= noAddress) {
				t.Fatalf("step %d: take(%s) = %d, %v", step, addr, p, ok)
			}
			if !ok {
				p = max(place(maphash.Comparable(a.seed, addressKey(addr))), noAddress+1)
			}
			if want := twin[p] < most; ok != want {
				t.Fatalf("step %d: take(%s) = %d, %v, want %v", step, addr, p, ok, want)
			}
			if ok {
				twin[p]++
				held = append(held, p)
			}
		}
		if n := entriesOf(&a); n != len(twin) {
			t.Fatalf("step %d: %d entries, want %d", step, n, len(twin))
		}
	}
	for p, n := range twin {
		for range n {
			a.giveBack(p)
		}
	}
	if n := entriesOf(&a); n != 0 {
		t.Fatalf("%d entries are left", n)
	}
}

func TestAddressesCountLikeAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, most := range []int{1, 2, 7, 1 << 30} {
		for _, alphabet := range []int{2, 16, 128} {
			script := make([]byte, unlessRace(5000, 500))
			for i := range script {
				script[i] = byte(r.IntN(alphabet) + 128*r.IntN(2))
			}
			replay(t, script, most)
		}
	}
}

func FuzzAddressesCountLikeAMap(f *testing.F) {
	f.Add([]byte{1, 1, 1, 128, 1, 2, 129, 128}, uint8(2))
	f.Add([]byte{0, 127, 255, 255, 0}, uint8(1))
	f.Fuzz(func(t *testing.T, script []byte, most uint8) { replay(t, script, int(max(most, 1))) })
}

func TestAnAddressMayHaveMorePlacesThanAnEntryCounts(t *testing.T) {
	var a addresses
	addr := netip.MustParseAddr("192.0.2.1")
	for _, most := range []int{countMask, countMask + 1, 3 * countMask} {
		var p place
		var ok bool
		for i := range most {
			if p, ok = a.take(addr, most); !ok {
				t.Fatalf("place %d of %d is refused", i+1, most)
			}
		}
		if _, ok := a.take(addr, most); ok {
			t.Errorf("place %d of %d is taken", most+1, most)
		}
		for range most {
			a.giveBack(p)
		}
		if n := entriesOf(&a); n != 0 {
			t.Errorf("of %d places, %d entries are left", most, n)
		}
	}
}

// Loops use the addresses at the same time. Everything is given back in the end.
func TestAddressesOfManyLoops(t *testing.T) {
	const most = 3
	var a addresses
	addr := netip.MustParseAddr("192.0.2.1")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range unlessRace(5000, 500) {
				if p, ok := a.take(addr, most); ok {
					a.giveBack(p)
				}
			}
		})
	}
	wg.Wait()
	if n := entriesOf(&a); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

// A million addresses cost what the page of limits says, and nothing when they are gone.
func TestTheMemoryOfAddressesIsGivenBack(t *testing.T) {
	const many, shards = 100_000, 24 << countBits
	if size := unsafe.Sizeof(place(0)); size != 4 {
		t.Errorf("a place has %d bytes, want 4", size)
	}
	before := testtool.Heap()
	var a addresses
	places := make([]place, many)
	for i := range places {
		places[i], _ = a.take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
	}
	if each := float64(testtool.Heap()-before-shards) / many; each > 10 {
		t.Errorf("a connection with an address of its own takes %.1f bytes, want at most 10", each)
	}
	for _, p := range places {
		if p != 0 {
			a.giveBack(p)
		}
	}
	if left := testtool.Heap() - before; left > shards+4*many+16<<10 { // places is still in use
		t.Errorf("%d bytes are left", left-4*many)
	}
	runtime.KeepAlive(&a)
	runtime.KeepAlive(places)
}

// Behind a trusted proxy each client has the places of its own address, and a /64 those of
// one. A peer that nobody trusts counts by its socket, whatever it says.
func TestClientsBehindAProxyHavePlacesOfTheirOwn(t *testing.T) {
	srv := start(t, Config{TrustedProxies: []string{"127.0.0.1"}, Limits: Limits{MaxConnectionsPerAddress: 1}})
	ask := func(source, client string, want int) *peer {
		t.Helper()
		p := dialFrom(t, srv, source)
		p.write(upgradeHead("/ws", "X-Forwarded-For: "+client))
		p.expectStatus(want)
		return p
	}
	first := ask("127.0.0.1", "2001:db8:1:2::a", 101)
	ask("127.0.0.1", "2001:db8:1:2:ffff::b", 429)
	ask("127.0.0.1", "2001:db8:1:3::a", 101)
	ask("127.0.0.1", "192.0.2.1", 101)
	ask("127.0.0.1", "192.0.2.1", 429)
	ask("127.0.0.2", "192.0.2.2", 101)
	ask("127.0.0.2", "192.0.2.3", 429)
	first.reset()
	placesTaken(t, srv, 3)
	ask("127.0.0.1", "2001:db8:1:2::c", 101)
}
