// Package broker carries publications to every node. What a broker has to do is Broker,
// and how one is made is Driver.
//
// Memory is for a single node: a publication reaches this node's members at once,
// in the caller's goroutine.
//
// Remote is for many nodes, with an Engine between them, which only opens links. Remote has
// the subscriptions, the queues, who waits for what, and the patience. An engine is a package
// of its own that exports a Driver, as broker/redis and broker/nats do.
package broker
