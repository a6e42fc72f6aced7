package netpoll

import (
	"time"

	"golang.org/x/sys/unix"
)

// Unanswered reports whether the peer's machine is silent: the kernel repeats what it has
// sent, and no acknowledgement has come for d. It is for protocols in which the peer never
// answers by itself, and costs a system call.
//
// A peer that does not read still acknowledges, so it is not silent. One probe of its
// closed window may be under way, two mean that the first had no answer. TCP_USER_TIMEOUT
// would end such a peer, too (since Linux 5.11), and not tell why. A unix socket is never
// silent.
func (c *Conn) Unanswered(d time.Duration) bool {
	c.check()
	info, err := unix.GetsockoptTCPInfo(int(c.fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil || info.Retransmits == 0 && info.Probes < 2 {
		return false
	}
	return time.Duration(info.Last_ack_recv)*time.Millisecond >= d
}

// Unread reports whether the peer does not read: bytes are queued, and for d the kernel could
// send none. It costs a system call if the kernel takes no more. A unix socket is never unread.
func (c *Conn) Unread(d time.Duration) bool {
	c.check()
	if !c.has(flagWriteOn) {
		return false
	}
	info, err := unix.GetsockoptTCPInfo(int(c.fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	return err == nil && time.Duration(info.Last_data_sent)*time.Millisecond >= d
}
