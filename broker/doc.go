// Package broker carries publications to every node. What a broker has to do is Broker,
// and how one is made is Driver.
//
// Memory is for a single node: a publication reaches this node's members at once,
// in the caller's goroutine, and nothing can be away.
//
// Remote is for many nodes, with an Engine between them. It has the subscriptions, the
// queues, who waits for what, and the patience. An engine is a package of its own that
// exports a Driver, as broker/redis and broker/nats do. It implements
//
//   - Engine, which opens a Link to a server, and
//   - Link, which subscribes, unsubscribes and publishes, in batches.
//
// It is given a Sink, which it tells of publications and of what becomes of
// subscriptions, and a context for each call, which says how long it may take. It never
// opens a link by itself, nor keeps anything for another one: Remote does that.
package broker
