package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// drivers are the brokers that carry publications between nodes.
var drivers = []string{"redis", "nats"}

// onBothEngines runs a test with each engine and two nodes of the guide.
func onBothEngines(t *testing.T, try func(t *testing.T, g *guide, nodes []*server, engine *process)) {
	for _, driver := range drivers {
		t.Run(driver, func(t *testing.T) {
			g := newGuide(t, driver)
			engine := g.engine()
			nodes := g.nodes()
			g.awaitReady(200)
			try(t, g, nodes, engine)
		})
	}
}

func TestNodesHearEachOther(t *testing.T) {
	onBothEngines(t, func(t *testing.T, g *guide, nodes []*server, _ *process) {
		a, b := dialGo(t, nodes[0].ws()), dialGo(t, nodes[1].ws())
		a.name, b.name = "client of node 1", "client of node 2"
		for _, c := range []*client{a, b} {
			c.expect("open")
			c.join("hello")
			c.join("hello") // a second join is still one membership
		}
		s := follow(t, http.DefaultClient, nodes[1].http()+"/sse?channel=hello", nil)
		both := func(want string) {
			t.Helper()
			a.expect("message " + want)
			b.expect("message " + want)
			s.expect(`data: {"channel":"hello","content":` + want + "}")
		}

		b.send(`{"command":"broadcast","args":{"channel":"hello","content":{"order":9007199254740993}}}`)
		both(`{"order":9007199254740993}`)
		a.send(`{"command":"broadcast","args":{"channel":"hello","content":"of node 1"}}`)
		both(`"of node 1"`)
		for i, node := range nodes {
			content := fmt.Sprintf(`"by HTTP on node %d"`, i+1)
			if status, body, err := post(node.http()+"/broadcast?key=dev", `{"channel":"hello","content":`+content+`}`); status != 201 {
				t.Fatalf("POST on node %d: %d %s %v", i+1, status, body, err)
			}
			both(content)
		}
		if port := g.ports["6379"]; g.driver == "redis" {
			need(t, "redis-cli", "redis-tools")
			if out, err := run(t, scratch, nil, "redis-cli", "-p", port, "PUBLISH", "hello", `"hi"`); err != nil || out != "2\n" {
				t.Fatalf("redis-cli PUBLISH: %v %q, want 2 nodes that receive it", err, out)
			}
			both(`"hi"`)
		}

		// No message comes twice, and none after a leave.
		a.ask(`{"command":"leave","args":{"channel":"hello"},"id":"left"}`, `message {"id":"left","ok":true}`)
		b.send(`{"command":"broadcast","args":{"channel":"hello","content":"the end"}}`)
		b.expect(`message "the end"`)
		a.ask(`{"command":"leave","args":{"channel":"hello"},"id":"still"}`, `message {"id":"still","ok":true}`)
	})
}

// A member receives everything after an acknowledged join, wherever it is published: without a
// pause between the answer on one node and the broadcast on the other.
func TestNothingIsMissedAfterAnAnsweredJoin(t *testing.T) {
	onBothEngines(t, func(t *testing.T, _ *guide, nodes []*server, _ *process) {
		a, b := dialGo(t, nodes[0].ws()), dialGo(t, nodes[1].ws())
		a.expect("open")
		b.expect("open")
		for i := range 100 {
			channel := fmt.Sprintf("new-%d", i)
			a.join(channel)
			b.ask(fmt.Sprintf(`{"command":"broadcast","args":{"channel":%q,"content":%d},"id":%d}`, channel, i, i), fmt.Sprintf(`message {"id":%d,"ok":true}`, i))
			a.expect(fmt.Sprintf("message %d", i))
		}
	})
}

// A node that starts before its engine waits for it.
func TestNodesWaitForTheirEngine(t *testing.T) {
	for _, driver := range drivers {
		t.Run(driver, func(t *testing.T) {
			g := newGuide(t, driver)
			need(t, driver+"-server", driver+"-server")
			nodes := g.nodes()
			g.awaitReady(503)
			early := dialGo(t, nodes[0].ws())
			early.expect("open")
			early.send(`{"command":"join","args":{"channel":"early"}}`)
			early.ask(`{"command":"broadcast","args":{"channel":"early"},"id":1}`, "message "+brokerAway("1"))
			g.engine()
			g.awaitReady(200)
			if status, body, err := post(nodes[1].http()+"/broadcast?key=dev", `{"channel":"early","content":"at last"}`); status != 201 {
				t.Fatalf("POST after the start of the engine: %d %s %v", status, body, err)
			}
			early.expect(`message "at last"`)
		})
	}
}

// The users in the guide have all rights that a node needs: the engine refuses nothing.
func TestUsersOfTheGuideMayDoWhatANodeDoes(t *testing.T) {
	t.Run("redis", func(t *testing.T) {
		g := newGuide(t, "redis")
		need(t, "redis-cli", "redis-tools")
		g.engine()
		if out, err := run(t, g.dir, nil, "bash", "-c", console(g.block("redis acl"), "")[0].line); err != nil || out != "OK\n" {
			t.Fatalf("ACL SETUSER: %v %s", err, out)
		}
		g.worksWithUser()
		cli := func(args ...string) string {
			out, _ := run(t, g.dir, nil, append([]string{"redis-cli", "-p", g.ports["6379"]}, args...)...)
			return strings.TrimSpace(out)
		}
		if log := cli("ACL", "LOG"); log != "" {
			t.Errorf("Redis has refused something:\n%s", log)
		}
		for _, command := range []string{"PUBLISH other hello", "SUBSCRIBE other", "GET shop:key", "CONFIG GET port"} {
			as := append([]string{"--user", "wsify", "--pass", "s3cret", "--no-auth-warning"}, strings.Fields(command)...)
			if got := cli(as...); !strings.HasPrefix(got, "NOPERM") && !strings.Contains(got, "no permissions") {
				t.Errorf("%s: %s, want it refused", command, got)
			}
		}
	})
	t.Run("nats", func(t *testing.T) {
		g := newGuide(t, "nats")
		need(t, "nats-server", "nats-server")
		writeFile(t, g.dir, "nats.conf", g.block("nats.conf"))
		engine := g.start("nats with a user")[0]
		g.awaitListening("4222")
		node := g.worksWithUser()
		for _, p := range []*process{engine, node} {
			if strings.Contains(p.output(), "iolation") {
				t.Errorf("NATS has refused something:\n%s", p.output())
			}
		}
	})
}

// worksWithUser starts the node of the guide that logs in to its engine, and a client uses it.
func (g *guide) worksWithUser() *process {
	g.t.Helper()
	p := g.start("node with a user of " + g.driver)[0]
	s := &server{process: p, addr: g.addr("3010")}
	g.t.Cleanup(s.endInOrder)
	g.await("the node to be ready", func() bool { return g.readiness(0) == 200 })
	c := dialGo(g.t, s.ws())
	c.expect("open")
	for _, channel := range []string{"news", "user:1", "ü and more"} {
		c.join(channel)
		c.ask(fmt.Sprintf(`{"command":"broadcast","args":{"channel":%q,"content":%q}}`, channel, channel), fmt.Sprintf("message %q", channel))
		c.ask(fmt.Sprintf(`{"command":"leave","args":{"channel":%q},"id":1}`, channel), `message {"id":1,"ok":true}`)
	}
	return p
}

// brokerAway returns the answer to a broadcast while the engine is unreachable.
func brokerAway(id string) string {
	return `{"id":` + id + `,"ok":false,"error":{"code":"broker_down","message":"the broker is unreachable: not published"}}`
}
