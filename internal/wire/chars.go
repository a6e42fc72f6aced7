package wire

// Classes of bytes in a request head.
const (
	isToken   = 1 << iota // tchar; RFC 9110, section 5.6.2
	isTarget              // visible ASCII without '#': characters of a request target; RFC 9112, section 3.2
	isValue               // field-vchar, SP and HTAB; RFC 9110, section 5.5
	isNumber              // a digit
	isRegName             // unreserved and sub-delims; RFC 3986, section 3.2.2
)

// classesOf maps a byte to its classes. It is read-only.
var classesOf = buildClasses()

func buildClasses() (table [256]uint8) {
	mark := func(chars string, class uint8) {
		for i := range len(chars) {
			table[chars[i]] |= class
		}
	}
	const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	mark(alphanumeric, isToken|isRegName)
	mark(alphanumeric[:10], isNumber)
	mark("!#$%&'*+-.^_`|~", isToken)
	mark("-._~!$&'()*+,;=", isRegName)
	mark("\t ", isValue)
	for b := '!'; b <= '~'; b++ {
		table[b] |= isTarget | isValue
	}
	table['#'] &^= isTarget
	for b := 0x80; b <= 0xff; b++ { // obs-text
		table[b] |= isValue
	}
	return table
}

// all reports whether every byte of p has the class.
func all(p []byte, class uint8) bool {
	for _, b := range p {
		if classesOf[b]&class == 0 {
			return false
		}
	}
	return true
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func isHex(b byte) bool {
	return isDigit(b) || 'a' <= b|0x20 && b|0x20 <= 'f'
}

// trim cuts white space, SP and HTAB, off both ends; RFC 9110, section 5.6.3.
func trim(p []byte) []byte {
	for len(p) > 0 && (p[0] == ' ' || p[0] == '\t') {
		p = p[1:]
	}
	for len(p) > 0 && (p[len(p)-1] == ' ' || p[len(p)-1] == '\t') {
		p = p[:len(p)-1]
	}
	return p
}

// equalFold compares ASCII strings and ignores case.
func equalFold(p []byte, s string) bool {
	if len(p) != len(s) {
		return false
	}
	for i, b := range p {
		if lower(b) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b | 0x20
	}
	return b
}

// hasToken reports whether the comma-separated list contains token. It ignores
// case; RFC 9110, section 5.6.1.
func hasToken(list []byte, token string) bool {
	for start, i := 0, 0; i <= len(list); i++ {
		if i < len(list) && list[i] != ',' {
			continue
		}
		if equalFold(trim(list[start:i]), token) {
			return true
		}
		start = i + 1
	}
	return false
}
