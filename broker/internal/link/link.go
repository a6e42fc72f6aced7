// Package link has what Remote and the links to all engines need: timeouts for servers, error
// texts, and strings as bytes.
package link

import (
	"errors"
	"net"
	"unsafe"
)

// ErrNoAnswer means that the server took too long.
var ErrNoAnswer = errors.New("the engine does not answer")

// WithoutAddresses returns the cause in an error of a connection, without net's addresses. They
// include a local port, which differs each time, so the same error would be logged again and again.
// The caller adds the server's address.
func WithoutAddresses(err error) error {
	if op, ok := err.(*net.OpError); ok && op.Op != "dial" {
		return op.Err
	}
	return err
}

// String returns b as a string without a copy; b must not change any more.
func String(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Bytes returns s as bytes without a copy; they must not be changed.
func Bytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
