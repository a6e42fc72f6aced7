// Package follow is a node's side of channels that keep history: what their members were given, and
// the newest publications, so that a client that comes back gets what it missed.
//
// A Follower follows a channel while it has members on this node, or joins that wait. What arrives
// goes through the channel's history.Log, which puts it into order. Where something is missing, the
// engine is asked. A Join is one connection on its way to be a member.
//
// The package knows nothing of sessions and frames: Members encodes and delivers, and a Joiner
// passes news to the goroutine of its join.
package follow
