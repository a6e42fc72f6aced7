// Package broker carries publications to every node. What a broker has to do is
// the Broker interface of internal/server; this package holds the implementations.
//
// Memory is for a single node: a publication reaches this node's members at once,
// in the caller's goroutine, and nothing can be away.
package broker
