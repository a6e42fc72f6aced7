package session

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
)

// addresses counts the places of each client address. A connection keeps what its address is
// known by, and not the address, because the kernel forgets that of a connection that was reset.
//
// An address is known by 32 bits of a keyed hash, its place. Its first 12 bits choose a shard.
// An entry of the shard has the other 20, and 12 bits that count, so that an address costs 4
// bytes and some room to grow. Two addresses of the same hash share their places. With a million
// addresses that is one in 4,300; nobody outside can choose which.
type addresses struct {
	mu     sync.Mutex   // a leaf lock, taken once for an upgrade and once for its end
	seed   maphash.Seed // set once, with shards; guarded by mu
	shards [][]uint32   // made by the first take; guarded by mu
}

// countBits are the bits of an entry that count; as many of a place choose the shard. An address
// with more places than they can count has several entries.
const (
	countBits = 12
	countMask = 1<<countBits - 1
)

// shard returns the shard that has the entries of p. mu is locked.
func (a *addresses) shard(p place) *[]uint32 { return &a.shards[p>>(32-countBits)] }

// has reports whether an entry of the shard of p is one of p.
func (p place) has(entry uint32) bool { return entry&^countMask == uint32(p)<<countBits }

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

// take counts a place of addr and returns it. ok is false if the address has most places or more.
func (a *addresses) take(addr netip.Addr, most int) (p place, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.shards == nil {
		a.seed, a.shards = maphash.MakeSeed(), make([][]uint32, 1<<countBits)
	}
	p = max(place(maphash.Comparable(a.seed, addressKey(addr))), noAddress+1)
	shard := a.shard(p)
	taken, free := 0, -1
	for i, entry := range *shard {
		if p.has(entry) {
			taken += int(entry & countMask)
			if entry&countMask < countMask {
				free = i
			}
		}
	}
	switch {
	case taken >= most:
		return 0, false
	case free >= 0:
		(*shard)[free]++
	default:
		if n := len(*shard); n == cap(*shard) { // append would double it
			*shard = append(make([]uint32, 0, n+n/8+2), *shard...)
		}
		*shard = append(*shard, uint32(p)<<countBits|1)
	}
	return p, true
}

// giveBack frees a place that take returned.
func (a *addresses) giveBack(p place) {
	a.mu.Lock()
	defer a.mu.Unlock()
	shard := a.shard(p)
	i := slices.IndexFunc(*shard, p.has)
	if (*shard)[i]--; (*shard)[i]&countMask > 0 {
		return
	}
	last := len(*shard) - 1
	(*shard)[i] = (*shard)[last]
	if *shard = (*shard)[:last]; last <= cap(*shard)/4 {
		*shard = append([]uint32(nil), *shard...) // frees memory after a burst
	}
}
