// Package hub knows which connection is a member of which channel, orders what is
// published to a channel, and says what each event loop has to deliver. It knows no
// sockets: a connection is a number, given by its loop.
//
// # Shape
//
// A Hub is a table of channels, striped over shards that are locked separately. A
// channel has a Part for each loop with members: a dense array of them, which only
// that loop changes. Each loop has a Local, its door to the hub.
//
// # Order
//
// Publish appends to the pending bytes of every part of the channel under one
// shard lock, so all parts see one sequence. What is published before a loop comes
// to deliver is joined, and reaches each member in one send.
//
// A member from a publication until its delivery gets it exactly once. One that
// joins in between does not get it. One that leaves in between is owed it: Owed says
// what, before Leave. A part without members has nothing pending, so a
// membership never begins with a gap.
//
// What waits to be delivered is bounded for each part. A publisher asks before it
// encodes anything: Busy refuses, AwaitRoom puts it in the channel's queue. Those in
// the queue are told in turn, as far as there is room, and the room is kept for them.
// Publish itself refuses nothing, so those that ask in the same moment may pass the
// bound by one publication each.
//
// # Locks
//
// The shard's lock comes first, then the lock of a Local's due list. Both are
// short: nothing is encoded, sent or waited for while one is held.
package hub
