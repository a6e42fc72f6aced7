//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// standInEngine is as much of a Redis server as the stand-in and the scenarios use.
type standInEngine struct {
	mu       sync.Mutex
	channels map[string]map[net.Conn]bool
}

// runStandInEngine serves the port of a command line like that of redis-server.
func runStandInEngine(args []string) int {
	e := &standInEngine{channels: make(map[string]map[net.Conn]bool)}
	port := ""
	for i, arg := range args[:len(args)-1] {
		if arg == "--port" {
			port = args[i+1]
		}
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:"+port)
	for err == nil {
		var conn net.Conn
		if conn, err = listener.Accept(); err == nil {
			go e.serve(conn)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func (e *standInEngine) serve(conn net.Conn) {
	defer e.forget(conn)
	in := bufio.NewReader(conn)
	for {
		words, err := readCommand(in)
		if err != nil || len(words) == 0 {
			return
		}
		e.mu.Lock()
		e.obey(conn, words)
		e.mu.Unlock()
	}
}

// obey answers one command, with the lock held: writes to a connection are whole.
func (e *standInEngine) obey(conn net.Conn, words []string) {
	switch strings.ToUpper(words[0]) {
	case "SUBSCRIBE":
		if e.channels[words[1]] == nil {
			e.channels[words[1]] = make(map[net.Conn]bool)
		}
		e.channels[words[1]][conn] = true
		io.WriteString(conn, array("subscribe", words[1], "1"))
	case "PUBLISH":
		for to := range e.channels[words[1]] {
			io.WriteString(to, array("message", words[1], words[2]))
		}
		fmt.Fprintf(conn, ":%d\r\n", len(e.channels[words[1]]))
	case "INFO":
		text := fmt.Sprintf("pubsub_channels:%d\r\n", len(e.channels))
		fmt.Fprintf(conn, "$%d\r\n%s\r\n", len(text), text)
	}
}

func (e *standInEngine) forget(conn net.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	conn.Close()
	for name, members := range e.channels {
		if delete(members, conn); len(members) == 0 {
			delete(e.channels, name)
		}
	}
}

// array is an array of strings, as commands and messages are.
func array(words ...string) string {
	text := fmt.Sprintf("*%d\r\n", len(words))
	for _, w := range words {
		text += fmt.Sprintf("$%d\r\n%s\r\n", len(w), w)
	}
	return text
}

// readCommand reads an array of strings, or one line of words.
func readCommand(in *bufio.Reader) ([]string, error) {
	line, err := in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "*") {
		return strings.Fields(line), err
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	if err != nil {
		return nil, err
	}
	var words []string
	for range n {
		if line, err = in.ReadString('\n'); err != nil {
			return nil, err
		}
		size, err := strconv.Atoi(strings.TrimSpace(line[1:]))
		if err != nil {
			return nil, err
		}
		word := make([]byte, size+2)
		if _, err := io.ReadFull(in, word); err != nil {
			return nil, err
		}
		words = append(words, string(word[:size]))
	}
	return words, nil
}

// runStandInTool publishes as redis-benchmark does, one at a time.
func runStandInTool(args []string) int {
	set := make(map[string]string)
	for i := 0; i+1 < len(args); i++ {
		set[args[i]] = args[i+1]
	}
	n, err := strconv.Atoi(set["-n"])
	if err != nil {
		return 2
	}
	conn, err := net.Dial("tcp4", "127.0.0.1:"+set["-p"])
	if err != nil {
		return 1
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	command := array(args[len(args)-3:]...)
	for range n {
		io.WriteString(conn, command)
		if _, err := in.ReadString('\n'); err != nil {
			return 1
		}
	}
	fmt.Print("\"test\",\"rps\"\n\"PUBLISH tool x\",\"1234.50\",\"0.1\"\n")
	return 0
}

// standInBroker is a stand-in's way to the engine.
type standInBroker struct {
	addr    string
	deliver func(channel string, content []byte)

	mu     sync.Mutex
	wanted map[string]chan struct{} // by channel; closed when the engine has confirmed it
	link   net.Conn                 // nil while there is none
	news   *bufio.Reader            // of ask
	asking net.Conn                 // that publishes; nil while there is none
}

func newStandInBroker(dsn string, deliver func(string, []byte)) *standInBroker {
	b := &standInBroker{addr: strings.TrimPrefix(dsn, "redis://"), deliver: deliver, wanted: make(map[string]chan struct{})}
	go b.run()
	return b
}

// run subscribes to everything again whenever it has lost the engine.
func (b *standInBroker) run() {
	for again := time.Tick(time.Millisecond); ; <-again {
		conn, err := net.Dial("tcp4", b.addr)
		if err != nil {
			continue
		}
		b.mu.Lock()
		b.link = conn
		for name := range b.wanted {
			io.WriteString(conn, array("SUBSCRIBE", name))
		}
		b.mu.Unlock()
		for in := bufio.NewReader(conn); ; {
			words, err := readCommand(in)
			if err != nil || len(words) < 3 {
				break
			}
			if words[0] == "message" {
				b.deliver(words[1], []byte(words[2]))
				continue
			}
			b.mu.Lock()
			if done := b.wanted[words[1]]; done != nil {
				close(done)
				b.wanted[words[1]] = nil
			}
			b.mu.Unlock()
		}
		b.mu.Lock()
		b.link = nil
		b.mu.Unlock()
		conn.Close()
	}
}

// join subscribes once, and waits until the engine has confirmed it.
func (b *standInBroker) join(channel string) {
	b.mu.Lock()
	done, known := b.wanted[channel]
	if !known {
		done = make(chan struct{})
		b.wanted[channel] = done
		if b.link != nil {
			io.WriteString(b.link, array("SUBSCRIBE", channel))
		}
	}
	b.mu.Unlock()
	if done != nil {
		<-done
	}
}

// publish reports whether the engine has taken it.
func (b *standInBroker) publish(channel string, content []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.asking == nil {
		conn, err := net.Dial("tcp4", b.addr)
		if err != nil {
			return false
		}
		b.asking, b.news = conn, bufio.NewReader(conn)
	}
	io.WriteString(b.asking, array("PUBLISH", channel, string(content)))
	if _, err := b.news.ReadString('\n'); err != nil {
		b.asking.Close()
		b.asking = nil
		return false
	}
	return true
}
