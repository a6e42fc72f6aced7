package session

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"wsify/internal/testtool"
)

// TestScripts runs whole sessions. A script has blocks of steps, a line of dashes, and
// the expected lines. A blank line ends a block. The steps:
//
//	server key=KEY authorizer=on events=a,b queue=N …   first; optional
//	answer STATUS [COMMAND]                             of the authorizer, from now on
//	connect NAME TARGET [| HEADER]…     stream NAME TARGET [| HEADER]…
//	send NAME TEXT     binary NAME TEXT     ping NAME TEXT
//	close NAME CODE    leave-without-a-word NAME
//	post TARGET BODY [| HEADER]…
//
// After each step the test waits for its effects and prints them: the answer, the
// authorizer's calls, the frames that each peer got, and the channels whose number of
// members changed.
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			after := play(t, string(before))
			switch {
			case after == string(before):
			case *testtool.Update:
				if err := os.WriteFile(file, []byte(after), 0o644); err != nil {
					t.Fatal(err)
				}
			default:
				t.Errorf("%s (understand each line, then make update):\n%s", file, difference(string(before), after))
			}
		})
	}
}

// difference returns the lines around the first one that differs.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	n := 0
	for n < len(w) && n < len(g) && w[n] == g[n] {
		n++
	}
	from := max(n-6, 0)
	show := func(l []string) string { return strings.Join(l[min(from, len(l)):min(n+6, len(l))], "\n") }
	return fmt.Sprintf("line %d: want\n%s\ngot\n%s", n+1, show(w), show(g))
}

const dashes = "----"

// play runs the steps of a script and returns the script with the actual results.
func play(t *testing.T, text string) string {
	s := &stage{t: t, peers: map[string]*peer{}, streams: map[string]*stream{}, members: map[string]int{}, statuses: map[string]int{}}
	var out strings.Builder
	for i, block := range strings.Split(strings.TrimRight(text, "\n"), "\n\n") {
		if i > 0 {
			out.WriteString("\n")
		}
		steps, _, _ := strings.Cut(block+"\n", dashes+"\n")
		out.WriteString(steps)
		if !strings.Contains(block, dashes) {
			continue // a comment
		}
		out.WriteString(dashes + "\n")
		for step := range strings.Lines(steps) {
			if step = strings.TrimSpace(step); !strings.HasPrefix(step, "#") {
				for _, line := range s.step(step) {
					out.WriteString(line + "\n")
				}
			}
		}
	}
	return out.String()
}

// stage is a server with the peers of a script.
type stage struct {
	t        *testing.T
	srv      *Server
	hook     *webhook
	asked    int // number of questions already printed
	statuses map[string]int
	peers    map[string]*peer // open peers
	streams  map[string]*stream
	members  map[string]int // last number of members, by channel
}

// step runs one step and returns its effects.
func (s *stage) step(step string) []string {
	s.t.Helper()
	verb, rest, _ := strings.Cut(step, " ")
	if verb == "server" {
		s.serve(strings.Fields(rest))
		return nil
	}
	if s.srv == nil {
		s.serve(nil)
	}
	for _, m := range channelName.FindAllStringSubmatch(step, -1) {
		if name := strings.TrimSpace(m[1]); name != "" {
			s.members[name] += 0
		}
	}
	name, arg, _ := strings.Cut(rest, " ")
	out := s.do(step, verb, name, arg)
	return append(out, s.caused()...)
}

var channelName = regexp.MustCompile(`"channel":\s*"([^"\\]*)"`)

// serve starts the server of the script.
func (s *stage) serve(settings []string) {
	var cfg Config
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		switch name {
		case "key":
			cfg.BroadcastingKey = value
		case "authorizer":
			s.hook = newWebhook(s.t, nil)
			cfg.AuthorizerURL = s.hook.URL + "/authorize"
		case "events":
			cfg.AuthorizerEvents = strings.Split(value, ",")
		case "max-channels-per-connection":
			cfg.MaxChannelsPerConnection = number(s.t, value)
		case "max-channel-length":
			cfg.MaxChannelLength = number(s.t, value)
		case "max-message-size":
			cfg.MaxMessageSize = number(s.t, value)
		default:
			s.t.Fatalf("no such setting: %s", setting)
		}
	}
	s.srv = start(s.t, cfg)
}

func number(t *testing.T, text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// do runs a step and returns the direct answer.
func (s *stage) do(step, verb, name, arg string) []string {
	s.t.Helper()
	p := s.peers[name]
	if p == nil && !slices.Contains([]string{"connect", "stream", "post", "answer"}, verb) {
		s.t.Fatalf("%s: %q is not connected", step, name)
	}
	switch verb {
	case "answer":
		s.statuses[arg] = number(s.t, name)
		statuses := maps.Clone(s.statuses)
		s.hook.answerStatus(func(q question) int {
			if status, ok := statuses[q.command]; ok {
				return status
			}
			return statuses[""]
		})
	case "connect":
		return s.connect(name, arg)
	case "stream":
		return s.stream(name, arg)
	case "send":
		p.send(arg)
	case "binary":
		p.write(masked(0x80|opBinary, arg))
	case "ping":
		p.write(masked(0x80|opPing, arg))
	case "close":
		p.write(closing(number(s.t, arg), ""))
	case "leave-without-a-word":
		_ = p.Close()
		delete(s.peers, name)
		testtool.Until(s.t, name+" is gone", func() bool { return s.srv.Stats().Net.Connections == int64(len(s.peers)) })
	case "post":
		arg, headers := splitHeaders(arg)
		res := post(s.t, s.srv, name, arg, headers...)
		return []string{strings.TrimSpace(fmt.Sprintf("%d %s", res.status, strings.TrimSpace(res.body)))}
	default:
		s.t.Fatalf("no such step: %s", step)
	}
	return nil
}

func splitHeaders(arg string) (before string, headers []string) {
	parts := strings.Split(arg, " | ")
	return parts[0], parts[1:]
}

// connect makes a peer. The stage keeps it if it is upgraded.
func (s *stage) connect(name, arg string) []string {
	s.t.Helper()
	target, headers := splitHeaders(arg)
	p := dial(s.t, s.srv)
	p.write(upgradeHead(target, headers...))
	res := p.response()
	if res.status == 101 {
		s.peers[name] = p
		return []string{strings.TrimSpace(name + ": 101 " + res.header.Get("Sec-WebSocket-Protocol"))}
	}
	return []string{turnedDown(name, p, res)}
}

// turnedDown describes a refusal, and expects the end of the connection.
func turnedDown(name string, p *peer, res response) string {
	p.expectEnd()
	line := fmt.Sprintf("%s: %d %s", name, res.status, strings.TrimSpace(res.body))
	if after := res.header.Get("Retry-After"); after != "" {
		line += " (Retry-After)"
	}
	return line
}

// caused waits until the step has had all its effects, and lists them.
func (s *stage) caused() (out []string) {
	s.t.Helper()
	got := map[string][]string{}
	for range 2 { // first for the direct effects, then for the effects of those
		for _, name := range slices.Sorted(maps.Keys(s.peers)) {
			got[name] = append(got[name], s.received(name)...)
		}
		// Pings are answered while a command waits for the authorizer.
		testtool.Until(s.t, "no session is parked", func() bool { return sessionsIn(s.t, s.srv, parked) == 0 })
		settle(s.t, s.srv)
	}
	for _, name := range slices.Sorted(maps.Keys(s.streams)) {
		got[name] = s.streamed(name)
	}
	if s.hook != nil {
		questions := s.hook.questions()
		for _, q := range questions[s.asked:] {
			out = append(out, "authorizer <- "+q.body+askedWith(q))
		}
		s.asked = len(questions)
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		out = append(out, got[name]...)
	}
	for _, channel := range slices.Sorted(maps.Keys(s.members)) {
		if n := s.srv.members(s.t, channel); n != s.members[channel] {
			s.members[channel] = n
			out = append(out, fmt.Sprintf("hub: %s=%d", channel, n))
		}
	}
	return out
}

func askedWith(q question) string {
	if query := q.header.Get("X-Wsify-Query"); query != "" {
		return " with query " + query
	}
	return ""
}

// received lists the frames that a peer gets before the answer to a ping, or before the
// server ends the connection.
func (s *stage) received(name string) (out []string) {
	s.t.Helper()
	p := s.peers[name]
	p.pings++
	token := "script " + strconv.Itoa(p.pings)
	_ = p.tryWrite(masked(0x80|opPing, token))
	for {
		f, err := p.next()
		switch {
		case isEnd(err):
			_ = p.Close()
			delete(s.peers, name)
			return append(out, name+": the connection ends")
		case err != nil:
			s.t.Fatalf("%s: %v", name, err)
		case f.op == opPong && f.payload == token:
			return out
		}
		if f.op == opText {
			out = append(out, name+" <- text "+f.payload)
		} else {
			out = append(out, name+" <- "+f.String())
		}
	}
}
