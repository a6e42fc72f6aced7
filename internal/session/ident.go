package session

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
)

// newNodeName returns the prefix of the connection ids of this process: 64 random
// bits, because all nodes, and each start, use the same connection numbers.
func newNodeName() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails; it ends the program instead
	return hex.EncodeToString(b[:]) + "-"
}

// connID returns the id of a connection for use outside of this process. It never
// changes, and no other connection on any node ever has the same. The authorizer
// gets it, and the log and the admin listener show it.
func (n *Node) connID(id uint64) string {
	return n.name + strconv.FormatUint(id, 16)
}
