// Package broker carries publications to every node. Broker is what all brokers implement; a Driver
// makes one.
//
// Memory is for a single node: it delivers a publication to this node's members at once, in the
// caller's goroutine.
//
// Remote is for many nodes, with an Engine between them. The Engine only opens links; Remote has
// the subscriptions, the queues, the waiters and the timeouts. An engine is a package of its own
// that exports a Driver, as broker/redis and broker/nats do.
package broker
