package test

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// guide runs the blocks of docs/nodes.md as they are, except that each port is replaced by one that
// is free here.
type guide struct {
	t      *testing.T
	driver string            // the broker's: redis or nats
	dir    string            // the directory for its commands, with ./wsify
	ports  map[string]string // free ports by those of the guide
}

// guidePorts are the ports in the guide.
var guidePorts = []string{"3000", "3010", "3011", "3020", "3021", "3100", "4222", "6379"}

// triedInGuide are the names of all blocks that some test runs.
var triedInGuide = []string{
	"redis", "nodes on redis", "nats", "nodes on nats", "haproxy", "nginx.conf", "nginx",
	"redis acl", "node with a user of redis", "nats.conf", "nats with a user", "node with a user of nats",
}

func newGuide(t *testing.T, driver string) *guide {
	t.Helper()
	g := &guide{t: t, driver: driver, dir: t.TempDir(), ports: map[string]string{}}
	for _, port := range guidePorts {
		g.ports[port] = steadyPort(t, slices.Collect(maps.Values(g.ports)))
	}
	if err := os.Symlink(program, filepath.Join(g.dir, "wsify")); err != nil {
		t.Fatal(err)
	}
	return g
}

// steadyPort returns a free port that stays free while its listener restarts: it is below the ports
// that the kernel gives to connections.
func steadyPort(t *testing.T, but []string) string {
	t.Helper()
	for range 1000 {
		port := fmt.Sprint(10_000 + rand.IntN(20_000))
		if slices.Contains(but, port) {
			continue
		}
		if l, err := net.Listen("tcp", ":"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// addr returns the address here for a port of the guide.
func (g *guide) addr(port string) string { return "127.0.0.1:" + g.ports[port] }

var portInGuide = regexp.MustCompile(`\b(` + strings.Join(guidePorts, "|") + `)\b`)

// here replaces the guide's ports with ours.
func (g *guide) here(text string) string {
	return portInGuide.ReplaceAllStringFunc(text, func(port string) string { return g.ports[port] })
}

func guideBlocks(t *testing.T) [][]string {
	t.Helper()
	return triedBlock.FindAllStringSubmatch(docsPage(t, "nodes.md"), -1)
}

// docsPage returns a page of docs.
func docsPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block returns a block of the guide.
func (g *guide) block(name string) string {
	g.t.Helper()
	for _, block := range guideBlocks(g.t) {
		if block[1] == name {
			return g.here(block[2])
		}
	}
	g.t.Fatalf("docs/nodes.md has no block %q", name)
	return ""
}

// start starts every command of a block, all at the same time.
func (g *guide) start(name string) (started []*process) {
	g.t.Helper()
	for _, c := range console(g.block(name), "") {
		started = append(started, shell(g.t, g.dir, nil, "exec "+c.line))
	}
	return started
}

// engine starts the engine of the broker, as the guide does, and waits for it.
func (g *guide) engine() *process {
	g.t.Helper()
	port := map[string]string{"redis": "6379", "nats": "4222"}[g.driver]
	need(g.t, g.driver+"-server", g.driver+"-server")
	p := g.start(g.driver)[0]
	p.name = g.driver + "-server"
	g.awaitListening(port)
	return p
}

// awaitListening waits until something listens on a port of the guide.
func (g *guide) awaitListening(port string) {
	g.t.Helper()
	awaitListener(g.t, g.addr(port))
}

// nodes starts the two nodes of the guide and waits until they listen.
func (g *guide) nodes() (nodes []*server) {
	g.t.Helper()
	for i, p := range g.start("nodes on " + g.driver) {
		p.name = fmt.Sprintf("node %d", i+1)
		s := &server{process: p, addr: g.addr([]string{"3010", "3020"}[i])}
		g.t.Cleanup(s.endInOrder)
		nodes = append(nodes, s)
	}
	for _, s := range nodes {
		s.awaitAddr()
	}
	return nodes
}

// readiness returns the status of a node's /readyz; 0 when it does not answer.
func (g *guide) readiness(node int) int {
	answer, err := http.Get("http://" + g.addr([]string{"3011", "3021"}[node]) + "/readyz")
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

// awaitReady waits until both nodes answer /readyz with this status.
func (g *guide) awaitReady(status int) {
	g.t.Helper()
	g.await(fmt.Sprintf("/readyz of both nodes to be %d", status), func() bool {
		return g.readiness(0) == status && g.readiness(1) == status
	})
}

// await waits until done returns true.
func (g *guide) await(what string, done func() bool) {
	g.t.Helper()
	const every = 10 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if done() {
			return
		}
	}
	g.t.Fatalf("waited %s without success for %s", patience, what)
}

// post publishes and returns the status and the body of the answer.
func post(url, body string) (status int, text string, err error) {
	answer, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	read, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(read), err
}

// README.md has the same commands as the guide, which other tests run.
func TestReadmeStartsNodesAsTheGuideDoes(t *testing.T) {
	g := &guide{t: t, ports: map[string]string{}}
	for _, port := range guidePorts {
		g.ports[port] = port
	}
	want := g.block("redis") + g.block("nodes on redis") + g.block("haproxy")
	if got := readme(t, "many nodes"); got != want {
		t.Errorf("README.md has\n%s\nand docs/nodes.md\n%s", got, want)
	}
}

func TestGuidePromisesNoTestThatIsNotHere(t *testing.T) {
	var names []string
	for _, block := range guideBlocks(t) {
		names = append(names, block[1])
	}
	slices.Sort(names)
	want := slices.Sorted(slices.Values(triedInGuide))
	if !slices.Equal(names, want) {
		t.Errorf("docs/nodes.md has the blocks %q, the tests try %q", names, want)
	}
}
