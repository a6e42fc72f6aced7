// Package session is the protocol of one connection on its event loop: the handshake,
// input, commands, the wait for an answer, deliveries, keepalive, and the end. A Node is
// the sessions of all loops, and what they share.
//
// # Ownership
//
// A session belongs to the event loop of its connection and is touched by that
// loop's goroutine alone. What may block, which is asking the authorizer and
// the broker, runs elsewhere and comes back through Loop.PostTo.
//
// # The way of a message
//
// bytes (input.go) -> command (commands.go) -> authorizer, when asked
// (authorize.go) -> hub or broker -> Turn (deliver.go) -> one send per member.
package session
