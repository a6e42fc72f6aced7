package doctor

import (
	"net"
	"strings"
	"testing"

	nats "github.com/nats-io/nats-server/v2/server"

	"wsify/internal/natstest"
	"wsify/internal/redistest"
	"wsify/internal/server"
)

func ofRedis(dsn string) server.Config {
	return server.Config{BrokerDriver: "redis", BrokerDSN: dsn, BrokerPrefix: "shop:"}
}

// The lines that a report gives are the cure.
func TestARedisIsCuredByTheLinesOfTheReport(t *testing.T) {
	s := redistest.Start(t)
	s.CLI("ACL", "SETUSER", "ann", "reset", "on", ">hunter2", "resetchannels", "&news", "+hello", "+publish", "+config|get")
	cfg := ofRedis("redis://ann:hunter2@" + s.Addr)
	sick := finding(t, examined(t, cfg), "broker")
	expected{Problem, "wsify cannot subscribe to shop:wsify-doctor-", "ACL SETUSER ann '&shop:*' +hello"}.compare(t, "without rights", sick)
	expected{Problem, "32 MiB, or 8 MiB for 60 s, may wait", "CONFIG SET client-output-buffer-limit 'pubsub 256mb 64mb 60'"}.compare(t, "with small buffers", sick)
	if strings.Contains(sick.Text, "hunter2") {
		t.Errorf("there is a password in %s", sick.Text)
	}
	for _, change := range sick.Change {
		if change.Line != "CONFIG REWRITE" { // this server has no file
			s.CLI(words(change.Line)...)
		}
	}
	expected{OK, "256 MiB, or 64 MiB for 60 s, may wait for a node at ", ""}.compare(t, "afterwards", finding(t, examined(t, cfg), "broker"))
	if left := s.CLI("PUBSUB", "CHANNELS") + s.CLI("CLIENT", "LIST", "TYPE", "pubsub"); left != "" {
		t.Errorf("something is left: %s", left)
	}
}

// The same where history is kept: INFO is needed for a link already.
func TestARedisIsGivenTheRightsForHistory(t *testing.T) {
	s := redistest.Start(t, "--client-output-buffer-limit", "pubsub 256mb 64mb 60")
	s.CLI("ACL", "SETUSER", "ann", "reset", "on", ">hunter2", "resetchannels", "&shop:*", "+hello", "+publish", "+subscribe", "+unsubscribe", "+config|get")
	cfg := ofRedis("redis://ann:hunter2@" + s.Addr)
	expected{OK, "A publication is back", ""}.compare(t, "without history", finding(t, examined(t, cfg), "broker"))
	cfg.HistoryChannels = []string{"news"}
	sick := finding(t, examined(t, cfg), "broker")
	expected{Problem, "wsify cannot keep history of shop:wsify-doctor-", "'~wsify:*' +hello"}.compare(t, "without rights", sick)
	s.CLI(words(sick.Change[0].Line)...)
	expected{OK, "A publication is back", ""}.compare(t, "afterwards", finding(t, examined(t, cfg), "broker"))
}

// The DSN says that the server loses nothing, and the server says that it may.
func TestARedisIsMadeDurableByTheLinesOfTheReport(t *testing.T) {
	s := redistest.Start(t, "--client-output-buffer-limit", "pubsub 256mb 64mb 60")
	expected{OK, "A publication is back", ""}.compare(t, "that is not said to be durable", finding(t, examined(t, ofRedis(s.DSN())), "broker"))
	cfg := ofRedis(s.DSN() + "?durable=true")
	sick := finding(t, examined(t, cfg), "broker")
	expected{Warning, "durable=true, but appendonly is no at " + s.Addr, "CONFIG SET appendonly yes"}.compare(t, "without a file", sick)
	s.CLI(words(sick.Change[0].Line)...)
	sick = finding(t, examined(t, cfg), "broker")
	expected{Warning, "durable=true, but appendfsync is everysec at " + s.Addr, "CONFIG SET appendfsync always"}.compare(t, "that does not wait for its disk", sick)
	s.CLI(words(sick.Change[1].Line)...)
	expected{OK, "A publication is back", ""}.compare(t, "afterwards", finding(t, examined(t, cfg), "broker"))
}

// words splits a line as redis-cli does.
func words(line string) (all []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	return all
}

// A server that does not know HELLO, as Redis 5.
func TestARedisThatIsTooOld(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for p := make([]byte, 4096); ; {
					if _, err := c.Read(p); err != nil {
						return
					}
					_, _ = c.Write([]byte("-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n"))
				}
			}()
		}
	}()
	expected{Problem, "There is no link to the engine", ""}.compare(t, "Redis 5", finding(t, examined(t, ofRedis("redis://"+ln.Addr().String())), "broker"))
	expected{Problem, "connection refused", ""}.compare(t, "nobody", finding(t, examined(t, ofRedis("redis://127.0.0.1:1")), "broker"))
}

func TestANATSThatDeniesOrTakesLittle(t *testing.T) {
	allowed, none := &nats.SubjectPermission{Allow: []string{"shop.>"}}, &nats.SubjectPermission{Deny: []string{">"}}
	for name, tc := range map[string]struct {
		may     nats.Permissions
		payload int32
		want    expected
	}{
		"all is allowed": {nats.Permissions{Publish: allowed, Subscribe: allowed}, 1 << 20, expected{OK, "version " + nats.VERSION, ""}},
		"no subscribing": {nats.Permissions{Publish: allowed, Subscribe: none}, 1 << 20, expected{Problem, "wsify cannot subscribe to shop.wsify-doctor-", `permissions: { publish: "shop.>", subscribe: "shop.>" }`}},
		"no publishing":  {nats.Permissions{Publish: none, Subscribe: allowed}, 1 << 20, expected{Problem, "wsify cannot publish to shop.wsify-doctor-", "nats.conf, for the user ann"}},
		"small messages": {nats.Permissions{Publish: allowed, Subscribe: allowed}, 4096, expected{Problem, "It takes 4 KiB of content, and -max-message-size allows 64 KiB.", "max-message-size 4096"}},
	} {
		s := natstest.Start(t, &nats.Options{MaxPayload: tc.payload, Users: []*nats.User{{Username: "ann", Password: "hunter2", Permissions: &tc.may}}})
		dsn := strings.Replace(s.URL, "nats://", "nats://ann:hunter2@", 1)
		tc.want.compare(t, name, finding(t, examined(t, server.Config{BrokerDriver: "nats", BrokerDSN: dsn, BrokerPrefix: "shop."}), "broker"))
	}
}

func TestANATSWithoutWhatHistoryNeeds(t *testing.T) {
	only := func(subjects ...string) *nats.SubjectPermission { return &nats.SubjectPermission{Allow: subjects} }
	for name, tc := range map[string]struct {
		jetStream          bool
		publish, subscribe *nats.SubjectPermission
		want               expected
	}{
		"all is there":   {true, only("shop.>", "_WSIFY.shop.>", "$JS.API.>"), only("shop.>", "_INBOX.>"), expected{OK, "version " + nats.VERSION, ""}},
		"no JetStream":   {false, only(">"), only(">"), expected{Problem, "wsify cannot keep history of shop.wsify-doctor-", ""}},
		"no right to it": {true, only("shop.>"), only("shop.>", "_INBOX.>"), expected{Problem, "Permissions Violation", `publish: ["shop.>", "_WSIFY.shop.>", "$JS.API.>"], subscribe: ["shop.>", "_INBOX.>"]`}},
	} {
		s := natstest.Start(t, &nats.Options{JetStream: tc.jetStream, StoreDir: t.TempDir(), Users: []*nats.User{{Username: "ann", Password: "hunter2", Permissions: &nats.Permissions{Publish: tc.publish, Subscribe: tc.subscribe}}}})
		dsn := strings.Replace(s.URL, "nats://", "nats://ann:hunter2@", 1)
		tc.want.compare(t, name, finding(t, examined(t, server.Config{BrokerDriver: "nats", BrokerDSN: dsn, BrokerPrefix: "shop.", HistoryChannels: []string{"*"}}), "broker"))
	}
}

func TestEveryMasterOfAClusterIsExamined(t *testing.T) {
	servers := redistest.StartCluster(t, 3)
	for _, s := range servers {
		s.Config("client-output-buffer-limit", "pubsub 256mb 64mb 60")
	}
	servers[1].Config("client-output-buffer-limit", "pubsub 32mb 8mb 60")
	f := finding(t, examined(t, ofRedis(servers[0].DSN())), "broker")
	expected{Warning, "32 MiB, or 8 MiB for 60 s, may wait for a node at " + servers[1].Addr, "redis-cli at " + servers[1].Addr}.compare(t, "one of three", f)
	if len(f.Change) != 2 {
		t.Errorf("changes: %+v, want those of one server", f.Change)
	}
	for _, s := range servers {
		s.CLI("ACL", "SETUSER", "ann", "reset", "on", ">hunter2", "+hello", "+cluster|slots")
	}
	cfg := ofRedis("redis://ann:hunter2@" + servers[0].Addr)
	f = finding(t, examined(t, cfg), "broker")
	expected{Problem, "wsify cannot subscribe to", "+ssubscribe"}.compare(t, "without rights", f)
	for _, change := range f.Change {
		for _, s := range servers {
			s.CLI(words(change.Line)...)
		}
	}
	expected{OK, "", ""}.compare(t, "afterwards", finding(t, examined(t, cfg), "broker"))
}
