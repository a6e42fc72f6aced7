package session

import (
	"encoding/binary"
	"net/netip"
	"sync"

	"wsify/internal/slab"
)

// addresses counts the places of each client address. It has an entry for each address
// that has a place, so connections bound it; an entry takes some 50 bytes. A connection
// keeps the entry's number and not the address, because the kernel forgets the address of
// a connection that was reset.
type addresses struct {
	mu      sync.Mutex              // a leaf lock, taken once for an upgrade and once for its end
	numbers map[uint64]uint32       // of entries, by key; guarded by mu
	entries slab.Pool[addressEntry] // guarded by mu
	peak    int                     // the most entries that numbers has had; guarded by mu
}

type addressEntry struct {
	key    uint64
	places uint32
}

// addressKey is the part of an address that counts: an IPv4 address, or the first 64 bits
// of an IPv6 address, because a single host has a whole /64 to choose from. An IPv4 address
// equals a prefix in 0::/32, which is reserved and has no hosts but ::1.
func addressKey(addr netip.Addr) uint64 {
	if addr = addr.Unmap(); addr.Is4() {
		b := addr.As4()
		return uint64(binary.BigEndian.Uint32(b[:]))
	}
	b := addr.As16()
	return binary.BigEndian.Uint64(b[:8])
}

// take counts a place of addr and returns the number of its entry, which is never 0. ok is
// false if the address has most places or more.
func (a *addresses) take(addr netip.Addr, most int) (number uint32, ok bool) {
	key := addressKey(addr)
	a.mu.Lock()
	defer a.mu.Unlock()
	number, known := a.numbers[key]
	if !known {
		number = a.add(key)
	}
	e := a.entries.At(number)
	if e.places >= uint32(most) {
		return 0, false
	}
	e.places++
	return number, true
}

// add makes an entry. mu is locked.
func (a *addresses) add(key uint64) uint32 {
	if a.numbers == nil {
		a.numbers = make(map[uint64]uint32)
	}
	number, e := a.entries.Take()
	*e = addressEntry{key: key}
	a.numbers[key] = number
	a.peak = max(a.peak, len(a.numbers))
	return number
}

// giveBack frees a place of the entry with this number. The last one removes the entry.
func (a *addresses) giveBack(number uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.entries.At(number)
	if e.places--; e.places == 0 {
		delete(a.numbers, e.key)
		a.entries.Give(number)
	}
}

// keepNumbers is how many entries are copied at once to give the memory of more back.
const keepNumbers = 4 << 10

// tidy frees memory after a burst: a map never shrinks by itself. Loops wait for mu, so a
// map that is still large stays.
func (a *addresses) tidy() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries.Trim()
	n := len(a.numbers)
	if a.peak <= keepNumbers || n > keepNumbers {
		return
	}
	numbers := make(map[uint64]uint32, n)
	for key, number := range a.numbers {
		numbers[key] = number
	}
	a.numbers, a.peak = numbers, n
}
