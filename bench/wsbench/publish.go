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
	"sync"
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

// tally counts publications that reached every member. All members of a channel see
// one order, so the n-th message of each is the same publication. Members of several
// channels are not for it.
type tally struct {
	size  uint32
	bytes int         // of a message; anything else is no publication of ours
	timed atomic.Bool // latencies are recorded, from the stamps
	only  *receiver   // of whose members they are; nil: of everybody's. Set while nothing is timed
	reach [tallySize]atomic.Uint32
	done  chan struct{} // one for each publication that reached everybody
}

func newTally(members, bytes int) *tally {
	return &tally{size: uint32(members), bytes: bytes, done: make(chan struct{}, tallySize)}
}

// message counts one delivery. It is called by receivers.
func (t *tally) message(m *member, e event) {
	if e.size != t.bytes {
		m.at.crowd.fail(fmt.Errorf("a message of %d bytes came instead of %d", e.size, t.bytes))
		return
	}
	if t.timed.Load() && (t.only == nil || t.only == m.at) {
		m.at.took.record(now() - readStamp(e.stamp))
	}
	i := m.seen
	m.seen++
	t.count(i)
}

// count notes that publication i has reached one more.
func (t *tally) count(i uint32) {
	i %= tallySize
	if t.reach[i].Add(1) == t.size {
		t.reach[i].Store(0)
		t.done <- struct{}{}
	}
}

// text returns a JSON string that is n bytes long with its quotes.
func text(n int) []byte {
	return append(append([]byte{'"'}, bytes.Repeat([]byte{'x'}, n-2)...), '"')
}

// A stamp is the quote and the hexadecimal digits at the beginning of a content
// that tell when it should have been published, in nanoseconds of now.
const (
	stampDigits = 14 // nanoseconds of more than two years
	stampSize   = 1 + stampDigits
	stampedMin  = stampSize + 1 // bytes of the shortest content that can carry one
)

// putStamp overwrites the first bytes of a content.
func putStamp(content []byte, instant int64) {
	const digits = "0123456789abcdef"
	for i := range stampDigits {
		content[1+i] = digits[instant>>(4*(stampDigits-1-i))&0xf]
	}
}

// readStamp returns the instant, or something else for bytes that are no stamp.
func readStamp(p []byte) (instant int64) {
	for _, c := range p[1:stampSize] {
		digit := c - '0'
		if c >= 'a' {
			digit = c - 'a' + 10
		}
		instant = instant<<4 | int64(digit&0xf)
	}
	return instant
}

// doors is how many connections a poster publishes through.
const doors = 4

// poster publishes by POST /broadcast over keep-alive connections.
type poster struct {
	request []byte
	content int // where the content begins in the request; -1 when there is no room for a stamp
	doors   [doors]*door
}

// openPoster connects to a server. Every publication has the same channel and
// content, but for the stamp.
func openPoster(port int, channel string, content []byte) (*poster, error) {
	p := new(poster).sibling(port, channel, content)
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

// sibling publishes to another channel over the same connections, which it leaves
// open.
func (p *poster) sibling(port int, channel string, content []byte) *poster {
	q := &poster{request: postRequest(port, channel, content), content: -1, doors: p.doors}
	if len(content) >= stampedMin {
		q.content = len(q.request) - len(content) - 1
	}
	return q
}

// postRequest is a POST /broadcast. The content is the last but the closing brace.
func postRequest(port int, channel string, content []byte) []byte {
	body := fmt.Sprintf(`{"channel":%q,"content":%s}`, channel, content)
	return fmt.Appendf(nil, "POST /broadcast HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", port, len(body), body)
}

func (p *poster) publish(door, n int) error {
	d := p.doors[door%doors]
	d.asked += n
	_, err := d.conn.Write(bytes.Repeat(p.request, n))
	return err
}

// publishAt gives one publication that should leave at an instant of now.
func (p *poster) publishAt(door int, instant int64) error {
	if p.content < 0 {
		return fmt.Errorf("a content has to have %d bytes to carry the time", stampedMin)
	}
	putStamp(p.request[p.content:], instant)
	return p.publish(door, 1)
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

// door is one keep-alive connection; requests may be pipelined, as many as one likes:
// answers are counted as they come, whether anybody collects them or not.
type door struct {
	conn  net.Conn
	asked int           // requests so far
	news  chan struct{} // an answer came, or the end

	mu       sync.Mutex
	answered int
	err      error // the first
	number   int   // of the answer that it stands for
}

func openDoor(port int) (*door, error) {
	conn, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	d := &door{conn: conn, news: make(chan struct{}, 1)}
	go d.read()
	return d, nil
}

// read takes answers until the connection is closed.
func (d *door) read() {
	in := bufio.NewReader(d.conn)
	for {
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			d.note(fmt.Errorf("POST /broadcast: %w", err))
			return
		}
		body, err := io.ReadAll(answer.Body)
		if err == nil && answer.StatusCode != http.StatusCreated {
			err = fmt.Errorf("POST /broadcast: answered %s: %s", answer.Status, body)
		}
		d.note(err)
	}
}

// note counts an answer.
func (d *door) note(err error) {
	d.mu.Lock()
	d.answered++
	if d.err == nil {
		d.err, d.number = err, d.answered
	}
	d.mu.Unlock()
	select {
	case d.news <- struct{}{}:
	default: // there is news already
	}
}

// collected reports whether everything asked was answered, or the first error. A
// connection that ends when nothing is asked fails the next request, not the last.
func (d *door) collected() (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil && d.number <= d.asked {
		return false, d.err
	}
	return d.answered >= d.asked, nil
}

func (d *door) collect() error {
	limit := time.After(deliveryTimeout)
	for {
		if all, err := d.collected(); all || err != nil {
			return err
		}
		select {
		case <-d.news:
		case <-limit:
			return fmt.Errorf("POST /broadcast: no answer within %v", deliveryTimeout)
		}
	}
}
