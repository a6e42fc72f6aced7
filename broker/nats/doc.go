// Package nats is the engine of a broker.Remote: NATS servers. A channel's name is its
// subject, with what a subject cannot hold escaped as in URLs, behind Config.Prefix.
//
// What NATS promises is what members can count on. Publications of one node arrive
// everywhere in their order; those of different nodes may arrive here in one order and
// there in another. In a cluster, servers tell each other in the background who
// subscribes to what: a publication that another server takes within that time
// after a subscription was confirmed may be missed.
//
// The DSN is one or more URLs with commas between them, nats://user:pass@host:4222,
// nats://token@host or tls://host, and also ws:// and wss://, and after them
// parameters as in ?creds=FILE&name=wsify. Servers without a user get that of the
// first that has one. Nothing at all means nats://localhost:4222.
//
// Other servers that a server tells of are used, too, except with TLS and without ca:
// then all have to be named here.
package nats
