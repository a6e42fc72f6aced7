package netpoll

import (
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wsify/internal/testtool"
)

func TestAPeerWhoseMachineIsGoneIsUnanswered(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	client, id := p.connect()
	unanswered := func(d time.Duration) (silent bool) {
		p.with(id, func(c *Conn) { silent = c.Unanswered(d) })
		return silent
	}
	p.with(id, func(c *Conn) { c.Send([]byte("heard")) })
	wantRead(t, client, "heard")
	if unanswered(0) {
		t.Error("a peer that acknowledges is unanswered")
	}
	testtool.GoSilent(t, client)
	if unanswered(0) {
		t.Error("a peer that was sent nothing is unanswered")
	}
	p.with(id, func(c *Conn) { c.Send([]byte("lost")) })
	until(t, "the peer is unanswered", func() bool { return unanswered(100 * time.Millisecond) })
	if unanswered(time.Hour) {
		t.Error("it counts as silent for longer than it is")
	}
}

func TestAPeerThatDoesNotReadIsNotSilent(t *testing.T) {
	p := newProbe(t, Config{MaxQueuedBytes: 64 << 20}, hooks{})
	client, id := p.connect()
	_ = client.SetReadBuffer(4 << 10)
	p.with(id, func(c *Conn) {
		for c.out == 0 {
			c.Send(make([]byte, 64<<10))
		}
	})
	until(t, "the kernel probes the closed window", func() bool {
		closed := false
		p.with(id, func(c *Conn) {
			info, err := unix.GetsockoptTCPInfo(int(c.fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			closed = err == nil && info.Snd_wnd == 0 && info.Backoff > 0
			if c.Unanswered(0) {
				t.Error("a peer that does not read counts as silent")
			}
		})
		return closed || t.Failed()
	})
	ours, _ := socketPair(t)
	if err := p.g.Adopt(ours, nil); err != nil {
		t.Fatal(err)
	}
	p.with(await(t, p.opened, "Opened"), func(c *Conn) {
		if c.Unanswered(0) {
			t.Error("the peer of a unix socket is unanswered")
		}
	})
}

func TestAPeerThatDoesNotReadIsUnread(t *testing.T) {
	p := newProbe(t, Config{MaxQueuedBytes: 64 << 20}, hooks{})
	client, id := p.connect()
	unread := func(d time.Duration) (is bool) {
		p.with(id, func(c *Conn) { is = c.Unread(d) })
		return is
	}
	if unread(0) {
		t.Error("a peer that was sent nothing is unread")
	}
	_ = client.SetReadBuffer(4 << 10)
	p.with(id, func(c *Conn) {
		for c.out == 0 {
			c.Send(make([]byte, 64<<10))
		}
	})
	until(t, "the peer is unread", func() bool { return unread(100 * time.Millisecond) })
	if unread(time.Hour) {
		t.Error("it counts as unread for longer than it is")
	}
	go func() { _, _ = io.Copy(io.Discard, client) }()
	until(t, "all is read", func() bool { return !unread(0) })
}
