//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// kaliFlags are the flags of tcpkali's manual that our scripts may use, and whether they take a value.
var kaliFlags = map[string]bool{
	"--ws": false, "--nagle": true, "-c": true, "--connect-rate": true, "--channel-lifetime": true,
	"-T": true, "-r": true, "-1": true, "-m": true, "--latency-connect": false, "--latency-first-byte": false,
	"--latency-marker": true, "--latency-percentiles": true,
}

const kaliUsage = 64 // EX_USAGE, tcpkali's code for a wrong command line

// kali is a stand-in for tcpkali: it takes a command line as strictly as the manual
// has it, makes the load, and ends with the same report. Like tcpkali it takes any first
// bytes for a handshake, and answers no pings.
type kali struct {
	flags       map[string]string
	addr, path  string
	connections int
	lifetime    time.Duration
	duration    time.Duration
	rate        float64 // messages a second of a connection
	connectRate float64

	counting  atomic.Bool // all are connected
	sent      atomic.Int64
	received  atomic.Int64
	mu        sync.Mutex
	latencies map[string][]time.Duration
	ends      chan struct{}
}

func runKali(args []string, stdout, stderr io.Writer) int {
	k := &kali{flags: make(map[string]string), latencies: make(map[string][]time.Duration), ends: make(chan struct{})}
	if err := k.parse(args); err != nil {
		fmt.Fprintln(stderr, err)
		return kaliUsage
	}
	switch os.Getenv("KALI") {
	case "parses":
		return 0
	case "hangs":
		select {}
	}
	fmt.Fprintf(stderr, "Destination: [127.0.0.1]:%s\n", k.addr[strings.LastIndexByte(k.addr, ':')+1:])
	ramped := make(chan struct{})
	go k.connectAll(ramped)
	select {
	case <-ramped:
	case <-time.After(k.duration):
		fmt.Fprintf(stderr, "Could not create %d connections in allotted time (%gs)\n", k.connections, k.duration.Seconds())
		return 1
	}
	fmt.Fprintf(stderr, "Ramped up to %d connections.\n", k.connections)
	start := time.Now()
	k.counting.Store(true)
	<-time.After(k.duration)
	k.counting.Store(false)
	k.report(stdout, time.Since(start))
	close(k.ends)
	return 0
}

// parse refuses what tcpkali refuses, and what its manual does not have.
func (k *kali) parse(args []string) error {
	for len(args) > 1 {
		name, value, joined := strings.Cut(args[0], "=")
		takes, known := kaliFlags[name]
		args = args[1:]
		switch {
		case !known:
			return fmt.Errorf("%s: unknown option", name)
		case takes && !joined:
			value, args = args[0], args[1:]
		case joined && (!takes || !strings.HasPrefix(name, "--")):
			return fmt.Errorf("%s takes no =", name)
		}
		k.flags[name] = value
	}
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		return errors.New("expecting target <host:port>")
	}
	var slash bool
	if k.addr, k.path, slash = strings.Cut(args[0], "/"); !slash {
		return errors.New("the target has no path")
	}
	return errors.Join(k.parseNumbers(), k.check())
}

func (k *kali) parseNumbers() (err error) {
	number := func(name, unit string, fallback float64) float64 {
		text, given := k.flags[name]
		if !given {
			return fallback
		}
		v, e := strconv.ParseFloat(strings.TrimSuffix(text, unit), 64)
		if e != nil || v <= 0 {
			err = errors.Join(err, fmt.Errorf("%s=%s", name, text))
		}
		return v
	}
	k.connections = int(number("-c", "", 1))
	k.connectRate = number("--connect-rate", "", 100)
	k.rate = number("-r", "", 0)
	k.duration = time.Duration(number("-T", "s", 10) * float64(time.Second))
	k.lifetime = time.Duration(number("--channel-lifetime", "s", 3600) * float64(time.Second))
	for p := range strings.SplitSeq(k.flags["--latency-percentiles"], ",") {
		if v, e := strconv.ParseFloat(p, 64); p != "" && (e != nil || v < 0 || v > 100) {
			err = errors.Join(err, fmt.Errorf("bad latency percentile %s", p))
		}
	}
	return err
}

// check is for combinations.
func (k *kali) check() error {
	_, message := k.flags["-m"]
	_, marker := k.flags["--latency-marker"]
	_, ws := k.flags["--ws"]
	nagle, hasNagle := k.flags["--nagle"]
	switch {
	case !ws:
		return errors.New("the stand-in speaks only WebSocket")
	case marker && !message:
		return errors.New("--latency-marker is given, but no messages are supposed to be sent. Specify --message?")
	case k.rate > 0 && !message:
		return errors.New("--message-rate parameter makes no sense without --message or --message-file")
	case message && k.rate == 0:
		return errors.New("a message without a rate would be sent without end")
	case hasNagle && nagle != "on" && nagle != "off":
		return errors.New(`expecting --nagle "on" or "off"`)
	case float64(k.connections)/k.connectRate > k.duration.Seconds():
		return fmt.Errorf("%d connections can not be opened at a rate %g within test duration %g", k.connections, k.connectRate, k.duration.Seconds())
	}
	return nil
}

// connectAll keeps so many connections, and closes ramped when there are that many
// for the first time.
func (k *kali) connectAll(ramped chan struct{}) {
	var open atomic.Int64
	var once sync.Once
	ticks := time.NewTicker(time.Duration(float64(time.Second) / k.connectRate))
	defer ticks.Stop()
	for uid := 1; ; {
		select {
		case <-k.ends:
			return
		case <-ticks.C:
		}
		if open.Load() >= int64(k.connections) {
			once.Do(func() { close(ramped) })
			continue
		}
		open.Add(1)
		go func(uid int) {
			defer open.Add(-1)
			if err := k.connect(uid); err != nil {
				fmt.Fprintln(os.Stderr, "Closing:", err)
			}
		}(uid)
		uid++
	}
}

// connect is one connection.
func (k *kali) connect(uid int) error {
	start := time.Now()
	conn, err := net.Dial("tcp4", k.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(start.Add(k.lifetime)); err != nil {
		return err
	}
	k.record("TCP connect", "--latency-connect", start)
	k.write(conn, fmt.Appendf(nil, "GET /%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n\r\n", k.path, k.addr))
	buf := make([]byte, 64<<10)
	if err := k.read(conn, buf, func([]byte) {}); err != nil {
		return err
	}
	k.record("First byte", "--latency-first-byte", start)

	if first, ok := k.flags["-1"]; ok {
		k.write(conn, kaliFrame(first, uid))
	}
	var times kaliTimes
	if message, ok := k.flags["-m"]; ok {
		go k.sendAll(conn, kaliFrame(message, uid), &times)
	}
	marker := []byte(k.flags["--latency-marker"])
	for err == nil {
		err = k.read(conn, buf, func(p []byte) {
			for range countOf(p, marker) {
				k.record("Message", "--latency-marker", times.oldest())
			}
		})
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return nil // the end of its life
	}
	return err
}

func countOf(p, marker []byte) int {
	if len(marker) == 0 {
		return 0
	}
	return bytes.Count(p, marker)
}

func (k *kali) sendAll(conn net.Conn, frame []byte, times *kaliTimes) {
	ticks := time.NewTicker(time.Duration(float64(time.Second) / k.rate))
	defer ticks.Stop()
	for {
		times.add(time.Now())
		if k.write(conn, frame) != nil {
			return
		}
		select {
		case <-k.ends:
			return
		case <-ticks.C:
		}
	}
}

// kaliTimes is when the messages were sent whose markers are yet to come.
type kaliTimes struct {
	mu   sync.Mutex
	sent []time.Time
}

func (t *kaliTimes) add(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent = append(t.sent, now)
}

func (t *kaliTimes) oldest() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.sent) == 0 {
		fmt.Fprintln(os.Stderr, "More messages received than sent. Choose a different --latency-marker.")
		os.Exit(1)
	}
	first := t.sent[0]
	t.sent = t.sent[1:]
	return first
}

func (k *kali) write(conn net.Conn, p []byte) error {
	n, err := conn.Write(p)
	if k.counting.Load() {
		k.sent.Add(int64(n))
	}
	return err
}

func (k *kali) read(conn net.Conn, buf []byte, found func([]byte)) error {
	n, err := conn.Read(buf)
	if k.counting.Load() {
		k.received.Add(int64(n))
	}
	found(buf[:n])
	return err
}

func (k *kali) record(title, flag string, since time.Time) {
	if _, asked := k.flags[flag]; asked {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.latencies[title] = append(k.latencies[title], time.Since(since))
	}
}

// kaliFrame is a text frame with a mask of zeros, as tcpkali's are.
func kaliFrame(message string, uid int) []byte {
	text := strings.ReplaceAll(message, `\{connection.uid}`, strconv.Itoa(uid))
	frame := []byte{0x81}
	if len(text) < 126 {
		frame = append(frame, 0x80|byte(len(text)))
	} else {
		frame = append(frame, 0x80|126, byte(len(text)>>8), byte(len(text)))
	}
	return append(append(frame, 0, 0, 0, 0), text...)
}
