package session

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The cases in conformance_*_test.go are groups 1 to 7, 9, 10, 12 and 13 of the Autobahn test
// suite, and have its numbers. Each runs on a real socket, against the server and
// against testdata/echo.
//
// The suite expects an echo of each message. Only the echo server has to do exactly
// that. The server ignores a text that is not a command, and refuses binary that is not
// JSON with 1003. Pongs and close codes have to be the same for both.

// A conformanceCase is the steps of a client, and the end of the connection.
type conformanceCase struct {
	name  string
	steps []step
	// code is the code of the server's Close frame; 0 means an empty frame. stays: the
	// server must not close. The test uses the connection, then closes it.
	code int
}

const stays = -1

// A step is bytes to send and the frames with which an echo server answers. The test
// reads all of them before the next step.
type step struct {
	bytes string
	chop  int // most bytes in one write
	want  []frame
}

func text(payload string) frame { return frame{true, opText, payload} }
func pong(payload string) frame { return frame{true, opPong, payload} }

// final and part are a client's frame with and without FIN.
func final(op byte, payload string) string { return masked(0x80|op, payload) }
func part(op byte, payload string) string  { return masked(op, payload) }

// fragments is a message in frames of at most size payload bytes.
func fragments(op byte, payload string, size int) string {
	var b strings.Builder
	for len(payload) > size {
		b.WriteString(part(op, payload[:size]))
		op, payload = opContinuation, payload[size:]
	}
	b.WriteString(final(op, payload))
	return b.String()
}

// chopped is write in pieces of at most size bytes.
func (p *peer) chopped(raw string, size int) {
	p.t.Helper()
	for len(raw) > size {
		p.write(raw[:size])
		raw = raw[size:]
	}
	p.write(raw)
}

// A target is a server that the cases run against.
type target struct {
	name string
	addr string
	echo bool
}

// targets starts both servers.
func targets(t *testing.T) []target {
	srv := start(t, Config{MaxMessageSize: 32 << 20, WriteQueueSize: 64 << 20})
	return []target{{"wsify", srv.Addr().String(), false}, {"echo", startEcho(t), true}}
}

// startEcho builds testdata/echo, runs it until the test ends, and returns its address.
func startEcho(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "echo")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", bin, "./testdata/echo")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	echo := exec.Command(bin, "-listen-addr", "127.0.0.1:0")
	stderr, err := echo.StderrPipe()
	if err == nil {
		err = echo.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = echo.Process.Signal(syscall.SIGTERM)
		_, _ = io.Copy(io.Discard, stderr)
		if err := echo.Wait(); err != nil {
			t.Errorf("%v: %v", echo, err)
		}
	})
	line, err := bufio.NewReader(stderr).ReadString('\n')
	_, addr, listens := strings.Cut(strings.TrimSpace(line), "addr=")
	if !listens {
		t.Fatalf("%v says %q, %v", echo, line, err)
	}
	return addr
}

func (to target) connect(t *testing.T) *peer {
	t.Helper()
	p := dialAddr(t, "tcp", to.addr)
	p.write(upgradeHead("/ws"))
	p.expectUpgrade()
	return p
}

// usable checks that the connection still works.
func (to target) usable(p *peer) {
	p.t.Helper()
	if !to.echo {
		p.usable()
		return
	}
	p.send("usable")
	p.expectText("usable")
}

// answers returns the expected answers of this target, given those of an echo server.
// The server ignores the texts, because they are not commands.
func (to target) answers(echoed []frame) (want []frame) {
	for _, f := range echoed {
		if to.echo || f.op == opPong {
			want = append(want, f)
		}
	}
	return want
}

// run runs one case.
func (to target) run(t *testing.T, tc conformanceCase) {
	p := to.connect(t)
	for _, s := range tc.steps {
		p.chopped(s.bytes, s.chop)
		for _, want := range to.answers(s.want) {
			p.expect(want.op, want.payload)
		}
	}
	if tc.code == stays {
		to.usable(p)
		p.write(closing(1000, ""))
		tc.code = 1000
	}
	p.expectClose(tc.code)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	var all []conformanceCase
	for _, group := range [][]conformanceCase{
		pingCases(), reservedBitCases(), opcodeCases(), fragmentCases(), utf8Cases(), failFastCases(), closeCases(),
	} {
		all = append(all, group...)
	}
	for _, to := range targets(t) {
		t.Run(to.name, func(t *testing.T) {
			for _, tc := range all {
				t.Run(tc.name, func(t *testing.T) { to.run(t, tc) })
			}
			for _, tc := range sizeCases() {
				t.Run(tc.name, func(t *testing.T) { to.runSize(t, tc) })
			}
		})
	}
}

// A sizeCase is a message of a given size, whole or in fragments. It is sent in writes
// of a given size, and repeated.
type sizeCase struct {
	name     string
	op       byte
	size     int
	fragment int // most payload bytes in a frame
	chop     int // most bytes in one write
	count    int
}

// runSize runs one case. The client publishes content of the size to itself, and
// expects the same bytes as text. Below two bytes, the only JSON to publish is a
// digit.
func (to target) runSize(t *testing.T, tc sizeCase) {
	p := to.connect(t)
	fill := map[byte]string{opText: "*", opBinary: "\xfe"}[tc.op]
	sent, want := strings.Repeat(fill, tc.size), frame{true, tc.op, strings.Repeat(fill, tc.size)}
	if !to.echo {
		to.runForeign(t, tc.op, sent)
		content := "7"
		if tc.size > 1 {
			content = `"` + strings.Repeat("*", tc.size-2) + `"`
		}
		sent, want = `{"command":"broadcast","args":{"channel":"big","content":`+content+`}}`, text(content)
		p.join("big")
	}
	raw := fragments(tc.op, sent, tc.fragment)
	for range tc.count {
		p.chopped(raw, tc.chop)
		p.expect(want.op, want.payload)
	}
	to.usable(p)
	p.write(closing(1000, ""))
	p.expectClose(1000)
}

// runForeign sends the server a message that is not a command.
func (to target) runForeign(t *testing.T, op byte, payload string) {
	p := to.connect(t)
	p.write(final(op, payload))
	if op == opBinary {
		p.expectClose(1003)
		return
	}
	p.usable()
	p.write(closing(1000, ""))
	p.expectClose(1000)
}
