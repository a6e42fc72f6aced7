//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const startTimeout = 15 * time.Second

// buildServer builds ./bin/wsify, unless -server names another.
func (b *bench) buildServer(ctx context.Context) error {
	if b.server != "" {
		return nil
	}
	b.server = "./bin/wsify"
	_, err := b.children.run(ctx, 5*time.Minute, exec.Command("go", "build", "-o", b.server, "./cmd/wsify"))
	return err
}

// server is wsify, listening.
type server struct {
	*child
	addr     string
	headSize int // bytes of its answer to a handshake
}

// startServer runs the server on a free port of the loopback and waits until a
// handshake succeeds.
func (b *bench) startServer(ctx context.Context) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	c, err := b.children.start(exec.Command(b.server, append([]string{"-listen-addr", addr}, strings.Fields(b.serverArgs)...)...))
	if err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	s := &server{child: c, addr: addr}
	if s.headSize, err = s.await(ctx); err != nil {
		err = s.failure(fmt.Errorf("start the server: %w", err))
		s.kill()
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
		case <-s.gone:
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

func freeAddr() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// usage is what a process has used so far.
type usage struct {
	cpu    time.Duration // by the scheduler's account of its threads
	memory int           // RSS now, in bytes
	peak   int           // and at most
}

func (s *server) usage() (u usage, err error) {
	pid := s.cmd.Process.Pid
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return u, errors.Join(err, errors.New("the server is gone"))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // a thread that just ended
		}
		if err != nil {
			return u, err
		}
		onCPU, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(onCPU, 10, 64)
		if err != nil {
			return u, fmt.Errorf("%s: %w", file, err)
		}
		u.cpu += time.Duration(ns)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	u.memory, u.peak = statusKiB(text, "VmRSS:"), statusKiB(text, "VmHWM:")
	return u, err
}

// statusKiB returns in bytes what /proc/PID/status gives in KiB, 0 when it does not.
func statusKiB(text []byte, name string) int {
	_, rest, _ := strings.Cut(string(text), name)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.Atoi(fields[0])
	return kib << 10
}
