package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// survival is a page in Chromium, which follows a channel by an EventSource and by the 30 lines of
// docs/clients.md; two nodes behind HAProxy; and Redis, which writes each publication to its disk.
type survival struct {
	*guide
	page  *tab
	nodes []*server

	mu      sync.Mutex
	next    int
	acked   []int        // in order
	unknown map[int]bool // what may have been published
}

// ways are the first words of what the page logs, by an EventSource and by a WebSocket.
var ways = []string{"EventSource", "news"}

// survivalPage follows the channel in both ways. localhost:3000 stands for the server.
const survivalPage = `<script>
const source = new EventSource('http://localhost:3000/sse?channel=news');
source.onmessage = ({ data }) => console.log('EventSource', JSON.parse(data).content);
source.addEventListener('gap', () => console.log('EventSource gap'));
</script>`

// TestAPageSurvives a network that is pulled out, nodes that are killed and an engine that restarts,
// while something is published all the time: it hears each publication that was acknowledged, once and
// in order.
func TestAPageSurvives(t *testing.T) {
	need(t, "chromium", "chromium")
	need(t, "redis-server", "redis-server")
	v := &survival{guide: newGuide(t, "redis"), unknown: map[int]bool{}}
	engine := v.redis()
	v.nodes = []*server{v.node(0), v.node(1)}
	v.awaitReady(200)
	v.haproxy(nil)
	net := newCable(t, v.addr("3000"))
	v.openPage(net.addr)
	stop := v.publishAll()
	v.awaitCaughtUp("the start")

	net.pull()
	v.awaitAcked(50)
	net.plug()
	v.awaitCaughtUp("the network was pulled out")

	for i := range v.nodes { // one of them after the other, as the page may be on both
		_ = syscall.Kill(-v.nodes[i].cmd.Process.Pid, syscall.SIGKILL)
		<-v.nodes[i].ended
		v.awaitAcked(50)
		v.awaitCaughtUp(fmt.Sprintf("node %d was killed", i+1))
		v.nodes[i] = v.node(i)
		v.awaitBalanced(i)
	}

	engine.kill()
	v.await("the nodes to notice", func() bool { return v.readiness(0) != 200 && v.readiness(1) != 200 })
	v.redis()
	v.awaitReady(200)
	v.awaitAcked(50)
	stop()
	v.awaitCaughtUp("the engine restarted")
	for _, way := range ways {
		v.check(way)
	}
}

// redis starts the engine, with what it has on its disk.
func (v *survival) redis() *process {
	v.t.Helper()
	p := start(v.t, v.dir, nil, "redis-server", "--bind", "127.0.0.1", "--port", v.ports["6379"], "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir", v.dir)
	v.awaitListening("6379")
	return p
}

// node starts a node of the guide, with history, which knows that Redis loses nothing.
func (v *survival) node(i int) *server {
	v.t.Helper()
	line := console(v.block("nodes on redis"), "")[i].line
	env := []string{"WSIFY_HISTORY_CHANNELS=news", "WSIFY_HISTORY_SIZE=10000"}
	s := &server{process: shell(v.t, v.dir, env, "exec "+line+"'?durable=true'"), addr: v.addr([]string{"3010", "3020"}[i])}
	s.awaitAddr()
	return s
}

// awaitBalanced waits until HAProxy sends clients and publications to a node that has just started.
func (v *survival) awaitBalanced(node int) {
	v.t.Helper()
	tp := &topology{guide: v.guide, nodes: v.nodes}
	published := regexp.MustCompile(`wsify_broadcasts_total\{source="http"\} [1-9]`)
	v.await("HAProxy to use the node again", func() bool {
		if tp.connections(node) == 0 {
			c := dialGo(v.t, "ws://"+v.addr("3000")+"/ws") // it goes to the node with the fewest
			c.expect("open")
			c.join("other")
		}
		return tp.connections(node) > 0 && published.MatchString(v.metrics(node))
	})
}

// metrics returns what a node says of itself.
func (v *survival) metrics(node int) string {
	answer, err := http.Get("http://" + v.addr([]string{"3011", "3021"}[node]) + "/metrics")
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return string(text)
}

// openPage opens the page, and waits until it hears something in both ways.
func (v *survival) openPage(addr string) {
	v.t.Helper()
	dir := v.t.TempDir()
	source := loggingPage + survivalPage + `<script type="module">` + readme(v.t, "follow.mjs") + `</script>`
	writeFile(v.t, dir, "page.html", strings.ReplaceAll(source, "localhost:3000", addr))
	v.page = openTab(v.t)
	v.page.open(servePages(v.t, dir)+"/page.html", 600, "light")
	v.await("the page to hear in both ways", func() bool {
		_, _, _ = post("http://"+v.addr("3100")+"/broadcast?key=dev", `{"channel":"news","content":0}`)
		return len(v.heard("EventSource")) > 0 && len(v.heard("news")) > 0
	})
}

// heard returns what the page has logged that begins with a word: numbers, and -1 for something else.
func (v *survival) heard(way string) (numbers []int) {
	var lines []string
	_ = json.Unmarshal([]byte(v.page.eval("JSON.stringify(globalThis.logged ?? [])")), &lines)
	for _, line := range lines {
		switch first, rest, _ := strings.Cut(line, " "); {
		case first == way:
			n, err := strconv.Atoi(rest)
			if err != nil {
				n = -1
			}
			numbers = append(numbers, n)
		case first == "lost" && way == "news":
			numbers = append(numbers, -1)
		}
	}
	return numbers
}

// publishAll publishes numbers from 1 on, one after the other, until stop is called. After that a last
// one is acknowledged.
func (v *survival) publishAll() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(10 * time.Millisecond) // the load, nothing waits for it
		defer tick.Stop()
		for {
			ok := v.publishNext()
			select {
			case <-end:
				if ok {
					return
				}
			default:
			}
			<-tick.C
		}
	}()
	return func() { close(end); <-ended }
}

// publishNext publishes the next number by HAProxy, and notes the outcome.
func (v *survival) publishNext() (ok bool) {
	v.mu.Lock()
	v.next++
	n := v.next
	v.mu.Unlock()
	status, _, err := post("http://"+v.addr("3100")+"/broadcast?key=dev", fmt.Sprintf(`{"channel":"news","content":%d}`, n))
	v.mu.Lock()
	defer v.mu.Unlock()
	if ok = err == nil && status == 201; ok {
		v.acked = append(v.acked, n)
	} else {
		v.unknown[n] = true
	}
	return ok
}

func (v *survival) lastAcked() (n, count int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.acked) == 0 {
		return 0, 0
	}
	return v.acked[len(v.acked)-1], len(v.acked)
}

// awaitAcked waits until so many more publications are acknowledged.
func (v *survival) awaitAcked(more int) {
	v.t.Helper()
	_, before := v.lastAcked()
	v.await("publications to be acknowledged", func() bool { _, now := v.lastAcked(); return now >= before+more })
}

// awaitCaughtUp waits until the page has heard what is acknowledged by now, in both ways.
func (v *survival) awaitCaughtUp(after string) {
	v.t.Helper()
	last, _ := v.lastAcked()
	for _, way := range ways {
		v.await("the page to hear by "+way+" what was acknowledged, after "+after, func() bool { return slices.Contains(v.heard(way), last) || last == 0 })
	}
}

// check compares what was heard in one way with what was acknowledged. There is no gap.
func (v *survival) check(way string) {
	v.t.Helper()
	var heard []int
	seen := map[int]int{}
	for _, n := range v.heard(way) {
		switch seen[n]++; {
		case n == 0: // from before
		case n == -1:
			v.t.Errorf("%s: a gap behind %d", way, heard[max(0, len(heard)-1):])
		case seen[n] > 1:
			v.t.Errorf("%s: heard %d twice", way, n)
		case !v.unknown[n]:
			heard = append(heard, n)
		}
	}
	if !slices.Equal(heard, v.acked) {
		v.t.Errorf("%s: heard %d of %d acknowledged publications, or in another order:\n%v\n%v", way, len(heard), len(v.acked), heard, v.acked)
	}
	v.t.Logf("%s: %d heard of %d acknowledged, and of %d with an unknown outcome", way, len(heard), len(v.acked), len(v.unknown))
}
