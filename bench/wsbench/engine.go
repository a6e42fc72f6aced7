//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"wsify/bench/internal/process"
)

// engineKind is what carries publications between nodes: how it is started, spoken
// to, and measured by the tool that comes with it.
type engineKind struct {
	name   string // of the server's -broker-driver
	dsn    func(port int) string
	server func(o *enginesOptions) string // its program
	tool   func(o *enginesOptions) string // the program of its own benchmark
	get    string                         // how to come by both

	// line is the command line of the server, but for the program. Beside is a second
	// port, for those that tell about themselves on one.
	line func(port, beside int, dir string) []string
	// config is the text of engineConfig in its directory, where that is needed.
	config string
	// subscribed is how many subscriptions it holds.
	subscribed func(e *engine) (int, error)
	// hello is what a client sends first.
	hello string
	// listen is what it sends to subscribe to a channel.
	listen func(channel string) []byte
	// publish is what a client sends to publish.
	publish func(channel string, content []byte) []byte
	// pushed is how many bytes bring it n bytes of content.
	pushed func(channel string, n int) int
	// runs are the ways in which its own tool publishes.
	runs []toolRun
}

// toolRun is one way in which an engine's own tool publishes. The last argument of
// line are the publications, which are a multiple of toolStep.
type toolRun struct {
	name string
	line func(port, clients, content, n int, channel string) []string
	rate func(said string) (float64, error) // publications/s, from what it printed
}

// enginesOptions say where engines and their tools are.
type enginesOptions struct {
	redisServer, redisTool string
	natsServer, natsTool   string
}

func engineKinds() []*engineKind { return []*engineKind{redisKind, natsKind} }

// engineConfig is the file of an engine's settings.
const engineConfig = "engine.conf"

// engine is the running server of a kind.
type engine struct {
	*child
	kind   *engineKind
	port   int
	beside int
	dir    string // its working directory, which goes with it
}

// absent says why an engine cannot take part, and how it could; "" when it can.
func (k *engineKind) absent(o *enginesOptions) string {
	if path := k.server(o); missingProgram(path) {
		return fmt.Sprintf("%s was not measured: there is no %s; %s", k.name, path, k.get)
	}
	return ""
}

func missingProgram(path string) bool {
	_, err := exec.LookPath(path)
	return err != nil
}

// startEngine starts an engine on free ports of the loopback, in a directory of its
// own, and waits until it accepts connections.
func (b *bench) startEngine(k *engineKind) (*engine, error) {
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	beside, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "wsbench-"+k.name+"-")
	if err != nil {
		return nil, err
	}
	e := &engine{kind: k, port: port, beside: beside, dir: dir}
	if err := b.restart(e); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return e, nil
}

// restart starts an engine that does not run, on the ports it has.
func (b *bench) restart(e *engine) error {
	if err := os.WriteFile(filepath.Join(e.dir, engineConfig), []byte(e.kind.config), 0o600); err != nil {
		return err
	}
	cmd := exec.Command(e.kind.server(&b.many.engines), e.kind.line(e.port, e.beside, e.dir)...)
	started, err := b.children.start(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w", e.kind.name, err)
	}
	e.child = started
	if err := e.await(); err != nil {
		err = e.failure(fmt.Errorf("start %s: %w", e.kind.name, err))
		e.kill()
		return err
	}
	return nil
}

// await waits until the engine accepts connections.
func (e *engine) await() error {
	for end := time.Now().Add(startTimeout); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp4", e.addr())
		if err == nil {
			return conn.Close()
		}
		select {
		case <-e.Gone():
			return err
		default:
		}
		if time.Now().After(end) {
			return err
		}
	}
}

func (e *engine) addr() string { return fmt.Sprintf("127.0.0.1:%d", e.port) }

// stop ends the engine and takes its directory away. A nil engine has neither.
func (e *engine) stop() {
	if e != nil {
		e.kill()
		os.RemoveAll(e.dir)
	}
}

// flags tell a server of the engine; none of a nil engine.
func (e *engine) flags() []string {
	if e == nil {
		return nil
	}
	return []string{"-broker-driver", e.kind.name, "-broker-dsn", e.kind.dsn(e.port)}
}

// redisKind is redis-server and redis-benchmark.
var redisKind = &engineKind{
	name:   "redis",
	dsn:    func(port int) string { return fmt.Sprintf("redis://127.0.0.1:%d", port) },
	server: func(o *enginesOptions) string { return o.redisServer },
	tool:   func(o *enginesOptions) string { return o.redisTool },
	get:    "apt-get install redis-server redis-tools has it and redis-benchmark",
	line: func(port, _ int, dir string) []string {
		return []string{filepath.Join(dir, engineConfig), "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir}
	},
	// A tool outruns a subscriber that shares its processors: at 32 MB, the default, the
	// engine would close it. To the protected mode only 127.0.0.1 is this machine.
	config:     "save \"\"\nappendonly no\nprotected-mode no\nclient-output-buffer-limit pubsub 1gb 0 0\n",
	subscribed: redisSubscribed,
	listen:     func(channel string) []byte { return []byte("SUBSCRIBE " + channel + "\r\n") },
	publish: func(channel string, content []byte) []byte {
		return fmt.Appendf(nil, "*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(channel), channel, len(content), content)
	},
	pushed: func(channel string, n int) int {
		return len(fmt.Sprintf("*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n\r\n", len(channel), channel, n)) + n
	},
	runs: []toolRun{redisRun("one in flight", 1), redisRun("16 in flight", pipelined)},
}

// redisRun is redis-benchmark with so many requests of each client in flight.
func redisRun(name string, inFlight int) toolRun {
	return toolRun{
		name: name,
		line: func(port, clients, content, n int, channel string) []string {
			return []string{"-p", strconv.Itoa(port), "-c", strconv.Itoa(clients), "-P", strconv.Itoa(inFlight), "--csv",
				"-n", strconv.Itoa(n), "PUBLISH", channel, strings.Repeat("x", content)}
		},
		rate: redisRate,
	}
}

// redisRate reads the last line of redis-benchmark --csv: "PUBLISH tool","123.45",...
func redisRate(said string) (float64, error) {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	fields := strings.Split(lines[len(lines)-1], `","`)
	if len(fields) < 2 {
		return 0, fmt.Errorf("redis-benchmark said %q", said)
	}
	return strconv.ParseFloat(strings.Trim(fields[1], `"`), 64)
}

// redisSubscribed asks for pubsub_channels.
func redisSubscribed(e *engine) (int, error) {
	conn, err := net.Dial("tcp4", e.addr())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(dialTimeout))
	if _, err := io.WriteString(conn, "INFO stats\r\n"); err != nil {
		return 0, err
	}
	for in := bufio.NewScanner(conn); in.Scan(); {
		if value, ok := strings.CutPrefix(in.Text(), "pubsub_channels:"); ok {
			return strconv.Atoi(value)
		}
	}
	return 0, errors.New("INFO of redis has no pubsub_channels")
}

// natsKind is nats-server and the bench of the nats command.
var natsKind = &engineKind{
	name:   "nats",
	dsn:    natsDSN,
	server: func(o *enginesOptions) string { return o.natsServer },
	tool:   func(o *enginesOptions) string { return o.natsTool },
	get:    "(cd bench/engines && go build -o ../../bin/engines/ tool) builds it and nats",
	line: func(port, beside int, dir string) []string {
		return []string{"-c", filepath.Join(dir, engineConfig), "-a", "127.0.0.1", "-p", strconv.Itoa(port), "-m", strconv.Itoa(beside)}
	},
	config:     "max_pending: 1GB\nwrite_deadline: \"60s\"\n", // for the same reason
	subscribed: natsSubscribed,
	hello:      "CONNECT {\"verbose\":false}\r\n",
	listen:     func(channel string) []byte { return fmt.Appendf(nil, "SUB %s 1\r\n", channel) },
	publish: func(channel string, content []byte) []byte {
		return fmt.Appendf(nil, "PUB %s %d\r\n%s\r\n", channel, len(content), content)
	},
	pushed: func(channel string, n int) int { return len(fmt.Sprintf("MSG %s 1 %d\r\n\r\n", channel, n)) + n },
	runs: []toolRun{{
		name: "as many as it takes in flight",
		line: func(port, clients, content, n int, channel string) []string {
			return []string{"--server", natsDSN(port), "--no-context", "bench", "pub", channel, "--no-progress", "--clients", strconv.Itoa(clients),
				"--size", strconv.Itoa(content), "--msgs", strconv.Itoa(n)}
		},
		rate: natsRate,
	}},
}

func natsDSN(port int) string { return fmt.Sprintf("nats://127.0.0.1:%d", port) }

// natsRate reads the line of all clients: "... stats: 1,234,567 msgs/sec ~ ...".
func natsRate(said string) (float64, error) {
	for line := range strings.Lines(said) {
		_, stats, _ := strings.Cut(line, "stats: ")
		if rate, _, ok := strings.Cut(stats, " msgs/sec"); ok {
			return strconv.ParseFloat(strings.ReplaceAll(rate, ",", ""), 64)
		}
	}
	return 0, fmt.Errorf("nats bench said %q", said)
}

// natsSubscribed asks for the subscriptions of all clients.
func natsSubscribed(e *engine) (int, error) {
	client := http.Client{Timeout: dialTimeout}
	answer, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/varz", e.beside))
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	for in := bufio.NewScanner(answer.Body); in.Scan(); {
		name, value, _ := strings.Cut(strings.TrimSpace(in.Text()), ": ")
		if name == `"subscriptions"` {
			return strconv.Atoi(strings.TrimSuffix(value, ","))
		}
	}
	return 0, errors.New("/varz of nats-server has no subscriptions")
}
