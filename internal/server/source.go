package server

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"wsify/internal/operate"
)

// source is the server's operate.Source.
type source struct{ srv *Server }

var _ operate.Source = source{}

func (s source) AskLoop(i int) <-chan struct{} { return s.srv.node.AskLoop(i) }
func (s source) Loops() int                    { return s.srv.cfg.Loops }

// EachChannel implements operate.Source.
func (s source) EachChannel(fn func(name string, members int) bool) { s.srv.node.EachChannel(fn) }

// Stats implements operate.Source.
func (s source) Stats() operate.Stats {
	st := s.srv.node.Stats()
	st.Draining = st.Draining || s.srv.leaving.Load()
	return operate.Stats(st)
}

// NotReady implements operate.Source.
func (s source) NotReady() (why []string) {
	st := s.Stats()
	if st.Draining {
		why = append(why, "draining: this node takes no new clients")
	}
	if st.Broker != nil && !st.Broker.Up {
		why = append(why, "the broker is down")
	}
	if limit := s.srv.fileLimit; nextDescriptor() >= limit-s.srv.kept {
		why = append(why, fmt.Sprintf("full: %d connections are open, and no descriptor is left for another: of %d, the server uses or keeps the rest for itself; raise the limit (ulimit -Hn) or add nodes",
			s.srv.node.Connections(), limit))
	}
	if full := s.srv.node.Full(); full != "" {
		why = append(why, full)
	}
	return why
}

// nextDescriptor returns the number of the next descriptor: the kernel gives the lowest free one.
// The loops use the same fact.
func nextDescriptor() uint64 {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return math.MaxUint64
	}
	_ = unix.Close(fd)
	return uint64(fd)
}
