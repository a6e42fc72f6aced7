// Package session is the protocol of one connection on its event loop: the handshake,
// input, commands, the wait for an answer, deliveries, keepalive, and the end. A Node
// holds the sessions of all loops, and the state that they share.
//
// # Ownership
//
// A session belongs to the event loop of its connection. Only that loop's goroutine
// touches it. Calls to the authorizer and the broker may block, so they run on other
// goroutines, and their results come back through Loop.PostTo.
//
// # The path of a message
//
// bytes (input.go) -> command (commands.go) -> authorizer, if configured
// (authorize.go) -> hub or broker -> Turn (deliver.go) -> one send per member.
//
// docs/messages-internals.md has the files of what goes beyond that: classes, streams,
// identity, requests of backends, except, history, events and compression.
package session
