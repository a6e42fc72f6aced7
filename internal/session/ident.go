package session

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
)

// newNodeName returns what begins the ids of this process' connections: 64 random
// bits, as connections are numbered alike on every node and after every start.
func newNodeName() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it ends the program rather than fail
	return hex.EncodeToString(b[:]) + "-"
}

// connID returns the text that names a connection outside of this process: the same
// through its life, and no other connection's on any node at any time. The
// authorizer, the log and the admin listener show it.
func (n *Node) connID(id uint64) string {
	return n.name + strconv.FormatUint(id, 16)
}
