package swarm

import (
	"cmp"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"wsify/bench/internal/ledger"
)

// opening is a Plan under way.
type opening struct {
	began    int64
	begun    int   // connections begun
	pending  int   // begun, and neither open nor failed nor waiting to come again
	progress int64 // when something last opened
	done     func(Opened)
}

// Patience is that of a Plan without one.
const Patience = 60.0

// Open opens a group of connections, and returns when all are open or have failed.
func (s *Swarm) Open(p Plan, out *Opened) error {
	d, err := DialectOf(p.Target.Dialect)
	if err != nil {
		return err
	}
	p.Patience = cmp.Or(p.Patience, Patience)
	if p.Target.Path == "" {
		p.Target.Path = d.Path
	}
	var at []*net.TCPAddr
	for addr := range strings.SplitSeq(p.Target.Addr, ",") {
		to, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			return err
		}
		at = append(at, to)
	}
	*out = call(s, func(done func(Opened)) {
		g := &group{plan: p, at: at, dialect: d, latency: ledger.NewHistogram(), ends: Ends{Codes: map[int]int{}}}
		g.opening = &opening{began: s.now, progress: s.now, done: done}
		s.groups[p.Group] = g
		if p.N == 0 { // the other workers have all of them
			s.finish(g)
			return
		}
		s.launch(g)
		s.look(g)
	})
	return nil
}

// look gives up what makes no progress.
func (s *Swarm) look(g *group) {
	o := g.opening
	if o == nil {
		return
	}
	if float64(s.now-o.progress) > g.plan.Patience*1e9 {
		g.result.Failed = g.plan.N - g.result.Open
		if g.result.Error == "" {
			g.result.Error = "no connection has opened for " + time.Duration(g.plan.Patience*1e9).String() + g.stuck()
		}
		s.finish(g)
		return
	}
	s.after(s.now+int64(time.Second), func() { s.look(g) })
}

// stuck says what the first connection that is not open waits for.
func (g *group) stuck() string {
	for _, c := range g.conns {
		if c.state < open {
			return ", and one waits " + [...]string{"for TCP to connect", "for the answer to its upgrade", "to be greeted", "for the answer to its join"}[c.state]
		}
	}
	return ""
}

// launch begins as many connections as rate and window allow.
func (s *Swarm) launch(g *group) {
	for o := g.opening; o != nil && o.begun < g.plan.N && (g.plan.Window == 0 || o.pending < g.plan.Window); {
		due := s.now
		if g.plan.Rate > 0 {
			due = o.began + int64(float64(o.begun)/g.plan.Rate*1e9)
			if due > s.now {
				s.after(due, func() { s.launch(g) })
				return
			}
		}
		c := &conn{group: g, index: g.plan.First + o.begun, begun: due}
		o.begun++
		g.conns = append(g.conns, c)
		s.dial(c)
	}
}

// perSource is how many connections leave from one address of 127.0.0.0/8, of the some 28,000 ports that one has.
const perSource = 8000

func (s *Swarm) dial(c *conn) {
	if o := c.group.opening; o != nil {
		o.pending++
	}
	c.state, c.in, c.out = connecting, nil, nil
	fd, err := s.socket(c)
	if err != nil {
		s.fail(c, err.Error())
		return
	}
	c.fd, c.writing = fd, true
	for len(s.conns) <= fd {
		s.conns = append(s.conns, make([]*conn, 1024)...)
	}
	s.conns[fd] = c
	if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT, Fd: int32(fd)}); err != nil {
		s.fail(c, os.NewSyscallError("epoll_ctl", err).Error())
	}
}

// socket returns a descriptor that is about to be connected.
func (s *Swarm) socket(c *conn) (int, error) {
	at := c.group.at[(c.index+c.tries)%len(c.group.at)]
	if c.group.plan.Target.TLS {
		return s.dialTLS(c, at)
	}
	family, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: at.Port, Addr: [16]byte(at.IP.To16())})
	if v4 := at.IP.To4(); v4 != nil {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Port: at.Port, Addr: [4]byte(v4)}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if at.IP.IsLoopback() && family == unix.AF_INET {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		source := c.index / perSource
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 1, byte(source >> 8), byte(source) + 1}}); err != nil {
			_ = unix.Close(fd)
			return 0, os.NewSyscallError("bind", err)
		}
	}
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return 0, os.NewSyscallError("connect", err)
	}
	return fd, nil
}

// ready notes that a connection is where its plan wants it.
func (s *Swarm) ready(c *conn) {
	g := c.group
	if g.opening == nil {
		if g.tally.latency != nil && g.plan.Recover {
			ledger.Record(g.tally.latency, s.now-c.begun)
		}
		g.ends.back(c, s.now, g.since)
		return
	}
	ledger.Record(g.latency, s.now-c.begun)
	g.result.Open++
	g.opening.progress = s.now
	s.settled(g)
}

// fail gives a connection up that is not open yet.
func (s *Swarm) fail(c *conn, why string) {
	g := c.group
	s.shut(c)
	if g.opening == nil {
		if c.lost != 0 {
			g.ends.Refused++
			c.tries++
			s.comeBack(c, rand.N(time.Second))
		}
		return
	}
	if g.result.Error == "" {
		g.result.Error = why
	}
	if g.plan.Recover { // the node has no link to the engine yet, perhaps
		s.retry(c, time.Second)
		return
	}
	g.result.Failed++
	s.settled(g)
}

// settled goes on when one more connection is open or has failed.
func (s *Swarm) settled(g *group) {
	g.opening.pending--
	if g.result.Open+g.result.Failed == g.plan.N {
		s.finish(g)
		return
	}
	s.launch(g)
}

func (s *Swarm) finish(g *group) {
	o := g.opening
	g.opening = nil
	for _, c := range g.conns {
		if within := int64(g.plan.Drop * 1e9); within > 0 {
			s.after(s.now+rand.Int64N(within), func() { s.drop(c) })
		}
	}
	g.result.Seconds = float64(s.now-o.began) / 1e9
	g.result.Latency = Latency{g.latency.Export()}
	o.done(g.result)
}

func (s *Swarm) retry(c *conn, pause time.Duration) {
	g := c.group
	s.shut(c)
	if g.opening == nil {
		return
	}
	g.result.Retries++
	g.opening.pending--
	s.after(s.now+int64(pause+rand.N(pause/2+1)), func() { // clients that are refused together do not come back together
		if g.opening != nil {
			s.dial(c)
		}
	})
	s.launch(g)
}

func (s *Swarm) shut(c *conn) {
	if c.state != closed && c.fd > 0 && s.conns[c.fd] == c {
		s.conns[c.fd] = nil
		_ = unix.Close(c.fd)
	}
	c.state = closed
}

// ended notes that the server has ended a connection, with a close code.
func (s *Swarm) ended(c *conn, code int) {
	g := c.group
	if c.state < open {
		s.fail(c, "the server closed the connection before it was open")
		return
	}
	s.shut(c)
	g.ends.Codes[code]++
	g.ends.Seconds = append(g.ends.Seconds, float64(s.now-g.since)/1e9)
	if c.lost = s.now; g.plan.Return {
		s.comeBack(c, rand.N(time.Second))
	}
}

// drop cuts an open connection off for two seconds.
func (s *Swarm) drop(c *conn) {
	if c.state == open {
		s.shut(c)
		c.lost = s.now
		s.comeBack(c, 2*time.Second)
	}
}

func (s *Swarm) comeBack(c *conn, pause time.Duration) {
	g := c.group
	s.after(s.now+int64(pause), func() {
		if s.groups[g.plan.Group] == g {
			s.dial(c)
		}
	})
}

// back notes that a connection which the server had ended is where its plan wants it.
func (e *Ends) back(c *conn, now, since int64) {
	if c.lost != 0 {
		e.Back = append(e.Back, float64(now-since)/1e9)
		e.Longest = max(e.Longest, float64(now-c.lost)/1e9)
		c.lost, c.tries = 0, 0
	}
}

// Shut closes a group, at once or with reset, and forgets it. Without a name it closes all.
func (s *Swarm) Shut(a Args, _ *None) error {
	call(s, func(done func(None)) {
		for name, g := range s.groups {
			if a.Group != "" && a.Group != name {
				continue
			}
			for _, c := range g.conns {
				if a.Flag && c.state != closed {
					_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
				}
				s.shut(c)
			}
			delete(s.groups, name)
		}
		done(None{})
	})
	return nil
}
