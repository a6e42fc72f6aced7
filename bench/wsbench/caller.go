//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"

	"golang.org/x/sys/unix"
)

// caller is one connection of a storm.
type caller struct {
	fd    int // -1 while there is none
	state callerState
	since int64  // when it first began, or should have
	again bool   // it was refused before
	head  []byte // of the answer to the upgrade, as far as it has come
	in    frames
}

type callerState uint8

const (
	calling   callerState = iota // until the kernel takes the upgrade
	upgrading                    // until the head of its answer is there
	greeting                     // until the session is open
	joining
	inside
)

// advance takes one step with a caller that can be written to or read from.
func (d *dialer) advance(i int) error {
	c := &d.callers[i]
	if c.state == calling {
		if err := d.upgrade(c); cutOff(err) {
			d.resets++
			d.retry(i, stormPause)
			return nil
		} else if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		return os.NewSyscallError("epoll_ctl", unix.EpollCtl(d.epoll, unix.EPOLL_CTL_MOD, c.fd, &e))
	}
	n, errno := recvNow(c.fd, d.buf[:])
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return nil
	case cutOff(errno) && c.state == upgrading:
		d.resets++
		d.retry(i, stormPause)
		return nil
	case errno != 0:
		return os.NewSyscallError("recv", errno)
	case n == 0:
		return errors.New("closed by the server")
	}
	rest := d.buf[:n]
	if c.state == upgrading {
		var err error
		if rest, err = d.answered(i, rest); err != nil || rest == nil {
			return err
		}
	}
	return d.messages(i, rest)
}

// cutOff reports whether the kernel ended a connection that the server has not seen: one
// that found the accept queue full, and was forgotten before there was room.
func cutOff(err error) bool { return errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) }

// answered takes the answer to the upgrade. It returns what came behind it once it
// is whole and says yes.
func (d *dialer) answered(i int, p []byte) (rest []byte, err error) {
	c := &d.callers[i]
	c.head = append(c.head, p...)
	end := bytes.Index(c.head, []byte("\r\n\r\n"))
	if end < 0 {
		if len(c.head) > maxAnswer {
			return nil, fmt.Errorf("an answer is above %d bytes", maxAnswer)
		}
		return nil, nil
	}
	head, rest := c.head[:end+4], c.head[end+4:]
	if status, err := statusOf(head); err != nil {
		return nil, err
	} else if status == http.StatusServiceUnavailable {
		d.refused++
		d.retry(i, retryAfter(head))
		return nil, nil
	}
	if err := checkUpgrade(head); err != nil {
		return nil, err
	}
	c.state, c.head = joining, nil
	command := d.join
	if d.greet != nil {
		c.state, command = greeting, d.greet
	}
	if rest == nil {
		rest = []byte{}
	}
	return rest, d.say(c, command)
}

// say sends a small command, which fits.
func (d *dialer) say(c *caller, command []byte) error {
	if n, errno := sendNow(c.fd, command); n != len(command) {
		return fmt.Errorf("send took %d of %d bytes: %w", n, len(command), errno)
	}
	return nil
}

// messages takes what came behind the handshake.
func (d *dialer) messages(i int, p []byte) error {
	c := &d.callers[i]
	for len(p) > 0 {
		rest, e, ok := c.in.next(p)
		if !ok {
			return nil
		}
		p = rest
		switch e.opcode {
		case opPing:
			sendNow(c.fd, clientFrame(opPong, e.payload))
		case opClose:
			if closeCode(e) != tryAgainLater {
				return fmt.Errorf("the server closed the connection with %d", closeCode(e))
			}
			d.refused++
			d.retry(i, stormPause)
			return nil
		case opText:
			if err := d.message(c, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// message takes the next answer.
func (d *dialer) message(c *caller, e event) error {
	switch c.state {
	case greeting:
		c.state = joining
		return d.say(c, d.join)
	case joining:
		if bytes.Contains(e.payload, []byte("authorizer_down")) {
			return nil // and is closed with 1013
		}
		if !bytes.Contains(e.payload, d.target.dialect.joined) {
			return fmt.Errorf("join: answered %s", e.payload)
		}
		c.state = inside
		d.joined++
		at := now()
		d.joinedAfter.record(at - c.since)
		if !c.again {
			d.atOnce++
			d.lastAtOnce = at
		}
	}
	return nil
}
