package netpoll

import (
	"errors"
	"os"

	"github.com/mailru/easygo/netpoll"
	"golang.org/x/sys/unix"
)

// easygoPoller is one epoll instance, kept by easygo's Epoll on raw descriptors.
//
// easygo waits on a goroutine of its own, which becomes the loop's goroutine: every
// callback runs there. It collects the callbacks of a batch before it calls the
// first. A callback may thus follow the removal of its descriptor, so the receiver
// has to check that it is still open.
type easygoPoller struct {
	ep   *netpoll.Epoll
	loop *Loop
}

func openEasygo(l *Loop, onError func(error)) (poller, error) {
	ep, err := netpoll.EpollCreate(&netpoll.EpollConfig{OnWaitError: onError})
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &easygoPoller{ep: ep, loop: l}, nil
}

// add registers fd. ready is called with the reported events.
func (p *easygoPoller) add(fd int, interest uint32, ready func(events uint32)) error {
	err := p.ep.Add(fd, netpoll.EpollEvent(interest), func(ev netpoll.EpollEvent) {
		if ev&eventClosed == 0 {
			ready(uint32(ev))
		}
	})
	return p.added(fd, err)
}

// eventClosed is the event that easygo's Close passes to every remaining callback,
// on its caller's goroutine. Epoll itself never reports this bit (POLLNVAL).
const eventClosed = 0x20

// addConn registers the connection c. It is like add, but its closure has one word,
// because every idle connection keeps it.
func (p *easygoPoller) addConn(c *Conn, interest uint32) error {
	err := p.ep.Add(int(c.fd), netpoll.EpollEvent(interest), func(ev netpoll.EpollEvent) {
		if ev&eventClosed == 0 {
			c.ready(uint32(ev))
			c.Loop().handled()
		}
	})
	return p.added(int(c.fd), err)
}

// added cleans up after a failed Add, which leaves its map entry behind.
func (p *easygoPoller) added(fd int, err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, netpoll.ErrRegistered) {
		_ = p.ep.Del(fd)
	}
	return os.NewSyscallError("epoll_ctl add", err)
}

// remove forgets fd. It must be called before fd is closed: the map is keyed by
// number, and a reused number would be refused.
func (p *easygoPoller) remove(fd int) {
	_ = p.ep.Del(fd)
}

// addWake makes the turn an event like others. We take it as the end of a batch,
// because easygo tells neither where a batch ends nor how many events it has.
func (p *easygoPoller) addWake(fd int) error {
	return p.add(fd, interestRead|interestEdge, func(uint32) {
		p.loop.endBatch()
		p.loop.beginBatch(p.loop.now())
	})
}

func (p *easygoPoller) modifyConn(c *Conn, interest uint32) error {
	return os.NewSyscallError("epoll_ctl mod", p.ep.Mod(int(c.fd), netpoll.EpollEvent(interest)))
}

func (p *easygoPoller) removeConn(c *Conn) { p.remove(int(c.fd)) }

func (p *easygoPoller) closeConn(c *Conn) {
	p.remove(int(c.fd))
	_ = unix.Close(int(c.fd))
}

// close ends the wait goroutine and returns when it has ended. It must not be
// called on that goroutine.
func (p *easygoPoller) close() error {
	return p.ep.Close()
}
