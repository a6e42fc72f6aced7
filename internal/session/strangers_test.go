package session

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
	"wsify/internal/testtool"
)

// halfRequests are requests that a stranger leaves unfinished or continues without end,
// each on a separate connection. None may cause a refusal of a backend's request.
var halfRequests = map[string]string{
	"nothing":                       "",
	"half a head":                   "POST /broadcast?key=x HTTP/1.1\r\nHost: a\r\nX-",
	"a preflight":                   "OPTIONS /broadcast HTTP/1.1\r\nHost: a\r\n\r\n",
	"half a head after a whole one": "OPTIONS /broadcast HTTP/1.1\r\nHost: a\r\n\r\nPOST /broad",
	"another path":                  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"a wrong key":                   postRequest("/broadcast?key=x", `{"channel":"c","content":"stranger"}`),
	"a body that never comes":       "POST /broadcast?key=x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n",
	"chunks that stop":              "POST /broadcast?key=x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"c",
	"a large body that stops":       "POST /broadcast?key=x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n" + strings.Repeat(" ", 100),
	"waiting for a 100":             "POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
	"no upgrade":                    "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n",
	"a body on the upgrade":         upgradeHead("/ws", "Content-Length: 9"),
	"a malformed request":           "POST /broadcast HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	"many requests, never read":     strings.Repeat("OPTIONS /broadcast HTTP/1.1\r\nHost: a\r\n\r\n", 50),
}

// Unfinished requests of strangers do not cause refusals of a backend with the key. Another
// round of them does not increase the memory.
func TestStrangersCostABackendNothing(t *testing.T) {
	for name, cfg := range map[string]Config{"with a key": {BroadcastingKey: "k"}, "open": {}} {
		t.Run(name, func(t *testing.T) {
			srv := start(t, cfg)
			member := connect(t, srv, "/ws")
			member.join("c")
			backend := dial(t, srv)
			target, n := "/broadcast", 0
			if cfg.BroadcastingKey != "" {
				target = "/broadcast?key=k"
			}
			publish := func() {
				t.Helper()
				n++
				backend.write(postRequest(target, fmt.Sprintf(`{"channel":"c","content":%d}`, n)))
				backend.expectStatus(201)
				member.expectText(fmt.Sprint(n))
			}
			each := unlessRace(25, 5)
			var kept [4]int64
			for round := range kept {
				var all []rawClient
				for _, half := range halfRequests {
					if cfg.BroadcastingKey == "" { // so that these get as far as requests with the key
						half = strings.ReplaceAll(half, "?key=x", "")
						half = strings.ReplaceAll(half, `"c"`, `"elsewhere"`)
					}
					for range each {
						p, err := dialRaw(srv.Addr(), 1)
						if err != nil {
							t.Fatal(err)
						}
						_ = p.write(half)
						all = append(all, p)
					}
					publish()
				}
				for range 20 {
					publish()
				}
				for _, p := range all {
					p.close()
				}
				testtool.Until(t, "the strangers are gone", func() bool { return srv.group.Connections() == 2 })
				becomeQuiet(t, srv) // tables are as large as the most connections that a round had at once
				kept[round] = testtool.Heap()
			}
			if got, first := kept[len(kept)-1], kept[1]; got > first+100<<10 {
				t.Errorf("the heap has %d bytes after %d rounds, and had %d after 2", got, len(kept), first)
			}
			if n := srv.requestsUnderWay(); n != 0 {
				t.Errorf("%d publications are in progress, but all strangers have disconnected", n)
			}
		})
	}
}

// dialBeforeHaste returns connections to a server that had much time for heads when it accepted
// them. What it waits for from now on has to come soon.
func dialBeforeHaste(t *testing.T, cfg Config, n int) (*Server, []*peer) {
	t.Helper()
	cfg = filled(cfg)
	cfg.HandshakeTimeout = time.Hour
	srv, peers := start(t, cfg), make([]*peer, n)
	for i := range peers {
		peers[i] = dial(t, srv)
	}
	testtool.Until(t, "all are accepted", func() bool { return sessionsIn(t, srv, handshaking) == n })
	cfg.HandshakeTimeout = 100 * time.Millisecond
	srv.Reload(cfg)
	return srv, peers
}

// A body must be complete within the handshake timeout. Otherwise the answer is 408.
func TestABodyThatDoesNotComeIsGivenUp(t *testing.T) {
	t.Parallel()
	names := []string{"a body that never comes", "chunks that stop", "a large body that stops"}
	srv, peers := dialBeforeHaste(t, Config{}, len(names))
	for i, name := range names {
		peers[i].write(strings.ReplaceAll(halfRequests[name], "?key=x", ""))
	}
	for i, name := range names {
		if res, err := peers[i].tryResponse(); err != nil || res.status != 408 || !res.close {
			t.Errorf("%s: %+v, %v; want 408 and the end", name, res, err)
		}
	}
	if got := srv.Stats().Unpublished["timeout"]; got != 3 {
		t.Errorf("%d publications refused with timeout, want 3", got)
	}
}

// A kept connection waits for its next request without state of its own. If none
// arrives, it ends without an answer.
func TestAKeptConnectionEndsWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	_, peers := dialBeforeHaste(t, Config{}, 2)
	p := peers[0]
	p.write("OPTIONS /broadcast HTTP/1.1\r\nHost: a\r\n\r\n")
	p.expectStatus(204)
	p.expectEnd()
	p = peers[1]
	p.write("OPTIONS /broadcast HTTP/1.1\r\nHost: a\r\n\r\nPOST")
	p.expectStatus(204)
	p.expectStatus(408) // a request that has begun gets an answer
	p.expectEnd()
}

// A client that sends requests and never reads is closed before its answers take much
// memory. A client that reads late gets all answers.
func TestAnswersThatNobodyReadsAreFew(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{})
	const requests = 300 // some 66 KB of answers: less than the kernel keeps
	preflights := strings.Repeat("OPTIONS /broadcast HTTP/1.1\r\nHost: x\r\n\r\n", requests)
	patient := dial(t, srv)
	patient.write(preflights)
	for range requests {
		patient.expectStatus(204)
	}
	stranger := dial(t, srv)
	_ = stranger.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	most := int64(0)
	for range 200 { // 13 MB of answers
		if err := stranger.tryWrite(preflights); err != nil {
			break
		}
		most = max(most, srv.group.Queued())
	}
	testtool.Until(t, "the stranger is closed", func() bool { return srv.Stats().Closed["slow_consumer"] == 1 })
	if most > 4*maxUnread {
		t.Errorf("the queued answers took %d bytes, want about %d at most", most, maxUnread)
	}
}
