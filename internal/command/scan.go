package command

import (
	"encoding/binary"
	"math/bits"
)

// MaxDepth is how deep objects and arrays may nest, the message itself included.
// Deeper input is refused as a bad request before any of it is used. The limit
// of encoding/json is 10,000. At 1000 the stack of a scanner fits in 128 bytes,
// and no program nests that deep.
const MaxDepth = 1000

// token is one JSON value, or the name of a member, inside the input. The zero
// token stands for no value.
type token struct {
	start, end int  // data[start:end], quotes and brackets included
	kind       byte // the first byte: { [ " - 0…9 t f n; 0 for no value
	escaped    bool // a string with at least one backslash
}

// absent reports whether t is null or stands for no value.
func (t token) absent() bool { return t.kind == 0 || t.kind == 'n' }

func (t token) number() bool { return t.kind == '-' || isDigit(t.kind) }

// scanner reads one JSON text and checks the grammar of RFC 8259, in one pass and
// without recursion.
//
// Each method expects pos at the first byte of the element it is named after and
// moves pos behind its last byte. It returns false if the input breaks the grammar.
// The scan is then over: pos is the place, and deep says whether MaxDepth was exceeded.
type scanner struct {
	data []byte
	pos  int
	deep bool
	// objects has one bit for each level of nesting: set for an object, clear
	// for an array. Bits of levels that are not open are stale.
	objects [(MaxDepth + 64) / 64]uint64
}

// peek returns the byte at pos, or 0 at the end of the input. A 0 byte is never
// valid outside of strings.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

// space skips white space; RFC 8259, section 2. The common case, none, is inlined.
func (s *scanner) space() {
	if s.pos < len(s.data) && s.data[s.pos] <= ' ' {
		s.someSpace()
	}
}

func (s *scanner) someSpace() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// value scans any value. depth is the number of open levels around it.
func (s *scanner) value(depth int) (token, bool) {
	t := token{start: s.pos, kind: s.peek()}
	var ok bool
	switch t.kind {
	case '"':
		t.escaped, ok = s.str()
	case '{', '[':
		ok = s.composite(depth)
	default:
		ok = s.scalar()
	}
	t.end = s.pos
	return t, ok
}

// composite scans an object or array and its contents.
func (s *scanner) composite(outer int) bool {
	depth := outer
	for {
		// A value starts at pos.
		if c := s.peek(); c == '{' || c == '[' {
			if depth++; !s.open(depth, c) {
				return false
			}
			if s.peek() != c+2 { // '}' and ']' are two above their opening bytes
				if c == '{' && !s.name() {
					return false
				}
				continue
			}
		} else if !s.simple(c) {
			return false
		}
		// A value is complete, or the level just opened is empty.
		if depth = s.closeLevels(depth, outer); depth == outer {
			return true
		}
		if !s.comma() || s.isObject(depth) && !s.name() {
			return false
		}
	}
}

// open opens the level depth: it skips the bracket c and the white space after
// it.
func (s *scanner) open(depth int, c byte) bool {
	if depth > MaxDepth {
		s.deep = true
		return false
	}
	word, bit := depth/64, uint64(1)<<(depth%64)
	if c == '{' {
		s.objects[word] |= bit
	} else {
		s.objects[word] &^= bit
	}
	s.pos++
	s.space()
	return true
}

// isObject reports whether the open level depth is an object.
func (s *scanner) isObject(depth int) bool {
	return s.objects[depth/64]&(1<<(depth%64)) != 0
}

// closeLevels closes every level that ends at pos and returns the innermost open
// one. It never closes outer, and skips no white space once it has reached it.
func (s *scanner) closeLevels(depth, outer int) int {
	for depth > outer {
		s.space()
		end := byte(']')
		if s.isObject(depth) {
			end = '}'
		}
		if s.peek() != end {
			return depth
		}
		s.pos++
		depth--
	}
	return depth
}

// comma scans the comma between two members or elements and the white space
// after it.
func (s *scanner) comma() bool {
	if s.peek() != ',' {
		return false
	}
	s.pos++
	s.space()
	return true
}

// name scans the name of a member up to its value.
func (s *scanner) name() bool {
	_, ok := s.nameToken()
	return ok
}

// nameToken scans the name of a member up to its value, and returns the name.
func (s *scanner) nameToken() (token, bool) {
	t := token{start: s.pos, kind: s.peek()}
	if t.kind != '"' {
		return t, false
	}
	var ok bool
	if t.escaped, ok = s.str(); !ok {
		return t, false
	}
	t.end = s.pos
	s.space()
	if s.peek() != ':' {
		return t, false
	}
	s.pos++
	s.space()
	return t, true
}

// simple scans a value that is neither object nor array and begins with c.
func (s *scanner) simple(c byte) bool {
	if c == '"' {
		_, ok := s.str()
		return ok
	}
	return s.scalar()
}

// scalar scans a number, true, false or null.
func (s *scanner) scalar() bool {
	switch s.peek() {
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	return s.num()
}

// literal scans the bytes of want.
func (s *scanner) literal(want string) bool {
	rest := s.data[s.pos:]
	if len(rest) < len(want) || string(rest[:len(want)]) != want {
		return false
	}
	s.pos += len(want)
	return true
}

// num scans a number; RFC 8259, section 6: no plus sign, no leading zero, at
// least one digit on both sides of the point.
func (s *scanner) num() bool {
	p := s.data[s.pos:]
	i, ok := 0, false
	if len(p) > 0 && p[0] == '-' {
		i++
	}
	if i < len(p) && p[i] == '0' {
		i++
	} else if i, ok = digits(p, i); !ok {
		return false
	}
	if i < len(p) && p[i] == '.' {
		if i, ok = digits(p, i+1); !ok {
			return false
		}
	}
	if i < len(p) && p[i]|0x20 == 'e' {
		if i++; i < len(p) && (p[i] == '+' || p[i] == '-') {
			i++
		}
		if i, ok = digits(p, i); !ok {
			return false
		}
	}
	s.pos += i
	return true
}

// digits returns the index after the digits at p[i:], and whether there are any.
func digits(p []byte, i int) (end int, ok bool) {
	end = i
	for end < len(p) && isDigit(p[end]) {
		end++
	}
	return end, end > i
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// str scans a string; RFC 8259, section 7. escaped reports whether it has a
// backslash. Bytes from 0x80 on are not checked: see the package comment.
func (s *scanner) str() (escaped, ok bool) {
	data := s.data
	for i := s.pos + 1; ; {
		if i += plainWords(data[i:]); i >= len(data) {
			return escaped, false
		}
		switch c := data[i]; {
		case c == '"':
			s.pos = i + 1
			return escaped, true
		case c == '\\':
			n := escapeLen(data[i:])
			if n == 0 {
				return true, false
			}
			escaped = true
			i += n
		case c < ' ': // control characters must be escaped
			return escaped, false
		default: // one of the last seven bytes of the input
			i++
		}
	}
}

// plainWords returns how many bytes of p precede the first quote, backslash or
// control character. It tests words of eight bytes, and not the up to seven bytes
// behind the last word. If no word has such a byte, it returns the size of all words.
//
// Each line sets the top bit of the bytes to find: x-1 borrows into the top bit of a
// byte that is 0, and x-0x20 into that of a byte below 0x20. A borrow out of such a
// byte can only change bytes above it, and only the lowest marked byte counts.
// BenchmarkString shows the gain over a loop that tests byte by byte.
func plainWords(p []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(p); i += 8 {
		w := binary.LittleEndian.Uint64(p[i:])
		quote, backslash := w^(ones*'"'), w^(ones*'\\')
		special := (quote-ones)&^quote |
			(backslash-ones)&^backslash |
			(w-ones*' ')&^w
		if special &= tops; special != 0 {
			return i + bits.TrailingZeros64(special)/8
		}
	}
	return i
}

// escapeLen returns the size of the escape sequence that p begins with, or 0 if it
// is not valid.
func escapeLen(p []byte) int {
	if len(p) < 2 {
		return 0
	}
	switch p[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if hex4(p[2:]) >= 0 {
			return 6
		}
	}
	return 0
}
