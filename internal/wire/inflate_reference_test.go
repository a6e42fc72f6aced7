package wire

import "errors"

// bitReader reads a stream of DEFLATE; RFC 1951, section 3.1.1.
type bitReader struct {
	p   []byte
	bit int
}

var errCut = errors.New("the stream is cut")

func (r *bitReader) bits(n int) (v int) {
	for i := range n {
		if r.bit >= 8*len(r.p) {
			panic(errCut)
		}
		v |= int(r.p[r.bit/8]>>(r.bit%8)&1) << i
		r.bit++
	}
	return v
}

// symbol reads one symbol of a canonical code, given the length of each; section 3.2.2.
func (r *bitReader) symbol(lengths []int) int {
	code, first := 0, 0
	for width := 1; width <= 15; width++ {
		code, first = code<<1|r.bits(1), first<<1
		for s, length := range lengths {
			if length == width {
				if code == first {
					return s
				}
				first++
			}
		}
	}
	panic(errors.New("no such code"))
}

// farthest inflates p in the simplest way and returns the longest distance back that it
// refers to.
func farthest(p []byte) (out []byte, far int) {
	r := &bitReader{p: p}
	for last := 0; last == 0; {
		last = r.bits(1)
		switch r.bits(2) {
		case 0:
			r.bit = (r.bit + 7) / 8 * 8
			n := r.bits(16)
			r.bits(16)
			for range n {
				out = append(out, byte(r.bits(8)))
			}
		case 1:
			out, far = r.block(out, far, fixedLengths(), []int{5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5})
		case 2:
			literals, distances := r.codes()
			out, far = r.block(out, far, literals, distances)
		default:
			panic(errors.New("no such block"))
		}
	}
	return out, far
}

func fixedLengths() (lengths []int) {
	for s := range 288 {
		lengths = append(lengths, map[bool]int{true: 8, false: 9}[s < 144])
		if s >= 256 {
			lengths[s] = 7
		}
		if s >= 280 {
			lengths[s] = 8
		}
	}
	return lengths
}

// codes reads the codes of a block; section 3.2.7.
func (r *bitReader) codes() (literals, distances []int) {
	nl, nd, nc := r.bits(5)+257, r.bits(5)+1, r.bits(4)+4
	meta := make([]int, 19)
	for _, at := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:nc] {
		meta[at] = r.bits(3)
	}
	var all []int
	for len(all) < nl+nd {
		value, times := r.symbol(meta), 1
		switch value {
		case 16:
			value, times = all[len(all)-1], 3+r.bits(2)
		case 17:
			value, times = 0, 3+r.bits(3)
		case 18:
			value, times = 0, 11+r.bits(7)
		}
		for range times {
			all = append(all, value)
		}
	}
	return all[:nl], all[nl:]
}

// block reads one block; section 3.2.5.
func (r *bitReader) block(out []byte, far int, literals, distances []int) ([]byte, int) {
	for {
		s := r.symbol(literals)
		if s == 256 {
			return out, far
		} else if s < 256 {
			out = append(out, byte(s))
			continue
		}
		length, extra := s-254, 0
		if s == 285 {
			length = 258
		} else if s >= 265 {
			extra = (s - 261) / 4
			length = 3 + (4+(s-265)%4)<<extra + r.bits(extra)
		}
		distance := r.symbol(distances) + 1
		if distance > 4 {
			extra = (distance - 3) / 2
			distance = 1 + (2+(distance-1)%2)<<extra + r.bits(extra)
		}
		far = max(far, distance)
		for range length {
			out = append(out, out[len(out)-distance])
		}
	}
}
