package session

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"

	"wsify/netpoll"
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

// parseConnID returns the id that connID made name from. ok is false for the id of another node.
func (n *Node) parseConnID(name string) (id uint64, ok bool) {
	digits, ours := strings.CutPrefix(name, n.name)
	id, err := strconv.ParseUint(digits, 16, 64)
	loop, _ := netpoll.Place(id)
	return id, ours && err == nil && loop < len(n.loops) && n.connID(id) == name
}
