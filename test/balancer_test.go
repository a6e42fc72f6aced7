package test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/gobwas/ws"
)

// balancedClients is how many clients come through the load balancer.
const balancedClients = 200

// topology is a load balancer with two nodes and their engine.
type topology struct {
	*guide
	nodes    []*server
	clients  []*client
	restart  func(node int) // starts a node again
	backends string         // the address of POST /broadcast
	key      string
}

func TestHAProxyInFrontOfTheNodesOfTheGuide(t *testing.T) {
	onBothEngines(t, func(t *testing.T, g *guide, nodes []*server, _ *process) {
		g.haproxy(nil)
		tp := &topology{guide: g, nodes: nodes, backends: "http://" + g.addr("3100"), key: "dev"}
		tp.restart = func(node int) { g.again(node) }
		tp.try()
	})
}

func TestNginxInFrontOfTheNodesOfTheGuide(t *testing.T) {
	g := newGuide(t, "redis")
	need(t, "nginx", "nginx-light")
	g.engine()
	nodes := g.nodes()
	g.awaitReady(200)
	writeFile(t, g.dir, "nginx.conf", g.block("nginx.conf"))
	g.start("nginx")
	g.awaitListening("3000")
	tp := &topology{guide: g, nodes: nodes, backends: nodes[1].http(), key: "dev"}
	tp.restart = func(node int) { g.again(node) }
	tp.try()
}

// TestComposeAsPlainProcesses starts the services of compose.yaml, with their commands and
// settings; only names and ports differ.
func TestComposeAsPlainProcesses(t *testing.T) {
	endToEnd(t)
	for _, driver := range drivers {
		t.Run(driver, func(t *testing.T) {
			c := readCompose(t, map[string]string{"ENGINE": driver, "WSIFY_BROADCASTING_KEY": "k3y"})
			g := newGuide(t, driver)
			g.composedEngine(c.Services[driver].Command)
			tp := &topology{guide: g, backends: "http://" + g.addr("3100"), key: "k3y"}
			tp.restart = func(node int) { g.composedNode(c, node) }
			for node := range 2 {
				tp.nodes = append(tp.nodes, g.composedNode(c, node))
			}
			g.awaitReady(200)
			env := []string{}
			for _, line := range c.Services["loadbalancer"].environ() {
				env = append(env, regexp.MustCompile(`\bnode[12]$`).ReplaceAllString(line, "127.0.0.1"))
			}
			g.haproxy(env)
			tp.try()
		})
	}
}

// composedEngine starts an engine with its command in compose.yaml.
func (g *guide) composedEngine(command []string) {
	g.t.Helper()
	port := map[string]string{"redis": "6379", "nats": "4222"}[g.driver]
	need(g.t, command[0], command[0])
	own := map[string][]string{
		"redis-server": {"--bind", "127.0.0.1", "--port", g.ports[port], "--dir", g.dir},
		"nats-server":  {"-a", "127.0.0.1"},
	}
	for i := range command {
		command[i] = g.here(command[i])
	}
	start(g.t, g.dir, nil, append(command, own[command[0]]...)...)
	g.awaitListening(port)
}

// composedNode starts a node with its settings in compose.yaml.
func (g *guide) composedNode(c *composition, node int) *server {
	g.t.Helper()
	var env []string
	for _, line := range c.Services[fmt.Sprintf("node%d", node+1)].environ() {
		if dsn, ok := strings.CutSuffix(line, "://"+g.driver); ok {
			line = dsn + "://" + g.addr(map[string]string{"redis": "6379", "nats": "4222"}[g.driver])
		}
		env = append(env, g.here(line))
	}
	s := &server{process: start(g.t, g.dir, env, program), addr: g.addr([]string{"3010", "3020"}[node])}
	s.name = fmt.Sprintf("node %d", node+1)
	g.t.Cleanup(s.endInOrder)
	s.awaitAddr()
	return s
}

// again restarts one of the guide's nodes.
func (g *guide) again(node int) {
	g.t.Helper()
	line := console(g.block("nodes on "+g.driver), "")[node].line
	s := &server{process: shell(g.t, g.dir, nil, "exec "+line), addr: g.addr([]string{"3010", "3020"}[node])}
	g.t.Cleanup(s.endInOrder)
	s.awaitAddr()
}

// haproxy starts HAProxy as the guide does, and waits until it listens.
func (g *guide) haproxy(env []string) {
	g.t.Helper()
	need(g.t, "haproxy", "haproxy")
	text, err := os.ReadFile(filepath.Join(root, "deploy", "haproxy.cfg"))
	if err != nil {
		g.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(g.dir, "deploy"), 0o700); err != nil {
		g.t.Fatal(err)
	}
	writeFile(g.t, filepath.Join(g.dir, "deploy"), "haproxy.cfg", g.here(string(text)))
	shell(g.t, g.dir, env, "exec "+console(g.block("haproxy"), "")[0].line)
	g.awaitListening("3000")
}

// try connects clients through the load balancer, stops a node gracefully, and starts it again.
func (tp *topology) try() {
	tp.t.Helper()
	for range balancedClients {
		tp.clients = append(tp.clients, tp.arrive())
	}
	for node := range 2 {
		if n := tp.connections(node); n < balancedClients/3 {
			tp.t.Errorf("node %d has %d of %d clients", node+1, n, balancedClients)
		}
	}
	tp.everybodyHears("1")
	tp.onlyWhatIsForClients()

	moved := tp.connections(0)
	if code := tp.nodes[0].stop(syscall.SIGTERM); code != 0 {
		tp.t.Errorf("node 1 ended with exit code %d", code)
	}
	told := 0
	tp.await("the clients of node 1 to be told", func() bool {
		told += tp.reconnect()
		return told >= moved
	})
	if n := tp.connections(1); told != moved || n != balancedClients {
		tp.t.Errorf("%d clients were told to reconnect, %d were on node 1; node 2 has %d of %d", told, moved, n, balancedClients)
	}
	tp.everybodyHears("2")

	tp.restart(0)
	tp.awaitReady(http.StatusOK)
	tp.await("new clients to be sent to the restarted node", func() bool {
		tp.clients = append(tp.clients, tp.arrive())
		return tp.connections(0) > 0
	})
	tp.everybodyHears("3")
}

// reconnect reconnects the clients that were told to, and returns their number.
func (tp *topology) reconnect() (told int) {
	tp.t.Helper()
	for i, c := range tp.clients {
		select {
		case event := <-c.events:
			if event != "close 1012 this node restarts, reconnect" {
				tp.t.Fatalf("a client: %s", event)
			}
			told++
			tp.clients[i] = tp.arrive()
		default:
		}
	}
	return told
}

// arrive connects a client through the load balancer, which may have no node for a moment, and
// joins.
func (tp *topology) arrive() (c *client) {
	tp.t.Helper()
	url := "ws://" + tp.addr("3000") + "/ws"
	tp.await("the load balancer to let a client in", func() bool {
		conn, early, _, err := ws.Dial(tp.t.Context(), url)
		if err == nil {
			c = newClient(tp.t, conn, early)
		}
		return err == nil
	})
	c.expect("open")
	c.join("balanced")
	return c
}

// everybodyHears publishes as a backend does, and checks that all clients receive it.
func (tp *topology) everybodyHears(content string) {
	tp.t.Helper()
	var status int
	var body string
	var err error
	tp.await("a publication to be taken", func() bool {
		status, body, err = post(tp.backends+"/broadcast?key="+tp.key, `{"channel":"balanced","content":`+content+`}`)
		return status == http.StatusCreated || err == nil && status != http.StatusServiceUnavailable
	})
	if status != http.StatusCreated {
		tp.t.Fatalf("POST: %d %s %v", status, body, err)
	}
	for _, c := range tp.clients {
		c.expect("message " + content)
	}
}

// onlyWhatIsForClients tries requests that clients must not make.
func (tp *topology) onlyWhatIsForClients() {
	tp.t.Helper()
	front := "http://" + tp.addr("3000")
	for _, path := range []string{"/broadcast?key=" + tp.key, "/readyz", "/metrics", "/"} {
		answer, err := http.Post(front+path, "application/json", strings.NewReader(`{"channel":"balanced","content":"a stranger's"}`))
		if err != nil {
			tp.t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusNotFound && answer.StatusCode != http.StatusMethodNotAllowed {
			tp.t.Errorf("POST %s through the load balancer: %s", path, answer.Status)
		}
	}
}

// Each client is a member of one channel. The load balancer has connections of its own.
var connectionsMetric = regexp.MustCompile(`(?m)^wsify_subscriptions (\d+)$`)

// connections returns the number of a node's clients; 0 when it does not answer.
func (tp *topology) connections(node int) int {
	tp.t.Helper()
	answer, err := http.Get("http://" + tp.addr([]string{"3011", "3021"}[node]) + "/metrics")
	if errors.Is(err, syscall.ECONNREFUSED) {
		return 0
	}
	if err != nil {
		tp.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	found := connectionsMetric.FindSubmatch(text)
	if found == nil {
		tp.t.Fatalf("node %d says nothing of its connections:\n%s", node+1, text)
	}
	n, _ := strconv.Atoi(string(found[1]))
	return n
}
