package netpoll

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"wsify/internal/buffer"
	"wsify/internal/invariants"
)

// Conn is one accepted connection.
//
// A Conn belongs to its loop: every method is for that loop's goroutine only, and
// a *Conn must not be kept past Handler.Closed, because its place is used again.
// Other goroutines hold the ID and reach the connection through Loop.PostTo.
//
// It holds no pointer. What all connections of a page share is in the page.
type Conn struct {
	generation uint32 // of its slot, which makes the ID unique (I4)
	fd         int32  // -1 once the loop has closed it
	out        uint32 // outbound queue, as a number in the loop's table; 0 while nothing is queued
	deadline   uint32 // tick at which Handler.Expired is called; 0 = none
	next       uint32 // neighbours in the deadline's bucket, as slot+1; 0 = none
	prev       uint32
	flags      flags
	place      uint16 // in its page; immutable
	reason     Reason
	born       [3]byte // when it was accepted, in seconds of the group's clock; see Age
}

// flags is the state of a Conn.
type flags uint16

const (
	flagOpen      flags = 1 << iota // registered with the poller
	flagClosing                     // Close was called; ends in this turn
	flagLingering                   // Linger was called: write out, then read to the end
	flagShut                        // write side was shut down
	flagPaused                      // Data must not be called
	flagReadOff                     // read interest is off at the poller
	flagWriteOn                     // write interest is on at the poller (I5)
	flagDirty                       // in the loop's list of connections to flush
	flagEndCloses                   // while paused, the end of the peer's stream ends the connection
	flagEndWaits                    // the end of the peer's stream pauses the connection
	flagMore                        // the last read filled its share, so more may be unread
	flagExtended                    // the deadline was found late, and was extended
	flagTell                        // WhenWritten was called
	flagHeld                        // what is queued must not be written yet; see Hold
)

func (c *Conn) has(f flags) bool { return c.flags&f != 0 }

// ID names the connection for as long as the process runs. It is never reused.
func (c *Conn) ID() uint64 {
	return c.page().first + uint64(c.place)<<32 + uint64(c.generation)
}

// Slot is a small number that no other open connection of this loop has. It
// indexes a slab, and is reused after Handler.Closed.
func (c *Conn) Slot() uint32 { return slotOf(c.page().first) + uint32(c.place) }

// Loop returns the loop that owns c.
func (c *Conn) Loop() *Loop { return c.page().loop }

// Queued returns how many bytes of memory the outbound queue of c keeps. A buffer
// counts whole until the kernel has all of it, even if other queues hold it too.
func (c *Conn) Queued() int {
	if c.out == 0 {
		return 0
	}
	return c.queue().bytes
}

// Open reports whether c is open. It is false once Close or Linger was called.
func (c *Conn) Open() bool { return c.flags&(flagOpen|flagClosing|flagLingering) == flagOpen }

// RemoteAddr asks the kernel for the peer's address. It is the zero AddrPort for
// unix sockets, and for a broken connection.
func (c *Conn) RemoteAddr() netip.AddrPort {
	sa, err := syscall.Getpeername(int(c.fd)) // unix asks for the protocol, too: a second system call
	if err != nil {
		return netip.AddrPort{}
	}
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// IsUnix reports whether c is the connection of a unix socket.
func (c *Conn) IsUnix() bool {
	domain, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
	return err == nil && domain == unix.AF_UNIX
}

// Pause stops reading: Data is not called until Resume, and TCP flow control slows
// the peer down. It costs no system call unless more bytes arrive. It does nothing
// after Linger, which has to see the end of the stream.
func (c *Conn) Pause() {
	c.check()
	if c.has(flagLingering) {
		return
	}
	c.flags |= flagPaused
}

// CloseOnEnd makes a paused connection end when the peer's stream ends and no byte
// before its end is unread. Otherwise the end is seen only after Resume. Use it for
// work that is useless once the peer has disconnected. It holds until Resume, and
// costs no system call unless something arrives.
func (c *Conn) CloseOnEnd() {
	c.check()
	if c.has(flagPaused) {
		c.flags |= flagEndCloses
	}
}

// HoldEnd postpones the end of the peer's stream. Reading continues; at the end of the
// stream the connection pauses instead of ending. It is for a peer that may have ended
// its side while it still waits for an answer. It holds until Resume, after which the
// end is handled.
func (c *Conn) HoldEnd() {
	c.check()
	if !c.has(flagLingering) {
		c.flags |= flagEndWaits
	}
}

// Resume continues reading after Pause.
func (c *Conn) Resume() {
	c.check()
	c.flags &^= flagPaused | flagEndCloses | flagEndWaits
	if c.has(flagReadOff) && c.has(flagOpen) {
		c.flags &^= flagReadOff
		c.setInterest()
	}
}

// Paused reports whether Pause is in force.
func (c *Conn) Paused() bool { return c.has(flagPaused) }

// setInterest registers the interest that the flags ask for.
func (c *Conn) setInterest() {
	var want uint32
	if !c.has(flagReadOff) {
		want |= interestRead
	}
	if c.has(flagWriteOn) {
		want |= interestWrite
	}
	if err := c.Loop().poller.modifyConn(c, want); err != nil {
		c.Loop().log.Error("interest of a connection could not be changed", "conn", c.Loop().group.name(c.ID()), "err", err)
		c.Close(ReasonInternal)
	}
}

// The 64-bit ID: 8 bits of loop, 24 of slot, 32 of generation. A slot whose
// generation is used up is retired, so no ID is ever reused (I4).
const (
	maxLoops      = 1 << 8
	maxSlots      = 1<<24 - 1 // one less, so that slot+1 fits in 24 bits too
	maxGeneration = 1<<32 - 1
)

func makeID(loop int, slot, generation uint32) uint64 {
	return uint64(loop)<<56 | uint64(slot)<<32 | uint64(generation)
}

func loopOf(id uint64) int    { return int(id >> 56) }
func slotOf(id uint64) uint32 { return uint32(id>>32) & maxSlots }

// check asserts I1 in test builds.
func (c *Conn) check() {
	if invariants.Enabled {
		c.Loop().checkOwner()
	}
}

// Shared is a read-only, counted buffer that many connections send. It is encoded once.
type Shared = buffer.Buffer
