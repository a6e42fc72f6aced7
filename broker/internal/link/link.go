// Package link is what the links to all engines need, and Remote with them: patience
// with servers, words for their errors, and strings as bytes.
package link

import (
	"errors"
	"net"
	"unsafe"
)

// ErrNoAnswer says that the server took too long.
var ErrNoAnswer = errors.New("the engine does not answer")

// WithoutAddresses is the cause in an error of a connection in use, whose address is in
// words of our own: net's have a port besides that is another one each time, and the
// same trouble would be logged as often as it is met.
func WithoutAddresses(err error) error {
	if op, ok := err.(*net.OpError); ok && op.Op != "dial" {
		return op.Err
	}
	return err
}

// String is b as a string; b is not changed any more.
func String(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Bytes is s as bytes that nobody changes.
func Bytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
