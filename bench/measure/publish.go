//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// publisher gives publications to what is measured. Doors are independent ways in.
type publisher interface {
	// publish sends n publications through a door, without waiting for answers.
	publish(door, n int) error
	// collect waits until everything published was accepted.
	collect() error
	close()
}

// tallySize is how many publications may be on their way at once.
const tallySize = 1024

// tally counts publications that reached every member. All members see one order,
// so the n-th message of each member is the same publication.
type tally struct {
	size  uint32
	bytes int // of content; anything else is no publication of ours
	reach [tallySize]atomic.Uint32
	done  chan struct{} // one for each publication that reached everybody
}

func newTally(members, bytes int) *tally {
	return &tally{size: uint32(members), bytes: bytes, done: make(chan struct{}, tallySize)}
}

// message counts one delivery. It is called by receivers.
func (t *tally) message(m *member, size int) {
	if size != t.bytes {
		m.at.crowd.fail(fmt.Errorf("a message of %d bytes came instead of %d", size, t.bytes))
		return
	}
	i := m.seen % tallySize
	m.seen++
	if t.reach[i].Add(1) == t.size {
		t.reach[i].Store(0)
		t.done <- struct{}{}
	}
}

// text returns a JSON string that is n bytes long with its quotes.
func text(n int) []byte {
	return append(append([]byte{'"'}, bytes.Repeat([]byte{'x'}, n-2)...), '"')
}

// doors is how many connections a poster publishes through.
const doors = 4

// poster publishes by POST /broadcast over keep-alive connections.
type poster struct {
	request []byte
	doors   [doors]*door
}

// openPoster connects to a server. Every publication has the same channel and content.
func openPoster(port int, channel string, content []byte) (*poster, error) {
	body := fmt.Sprintf(`{"channel":%q,"content":%s}`, channel, content)
	p := &poster{request: fmt.Appendf(nil, "POST /broadcast HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", port, len(body), body)}
	for i := range p.doors {
		d, err := openDoor(port)
		if err != nil {
			p.close()
			return nil, err
		}
		p.doors[i] = d
	}
	return p, nil
}

func (p *poster) publish(door, n int) error {
	d := p.doors[door%doors]
	d.asked += n
	_, err := d.conn.Write(bytes.Repeat(p.request, n))
	return err
}

func (p *poster) collect() error {
	var errs []error
	for _, d := range p.doors {
		errs = append(errs, d.collect())
	}
	return errors.Join(errs...)
}

func (p *poster) close() {
	for _, d := range p.doors {
		if d != nil {
			d.conn.Close()
		}
	}
}

// door is one keep-alive connection; requests may be pipelined.
type door struct {
	conn    net.Conn
	asked   int
	answers chan error // one for each answer, then closed
}

func openDoor(port int) (*door, error) {
	conn, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	d := &door{conn: conn, answers: make(chan error, tallySize)}
	go d.read()
	return d, nil
}

// read takes answers until the connection is closed.
func (d *door) read() {
	defer close(d.answers)
	in := bufio.NewReader(d.conn)
	for {
		answer, err := http.ReadResponse(in, nil)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			d.answers <- fmt.Errorf("POST /broadcast: %w", err)
			return
		}
		body, err := io.ReadAll(answer.Body)
		if err == nil && answer.StatusCode != http.StatusCreated {
			err = fmt.Errorf("POST /broadcast: answered %s: %s", answer.Status, body)
		}
		d.answers <- err
	}
}

func (d *door) collect() error {
	limit := time.After(deliveryTimeout)
	for ; d.asked > 0; d.asked-- {
		select {
		case err, ok := <-d.answers:
			if err != nil {
				return err
			}
			if !ok {
				return errors.New("POST /broadcast: connection closed")
			}
		case <-limit:
			return fmt.Errorf("POST /broadcast: no answer within %v", deliveryTimeout)
		}
	}
	return nil
}
