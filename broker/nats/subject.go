package nats

import (
	"errors"
	"fmt"
	"net/url"

	"wsify/broker/internal/link"
)

// maxSubject is the longest subject in use, in bytes. A server closes the connection when a
// command's line is longer than its max_control_line, 4096 by default, which it does not announce.
// Besides the subject, the line holds a number of up to 20 digits.
// number of up to 20 digits.
const maxSubject = 4000

var (
	errEmpty   = errors.New("a channel without a name has no subject")
	errTooLong = fmt.Errorf("the channel's name is too long for NATS: its subject would have more than %d bytes", maxSubject)
)

// maxChannel returns the length, in bytes, up to which NATS carries any name of a channel. A longer
// one is carried if its subject, with escapes, fits; otherwise its subscriptions and publications
// are refused.
func maxChannel(prefix string) int { return (maxSubject - len(prefix)) / 3 }

// subjectOf returns the subject of a channel, usually its name: "news", "chat.room.1", "user:42".
// Bytes that a subject cannot hold are written as a percent sign and two hexadecimal digits, as in
// URLs: white space, control bytes, wildcards, the percent sign itself and dots that would leave an
// empty token.
//
// A dollar sign or underscore at the beginning is escaped too: $SYS, $JS.API and _INBOX belong to
// servers and clients, and no channel may reach them.
func subjectOf(channel string) (string, error) {
	size := len(channel)
	for i := range len(channel) {
		if escaped(channel, i) {
			size += 2
		}
	}
	switch {
	case size == 0:
		return "", errEmpty
	case size > maxSubject:
		return "", errTooLong
	case size == len(channel):
		return channel, nil
	}
	b := make([]byte, 0, size)
	for i := range len(channel) {
		if escaped(channel, i) {
			b = fmt.Appendf(b, "%%%02X", channel[i])
		} else {
			b = append(b, channel[i])
		}
	}
	return link.String(b), nil
}

// escaped reports whether the byte at i is escaped. Of several dots in a row, each one after the
// first is. That is more than needed, but depends on two bytes only.
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

// channelOf returns the channel of a subject that subjectOf has made. The result must not be
// changed.
func channelOf(subject string) []byte {
	channel, err := url.PathUnescape(subject)
	if err != nil { // not a subject of subjectOf
		channel = subject
	}
	return link.Bytes(channel)
}

// checkPrefix returns an error when the prefix cannot begin a subject. It may end within a token.
func checkPrefix(prefix string) error {
	switch s, err := subjectOf(prefix + "x"); {
	case err != nil:
		return fmt.Errorf("the prefix has %d bytes; a subject, with the channel's name, has up to %d", len(prefix), maxSubject)
	case s != prefix+"x":
		return fmt.Errorf("the prefix %q cannot begin a NATS subject: it must not begin with '$', '_' or a dot, nor hold two dots in a row, white space, control characters, '*', '>' or '%%'", prefix)
	}
	return nil
}
