package slab

import (
	"math/bits"
	"slices"
)

// Indexes gives out small numbers, each to one holder at a time. It takes them from
// the lowest 64 that include a free one. So numbers in use stay low, and the end of
// a slab can be freed. Among those 64 it takes the numbers in turn, so that it does
// not always reuse the same one.
//
// It has one owner and no lock, and holds at most two bits for each number. The zero
// value has given out nothing.
type Indexes struct {
	free  []uint64 // a bit for each number; 1 = free
	rows  []uint64 // a bit for each word of free that has one
	low   int      // rows before this one have none
	turn  int      // the bit where the search in a word begins
	inUse int
}

// Len returns how many numbers are in use.
func (x *Indexes) Len() int { return x.inUse }

// Take gives out a number.
func (x *Indexes) Take() uint32 {
	word := x.wordWithFree()
	bit := (x.turn + bits.TrailingZeros64(bits.RotateLeft64(x.free[word], -x.turn))) & 63
	x.turn = (bit + 1) & 63
	if x.free[word] &^= 1 << bit; x.free[word] == 0 {
		x.rows[word>>6] &^= 1 << (word & 63)
	}
	x.inUse++
	return uint32(word<<6 | bit)
}

// wordWithFree returns the first word of free that is not 0; it appends one when
// there is none.
func (x *Indexes) wordWithFree() int {
	for ; x.low < len(x.rows); x.low++ {
		if row := x.rows[x.low]; row != 0 {
			return x.low<<6 | bits.TrailingZeros64(row)
		}
	}
	word := len(x.free)
	x.free = append(x.free, ^uint64(0))
	if word>>6 == len(x.rows) {
		x.rows = append(x.rows, 0)
	}
	x.mark(word)
	return word
}

// mark records that a word of free has a number.
func (x *Indexes) mark(word int) {
	x.rows[word>>6] |= 1 << (word & 63)
	x.low = min(x.low, word>>6)
}

// Give takes a number back.
func (x *Indexes) Give(i uint32) {
	x.free[i>>6] |= 1 << (i & 63)
	x.mark(int(i >> 6))
	x.inUse--
}

// Bound returns a bound, a multiple of 64: all numbers in use are below it.
func (x *Indexes) Bound() uint32 {
	n := len(x.free)
	for n > 0 && x.free[n-1] == ^uint64(0) {
		n--
	}
	return uint32(n << 6)
}

// Trim frees the memory of the numbers from Bound on, and returns Bound.
func (x *Indexes) Trim() uint32 {
	bound := x.Bound()
	words := int(bound >> 6)
	if words == len(x.free) {
		return bound
	}
	x.free = slices.Clone(x.free[:words])
	x.rows = slices.Clone(x.rows[:(words+63)>>6])
	if words&63 != 0 {
		x.rows[words>>6] &= 1<<(words&63) - 1
	}
	x.low = min(x.low, len(x.rows))
	return bound
}
