// Package redis is the engine of a broker.Remote: Redis 6 or later, or what speaks its
// protocol, RESP3; one server, one of several that sentinels watch, or a cluster. A
// publication is a plain PUBLISH of the content to the channel (SPUBLISH in a cluster of
// Redis 7), so that any client of Redis can publish and listen too.
//
// The DSN is redis://user:password@host:port/database, rediss:// for TLS, or
// unix:///path/of/socket. Empty means redis://localhost:6379. The database is
// accepted because version 3 had it, and means nothing: publications have none.
// Parameters stand behind a question mark:
//
//   - addr=host:port, repeated: further servers to try, sentinels or nodes of the cluster
//   - master_set=NAME: the addresses are of sentinels, asked for the master of this
//     name; sentinel_user and sentinel_password log in to them
//   - sharded=auto, yes or no: sharded publications (SPUBLISH) in a cluster, which
//     a plain PUBLISH of others does not reach; auto means where all of its masters
//     are version 7 or later. All nodes of ours must do the same: while a cluster is
//     upgraded to 7, say which
//   - ca, cert, key: files in PEM form of the authorities that signed the server's certificate, and of
//     our own; server_name: the name in the server's, when it is not the host's;
//     skip_verify: believe any
//   - client_name, dial_timeout (5s)
//
// Options of version 3 about pools, retries, timeouts of single calls and the
// protocol are accepted, and a warning says that they have no effect.
package redis
