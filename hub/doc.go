// Package hub knows which connection is a member of which channel, orders the
// publications of a channel, and says what each event loop has to deliver. It knows
// no sockets: a connection is a number, chosen by its loop.
//
// # Shape
//
// A Hub is a table of channels, striped over separately locked shards. A channel has
// a Part for each loop and class with members: a dense array of them, which only that
// loop changes. A class is how the messages to a member are encoded. Each loop has a
// Local, through which it uses the hub.
//
// # Order
//
// Publish appends to the pending bytes of every part of the channel under one shard
// lock, so all parts see one sequence. Publications made before a loop delivers are
// joined, and reach each member in one send.
//
// A connection that is a member from a publication until its delivery gets it
// exactly once. A member that joins in between does not get it. To one that leaves
// in between it is owed: Owed returns it before Leave. A part without members has
// nothing pending, so a membership never begins with a gap.
//
// Each part has a bound on undelivered bytes. A publisher asks before it encodes
// anything: Busy refuses, AwaitRoom puts it in the channel's queue. Waiters are told
// in turn, as far as there is room, and the room is kept for them. Publish itself
// refuses nothing, so publishers that ask at the same moment may pass the bound by
// one publication each.
//
// # Locks
//
// The shard's lock comes first, then the lock of a Local's due list. Both are held
// briefly: nothing is encoded, sent or waited for under them.
package hub
