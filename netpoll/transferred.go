package netpoll

import "golang.org/x/sys/unix"

// Transferred asks the kernel how many bytes the peer has sent and was sent. It is for the end of
// a connection: counting costs nothing before. ok is false for a socket that is not TCP.
//
// The kernel counts the end of the peer's stream as a byte. It is subtracted, unless the peer ended
// its stream and then reset a connection that lingered: that looks the same as one without an end.
func (c *Conn) Transferred() (in, out uint64, ok bool) {
	info, err := unix.GetsockoptTCPInfo(int(c.fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, 0, false
	}
	in, out = info.Bytes_received, info.Bytes_sent-info.Bytes_retrans
	switch info.State {
	case unix.BPF_TCP_CLOSE_WAIT, unix.BPF_TCP_LAST_ACK, unix.BPF_TCP_CLOSING, unix.BPF_TCP_TIME_WAIT:
		in--
	case unix.BPF_TCP_CLOSE:
		if c.reason != ReasonReset {
			in--
		}
	}
	return in, out, true
}
