package nats

import (
	"errors"
	"fmt"
	"strings"

	"wsify/broker/internal/link"
)

// maxSubject is the longest subject that is used, in bytes. A server ends the
// connection when the line of a command is longer than its max_control_line, which
// is 4096 by default and which it tells nobody; beside the subject the line holds a
// number of up to 20 digits.
const maxSubject = 4000

// maxPrefix leaves most of a subject to the channel.
const maxPrefix = 1000

var (
	errEmpty   = errors.New("a channel without a name has no subject")
	errTooLong = fmt.Errorf("the channel's name is too long for NATS: its subject would have more than %d bytes", maxSubject)
)

// maxChannel returns how many bytes the name of a channel may have so that NATS
// carries it whatever it holds. A longer one is carried as long as its subject, with
// what is escaped in it, fits; else its subscriptions and publications are refused.
func maxChannel(prefix string) int { return (maxSubject - len(prefix)) / 3 }

// subjectOf returns the subject of a channel, which is its name, as a rule:
// "news", "chat.room.1", "user:42". What a subject cannot hold is written as a
// percent sign and two hexadecimal digits, as in URLs: white space, control bytes,
// wildcards, the percent sign itself and dots that would leave an empty token.
//
// So is a dollar sign or underscore at the beginning: $SYS, $JS.API and _INBOX are
// the servers' and clients' own, and out of reach of a channel's name.
func subjectOf(channel string) (string, error) {
	if channel == "" {
		return "", errEmpty
	}
	if len(channel) > maxSubject {
		return "", errTooLong
	}
	n := 0 // bytes to escape
	for i := range len(channel) {
		if escaped(channel, i) {
			n++
		}
	}
	if len(channel)+2*n > maxSubject {
		return "", errTooLong
	}
	if n == 0 {
		return channel, nil
	}
	return escape(channel, n), nil
}

// escaped reports whether the byte at i is escaped. Of dots in a row every one
// is that has a dot before it: that is more than need be, and depends on nothing but
// two bytes.
func escaped(channel string, i int) bool {
	switch c := channel[i]; c {
	case '.':
		return i == 0 || i == len(channel)-1 || channel[i-1] == '.'
	case '$', '_':
		return i == 0
	case '*', '>', '%', 0x7f:
		return true
	default:
		return c <= ' '
	}
}

// escape returns channel with n bytes of it escaped.
func escape(channel string, n int) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(channel) + 2*n)
	for i := range len(channel) {
		c := channel[i]
		if escaped(channel, i) {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			c = hex[c&15]
		}
		b.WriteByte(c)
	}
	return b.String()
}

// channelOf returns the channel of a subject that subjectOf has made. The result
// is not changed by anybody.
func channelOf(subject string) []byte {
	at := strings.IndexByte(subject, '%')
	if at < 0 {
		return link.Bytes(subject)
	}
	b := append(make([]byte, 0, len(subject)), subject[:at]...)
	for i := at; i < len(subject); i++ {
		c := subject[i]
		if c == '%' && i+2 < len(subject) {
			c = unhex(subject[i+1])<<4 | unhex(subject[i+2])
			i += 2
		}
		b = append(b, c)
	}
	return b
}

// unhex returns the value of a hexadecimal digit, as subjectOf writes them.
func unhex(c byte) byte {
	if c >= 'A' {
		return c - 'A' + 10
	}
	return c - '0'
}

// checkPrefix returns an error when the prefix cannot stand in a subject as it
// is. It may end within a token.
func checkPrefix(prefix string) error {
	if len(prefix) > maxPrefix {
		return fmt.Errorf("the prefix has %d bytes; for NATS it may have %d", len(prefix), maxPrefix)
	}
	if s, err := subjectOf(prefix + "x"); err != nil || s != prefix+"x" {
		return fmt.Errorf("the prefix %q cannot begin a NATS subject: it must not begin with '$', '_' or a dot, nor hold two dots in a row, white space, control characters, '*', '>' or '%%'", prefix)
	}
	return nil
}
