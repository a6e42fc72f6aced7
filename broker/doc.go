// Package broker carries publications to every node. What a broker has to do is Broker,
// and how one is made is Driver.
//
// Memory is for a single node: a publication reaches this node's members at once,
// in the caller's goroutine, and nothing can be away.
package broker
