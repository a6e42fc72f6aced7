package redis

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// tellingSink records what it is told of subscriptions.
type tellingSink struct {
	brokertest.Nowhere
	mu   sync.Mutex
	told []string
}

func (s *tellingSink) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, fmt.Sprintf(format, args...))
}

func (s *tellingSink) Confirmed(channel string) { s.note("confirmed %s", channel) }

func (s *tellingSink) Ended(channel string, cause error) {
	what := "refused"
	if cause == broker.ErrMoved {
		what = "ended"
	}
	s.note("%s %s", what, channel)
}

// Channels foo and {foo}2 are of slot 12182, bar of slot 5061. A HELLO follows each sunsubscribe,
// and its answer is %.
func TestAnswersAreKnownByWhatTheyAreAbout(t *testing.T) {
	for name, test := range map[string]struct {
		asked string   // commands
		came  string   // pushes, answers and refusals
		want  []string // what the sink is told, and then why the connection has ended
	}{
		"in order": {
			"ssubscribe foo {foo}2; sunsubscribe foo; ssubscribe bar",
			"ssubscribe foo; ssubscribe {foo}2; sunsubscribe foo; %; ssubscribe bar",
			[]string{"confirmed foo", "confirmed {foo}2", "confirmed bar"},
		},
		"the server ends another channel": {
			"sunsubscribe bar",
			"sunsubscribe foo; sunsubscribe bar; %; sunsubscribe {foo}2",
			[]string{"ended foo", "ended {foo}2"},
		},
		"the server ends one that is asked for": {
			"ssubscribe foo; ssubscribe bar",
			"ssubscribe foo; sunsubscribe foo; ssubscribe bar",
			[]string{"confirmed foo", "ended foo", "confirmed bar"},
		},
		"the slot moves before what gives it up is met": {
			"sunsubscribe foo {foo}2; ssubscribe bar",
			"sunsubscribe {foo}2; sunsubscribe foo; -MOVED 12182 a:1; %; ssubscribe bar",
			[]string{"confirmed bar"},
		},
		"and it is asked for again": {
			"sunsubscribe foo; ssubscribe foo; ssubscribe bar",
			"sunsubscribe foo; -MOVED 12182 a:1; %; -MOVED 12182 a:1; ssubscribe bar",
			[]string{"refused foo", "confirmed bar"},
		},
		"what is given up is taken and what follows is not": {
			"sunsubscribe foo; ssubscribe bar; ssubscribe foo",
			"sunsubscribe foo; %; -CLUSTERDOWN no; ssubscribe foo",
			[]string{"refused bar", "confirmed foo"},
		},
		"which one is refused is asked one by one": {
			"ssubscribe foo {foo}2",
			"-NOPERM no; ssubscribe foo; -NOPERM no",
			[]string{"confirmed foo", "refused {foo}2"},
		},
		"the user may not at all": {"ssubscribe foo bar", "-NOPERM no permissions to run the 'ssubscribe' command", []string{"the DSN's user may not subscribe at all"}},
		"nothing is asked":        {"sunsubscribe foo", "sunsubscribe foo; %; -ERR goodbye", []string{"ERR goodbye"}},
		"what nobody asked for":   {"ssubscribe foo", "ssubscribe bar", []string{"does not speak Redis"}},
		"an answer to nothing":    {"ssubscribe foo", "%", []string{"does not speak Redis"}},
		"HELLO is refused":        {"sunsubscribe foo; ssubscribe foo", "sunsubscribe foo; -NOPERM no; ssubscribe foo", []string{"does not speak Redis"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := brokertest.Listen(t)
			ours, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			server, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			sink := &tellingSink{}
			c := newConn(ours, "a:1", &dialer{o: &options{}, limit: 100}, sink)
			for asked := range strings.SplitSeq(test.asked, "; ") {
				verb, channels, _ := strings.Cut(strings.ToUpper(asked), " ")
				c.ask(verb, strings.Fields(strings.ToLower(channels)))
			}
			go func() { _, _ = io.Copy(io.Discard, server) }()
			for came := range strings.SplitSeq(test.came, "; ") {
				_, _ = server.Write(answerOf(came))
			}
			_ = server.(*net.TCPConn).CloseWrite()
			<-c.done
			c.close()
			if end := c.over.Error(); end != "closed by the server" {
				sink.note("%s", end)
			}
			if !slices.EqualFunc(sink.told, test.want, strings.Contains) {
				t.Errorf("told %q, want %q", sink.told, test.want)
			}
		})
	}
}

// answerOf returns the bytes of an answer that the test abbreviates.
func answerOf(came string) []byte {
	switch came[0] {
	case '-':
		return []byte(came + "\r\n")
	case '%':
		return []byte("%1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n")
	}
	verb, channel, _ := strings.Cut(came, " ")
	return fmt.Appendf(nil, ">3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n:0\r\n", len(verb), verb, len(channel), channel)
}
