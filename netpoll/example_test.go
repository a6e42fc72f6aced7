package netpoll_test

import (
	"fmt"
	"io"
	"net"
	"time"

	"wsify/netpoll"
)

// shouter answers in a loop's goroutine, so its count needs no lock.
type shouter struct{ messages int }

func (s *shouter) Opened(*netpoll.Conn) {}

func (s *shouter) Data(c *netpoll.Conn, p []byte) {
	s.messages++
	if !c.Send(fmt.Appendf(nil, "%d: %s!", s.messages, p)) {
		c.Close(netpoll.ReasonUser) // a slow consumer
	}
}

func (s *shouter) Expired(*netpoll.Conn) {}

func (s *shouter) Turn() (more bool) { return false }

func (s *shouter) Closed(*netpoll.Conn, netpoll.Reason) {}

func ask(addr net.Addr, message string) string {
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	_, _ = io.WriteString(c, message)
	answer := make([]byte, len("1: ")+len(message)+len("!"))
	_, _ = io.ReadFull(c, answer)
	return string(answer)
}

func ExampleGroup() {
	group, err := netpoll.Open(netpoll.Config{Loops: 1}, func(*netpoll.Loop) netpoll.Handler { return new(shouter) })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer group.Stop()
	addr, err := group.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ask(addr, "hello"))
	fmt.Println(ask(addr, "again"))
	// Output:
	// 1: hello!
	// 2: again!
}

func ExampleLoop_Post() {
	s := new(shouter)
	group, err := netpoll.Open(netpoll.Config{Loops: 1}, func(*netpoll.Loop) netpoll.Handler { return s })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer group.Stop()
	addr, err := group.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ask(addr, "hello")
	count := make(chan int)
	group.Loop(0).Post(func() { count <- s.messages }) // the handler belongs to the loop
	fmt.Println(<-count)
	// Output: 1
}

// farewell answers with one last message.
type farewell struct{ shouter }

func (f *farewell) Data(c *netpoll.Conn, p []byte) {
	c.Send([]byte("goodbye"))
	c.Linger(netpoll.ReasonUser, time.Second) // unlike Close, it lets the message arrive
}

func ExampleConn_Linger() {
	group, err := netpoll.Open(netpoll.Config{Loops: 1}, func(*netpoll.Loop) netpoll.Handler { return new(farewell) })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer group.Stop()
	addr, err := group.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, "hello")
	all, err := io.ReadAll(c)
	fmt.Println(string(all), err)
	// Output: goodbye <nil>
}
