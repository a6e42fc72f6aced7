// Package nats is the engine of a broker.Remote for NATS servers. A channel's subject is
// Config.Prefix and its name, in which bytes that a subject cannot hold are escaped as in URLs.
//
// Members can rely on what NATS promises. Publications of one node arrive everywhere in their
// order. Publications of different nodes may arrive in a different order at each node. In a
// cluster, servers exchange subscriptions in the background. So a publication that another server
// takes shortly after a subscription was confirmed may be missed.
//
// History is kept by a stream of JetStream, which takes publications at other subjects and publishes
// them again in one order.
//
// The DSN is a comma-separated list of URLs, nats://user:pass@host:4222, nats://token@host or
// tls://host, also ws:// and wss://, followed by parameters, as in ?creds=FILE&name=wsify. Servers
// without a user get that of the first server that has one. An empty DSN means
// nats://localhost:4222.
//
// Servers that a server names are used too, except with TLS and without ca: then the DSN must name
// all servers.
package nats
