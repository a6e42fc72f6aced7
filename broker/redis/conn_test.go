package redis

import (
	"bufio"
	"context"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/redistest"
)

// helloMaster is the answer of a single server to HELLO.
const helloMaster = "*4\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n"

// fakeServer answers each command by its first words, and all others with an error. It returns its
// address. It stands for servers that Debian does not package.
func fakeServer(t *testing.T, answers map[string]string) string {
	t.Helper()
	l := brokertest.Listen(t)
	brokertest.Serve(l, func(conn net.Conn) { serveFake(conn, answers) })
	return l.Addr().String()
}

func serveFake(conn net.Conn, answers map[string]string) {
	answerCommands(conn, func(command string) string {
		for begin, a := range answers {
			if strings.HasPrefix(command, begin) {
				return a
			}
		}
		return "-ERR unknown command\r\n"
	})
}

// answerCommands answers each command with what answer returns, and closes the connection on "".
func answerCommands(conn net.Conn, answer func(command string) string) {
	defer conn.Close()
	in := newRESPReader(bufio.NewReader(conn), 1000)
	for {
		_, command, err := in.next()
		if err != nil {
			return
		}
		var words []string
		for _, w := range command.list {
			words = append(words, w.text)
		}
		text := answer(strings.Join(words, " "))
		if text == "" {
			return
		}
		if _, err := conn.Write([]byte(text)); err != nil {
			return
		}
	}
}

// silentServer accepts connections and never answers.
func silentServer(t *testing.T) string {
	t.Helper()
	return brokertest.Listen(t).Addr().String()
}

func fakeLogin(t *testing.T, answers map[string]string, user, password string) (serverInfo, error) {
	t.Helper()
	o, err := parseDSN("redis://" + fakeServer(t, answers))
	if err != nil {
		t.Fatal(err)
	}
	o.user, o.password = user, password
	d := &dialer{o: o, timeout: o.timeout, limit: 100}
	c, s, err := d.loginAs(t.Context(), o.addrs[0], user, password, nil)
	if err == nil {
		c.close()
	}
	return s, err
}

func TestAServerThatIsStillLoadingIsRefused(t *testing.T) {
	_, err := fakeLogin(t, map[string]string{"HELLO": helloMaster, "PING": "-LOADING Redis is loading the dataset in memory\r\n"}, "", "")
	if err == nil {
		t.Fatal("it is taken")
	}
	brokertest.Says(t, err.Error(), "redis at 127.0.0.1:", "LOADING")
}

// Whether a server is part of a cluster is taken from its answer, never guessed.
func TestSaysWhetherItIsACluster(t *testing.T) {
	for name, test := range map[string]struct{ hello, mode, err string }{
		"a single server":         {helloMaster, "standalone", ""},
		"a map":                   {"%1\r\n$4\r\nmode\r\n$7\r\ncluster\r\n", "cluster", ""},
		"HELLO without its mode":  {"*2\r\n$4\r\nrole\r\n$6\r\nmaster\r\n", "", "does not say whether it is part of a cluster"},
		"one that may not say it": {"-NOPERM no\r\n", "", "the user needs the right to HELLO"},
		"before version 6":        {"-ERR unknown command 'HELLO'\r\n", "", "since version 6"},
		"one that echoes":         {"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n", "", "does not speak Redis"},
	} {
		s, err := fakeLogin(t, map[string]string{"HELLO": test.hello, "PING": "+PONG\r\n"}, "", "")
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) || err == nil && s["mode"] != test.mode {
			t.Errorf("%s: mode %q, %v; want %q, %q", name, s["mode"], err, test.mode, test.err)
		}
	}
}

// All masters hang while a link is opened. The cluster must not be taken for one from before
// version 7, because all other nodes publish with SPUBLISH.
func TestClusterThatDoesNotAnswerIsNoSingleServer(t *testing.T) {
	l := brokertest.Listen(t)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	const hello = "*6\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n"
	answers := map[string]string{"HELLO": hello, "PING": "+PONG\r\n", "CLUSTER INFO": "$16\r\ncluster_state:ok\r\n",
		"CLUSTER SLOTS": "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:" + port + "\r\n"}
	var conns atomic.Int32
	brokertest.Serve(l, func(conn net.Conn) {
		if conns.Add(1) == 1 { // later connections are accepted, and get no answer
			serveFake(conn, answers)
		}
	})
	e, err := newEngine(broker.Config{DSN: "redis://" + l.Addr().String() + "?dial_timeout=200ms"})
	if err != nil {
		t.Fatal(err)
	}
	link, err := openFor(t, e, brokertest.Patience)
	if err == nil {
		link.Close()
		t.Fatalf("opened as %T", link)
	}
	brokertest.Says(t, err.Error(), "no master says whether", "sharded=yes or no")
}

// A server that quotes its commands puts the password into its errors.
func TestAServerThatEchoesThePasswordHasItNotLogged(t *testing.T) {
	const (
		secret    = "correct horse battery staple"
		secretRun = 6 // no part of it as long as this is logged
	)
	for name, answers := range map[string]map[string]string{
		"AUTH unknown":   {"AUTH": "-ERR unknown command 'AUTH', with args beginning with: 'default' '" + secret + "'\r\n"},
		"AUTH cut short": {"AUTH": "-ERR unknown command 'AUTH', with args beginning with: 'default' 'correct horse bat\r\n"},
		"AUTH code":      {"AUTH": "-" + secret + "\r\n"},
		"HELLO":          {"AUTH": "+OK\r\n", "HELLO": "-ERR what do you mean by AUTH " + secret + "\r\n"},
		"HELLO password": {"AUTH": "+OK\r\n", "HELLO": "-NOAUTH not by " + secret + "\r\n"},
		"PING":           {"AUTH": "+OK\r\n", "HELLO": helloMaster, "PING": "-LOADING for " + secret[8:] + "\r\n"},
	} {
		_, err := fakeLogin(t, answers, "", secret)
		if err == nil {
			t.Errorf("%s: let in", name)
			continue
		}
		for i := 0; i+secretRun <= len(secret); i++ {
			if strings.Contains(err.Error(), secret[i:i+secretRun]) {
				t.Errorf("%s: the error is %q", name, err)
				break
			}
		}
	}
}

// A server that is not Redis is recognized, and Open fails.
func TestAServerThatIsSomethingElse(t *testing.T) {
	if _, err := fakeLogin(t, map[string]string{"": "HTTP/1.1 400 Bad Request\r\n\r\n"}, "", ""); err == nil {
		t.Error("a web server is accepted")
	} else {
		brokertest.Says(t, err.Error(), "does not speak Redis' protocol")
	}
}

func TestSlotsAreRead(t *testing.T) {
	const answer = "*4\r\n" +
		"*3\r\n:0\r\n:1\r\n*2\r\n$0\r\n\r\n:7000\r\n" + // an empty host means the server that was asked
		"*4\r\n:2\r\n:3\r\n*3\r\n$4\r\nhost\r\n:7001\r\n$2\r\nid\r\n*2\r\n$7\r\nreplica\r\n:7009\r\n" +
		"*3\r\n:5\r\n:5\r\n*2\r\n$4\r\nhost\r\n:7001\r\n" +
		"*3\r\n:6\r\n:6\r\n*2\r\n$1\r\n?\r\n:7002\r\n"
	_, r, err := newRESPReader(strings.NewReader(answer), 100).next()
	if err != nil {
		t.Fatal(err)
	}
	slots, err := parseSlots(r, "asked:6379")
	if err != nil || !slices.Equal(slots.masters, []string{"asked:7000", "host:7001"}) {
		t.Fatalf("%+v, %v", slots, err)
	}
	if got, want := slots.owner[:7], []string{"asked:7000", "asked:7000", "host:7001", "host:7001", "", "host:7001", ""}; !slices.Equal(got, want) {
		t.Errorf("slots %q, want %q", got, want)
	}
	for _, bad := range []respReply{{}, {list: []respReply{{num: 1}}}, {list: []respReply{{list: []respReply{{num: 0}, {num: numSlots}, {list: make([]respReply, 2)}}}}}} {
		if _, err := parseSlots(bad, "h:1"); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// The end of a context ends a wait for the server.
func TestOpenEndsWithItsContext(t *testing.T) {
	e, err := newEngine(broker.Config{DSN: "redis://" + silentServer(t) + "?dial_timeout=1h"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, _, err := e.Open(ctx, brokertest.Nowhere{})
		done <- err
	}()
	cancel()
	if err := <-done; err == nil {
		t.Error("opened")
	}
}

// The first address does not know the user: the second is used.
func TestOtherAddressesAreTried(t *testing.T) {
	s := redistest.Start(t)
	other := fakeServer(t, map[string]string{"HELLO": "-NOAUTH Authentication required.\r\n"})
	n := upNode(t, broker.Config{DSN: "redis://" + other + "?addr=" + s.Addr})
	n.Join("c")
	n.MustPublish("c", "1")
	n.Expect("c", "1")
	if st := n.Stats(); st.Connects != 1 || st.FailedConnects != 0 {
		t.Errorf("%d connects and %d failed, want the first attempt to succeed", st.Connects, st.FailedConnects)
	}
}

// A server, or a proxy before it, that sends an unsolicited answer is given up.
func TestAServerThatSpeaksUnasked(t *testing.T) {
	addr := fakeServer(t, map[string]string{"HELLO": helloMaster, "PING": "+PONG\r\n",
		"PUBLISH": ":1\r\n-ERR going down\r\n"})
	n := upNode(t, broker.Config{DSN: "redis://" + addr})
	n.MustPublish("c", "1")
	brokertest.Until(t, "the link is lost", func() bool { return strings.Contains(n.Logged(), "the broker is lost") })
	brokertest.Says(t, n.Logged(), "the connection to redis", "ERR going down")
}

// With many addresses, each has enough time to answer. The addresses that were not tried come first
// the next time.
func TestManyAddressesHaveTheirTurn(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), broker.OpenTimeout)
	defer cancel()
	share, done := shareOf(ctx, 1000)
	defer done()
	if deadline, _ := share.Deadline(); time.Until(deadline) < nodeTimeout/2 {
		t.Errorf("the first of 1000 addresses has %v", time.Until(deadline))
	}
	good := fakeServer(t, map[string]string{"HELLO": helloMaster, "PING": "+PONG\r\n"})
	e, err := newEngine(broker.Config{DSN: "redis://" + silentServer(t) + "?addr=" + silentServer(t) + "&addr=" + good})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if l, err := openFor(t, e, 100*time.Millisecond); err == nil {
			l.Close()
			t.Fatal("the server that does not answer is accepted")
		}
	}
	l, err := openFor(t, e, brokertest.Patience)
	if err != nil {
		t.Fatalf("the third address had no turn: %v", err)
	}
	l.Close()
}

func openFor(t *testing.T, e *engine, d time.Duration) (broker.Link, error) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	l, _, err := e.Open(ctx, brokertest.Nowhere{})
	return l, err
}
