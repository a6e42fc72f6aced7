//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"wsify/bench/internal/process"
)

const startTimeout = 15 * time.Second

// buildServer builds ./bin/wsify, unless -server names another.
func (b *bench) buildServer(ctx context.Context) error {
	if b.server != "" {
		return nil
	}
	b.server = "./bin/wsify"
	_, err := b.children.Run(ctx, 5*time.Minute, exec.Command("go", "build", "-o", b.server, "./cmd/wsify"))
	return err
}

// server is wsify, listening.
type server struct {
	*process.Child
	addr     string
	headSize int // bytes of its answer to a handshake
}

// startServer runs the server on a free port of the loopback and waits until a
// handshake succeeds.
func (b *bench) startServer(ctx context.Context) (*server, error) {
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	cmd := exec.Command(b.server, append([]string{"-listen-addr", addr}, strings.Fields(b.serverArgs)...)...)
	// The admin address would be the same for all that run at once; publishers have no key.
	cmd.Env = append(os.Environ(), "WSIFY_ADMIN_ADDR=off", "WSIFY_BROADCAST_OPEN=true")
	c, err := b.children.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	s := &server{Child: c, addr: addr}
	if s.headSize, err = s.await(ctx); err != nil {
		err = s.Failure(fmt.Errorf("start the server: %w", err))
		s.Kill()
		return nil, err
	}
	return s, nil
}

// await tries until the server has upgraded one connection.
func (s *server) await(ctx context.Context) (headSize int, err error) {
	end := time.After(startTimeout)
	for {
		if headSize, err = upgrade(s.addr); err == nil {
			return headSize, nil
		}
		select {
		case <-s.Gone():
			return 0, err
		case <-end:
			return 0, err
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// upgrade does one handshake and returns the size of the server's answer.
func upgrade(addr string) (headSize int, err error) {
	conn, err := net.DialTimeout("tcp4", addr, time.Second)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return 0, err
	}
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", addr)
	var head []byte
	buf := make([]byte, 1024)
	for !bytes.Contains(head, []byte("\r\n\r\n")) {
		n, err := conn.Read(buf)
		if err != nil {
			return 0, fmt.Errorf("the server's answer to a handshake: %w after %.200q", err, head)
		}
		head = append(head, buf[:n]...)
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		return 0, fmt.Errorf("the server does not upgrade: %.200q", head)
	}
	return len(head), nil
}

// usage is what a process has used so far.
type usage struct {
	cpu    time.Duration // by the scheduler's account of its threads
	memory int64         // RSS now, in bytes
	peak   int64         // and at most
}

func (s *server) usage() (u usage, err error) {
	if u.cpu, err = process.SchedTime(s.PID()); err != nil {
		return u, err
	}
	err = process.ReadSizes(fmt.Sprintf("/proc/%d/status", s.PID()), map[string]*int64{"VmRSS": &u.memory, "VmHWM": &u.peak})
	return u, err
}
