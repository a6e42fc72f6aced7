// Package redis is the engine of a broker.Remote for Redis 6 or later, and for servers that speak
// its protocol, RESP3: a single server, one watched by sentinels, or a cluster. A publication is a
// plain PUBLISH of the content to the channel (SPUBLISH in a cluster of Redis 7), so any Redis
// client can publish and subscribe too.
//
// The DSN is redis://user:password@host:port/database, rediss:// for TLS, or
// unix:///path/of/socket. Empty means redis://localhost:6379. The database is accepted because
// version 3 had it, and has no effect, because publications have none. Parameters follow a question
// mark:
//
//   - addr=host:port, repeated: further servers to try, sentinels or nodes of the cluster
//   - master_set=NAME: the addresses are of sentinels, asked for the master of this
//     name; sentinel_user and sentinel_password log in to them
//   - sharded=auto, yes or no: sharded publications (SPUBLISH) in a cluster, which a plain PUBLISH
//     of other clients does not reach; auto means yes if all masters have version 7 or later.
//     All nodes must use the same value: set yes or no while a cluster is upgraded to 7
//   - ca, cert, key: PEM files of the authorities that signed the server's certificate, and of the
//     client certificate; server_name: the name in the server's certificate, if it is not the
//     host; skip_verify: accept any certificate
//   - client_name, dial_timeout (5s)
//
// Options of version 3 about pools, retries, timeouts of single calls and the
// protocol are accepted, and a warning says that they have no effect.
package redis
