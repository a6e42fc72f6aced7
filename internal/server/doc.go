// Package server is the wsify server: it is the only package that knows the
// others. It makes sessions of connections, publications of commands and HTTP
// requests, and sends of publications.
//
// # Ownership
//
// A session belongs to the event loop of its connection and is touched by that
// loop's goroutine alone. What may block, which is asking the authorizer and
// the broker, runs elsewhere and comes back through Loop.PostTo.
//
// Operators have a listener of their own (admin.go), which reads counters and asks the
// loops by Post.
//
// # The way of a message
//
// bytes (input.go) -> command (commands.go) -> authorizer, when asked
// (authorize.go) -> hub or broker -> Turn (deliver.go) -> one send per member.
package server
