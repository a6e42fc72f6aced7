package nats

import (
	"strings"
	"testing"

	"wsify/broker"
)

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ dsn, servers string }{
		{"", "nats://localhost:4222"},
		{"?name=x", "nats://localhost:4222"},
		{"nats://host", "nats://host"},
		{"host:4222", "nats://host:4222"},
		{"nats://user:p%40ss@host:4222", "nats://host:4222"},
		{"nats://token@host/", "nats://host"},
		{"nats://u:p@a:1, tls://b:2,c", "nats://a:1,tls://b:2,nats://c"},
		{"wss://a,ws://b:80?skip_verify&connect_timeout=250ms", "wss://a,ws://b:80"},
		{"nats://[::1]:4222?skip_verify=false&name=my+node", "nats://[::1]:4222"},
	} {
		d, err := parseDSN(c.dsn)
		if err != nil {
			t.Errorf("%q: %v", c.dsn, err)
		} else if d.String() != c.servers {
			t.Errorf("%q: servers %s, want %s", c.dsn, d, c.servers)
		}
	}
}

// Servers without a user get that of the first that has one.
func TestUserIsForAllServers(t *testing.T) {
	for _, c := range []struct{ dsn, user, password, token string }{
		{"nats://a,nats://u:p%2Cw@b,nats://v:q@c", "u", "p,w", ""},
		{"a,nats://t@b", "", "", "t"},
	} {
		d, err := parseDSN(c.dsn)
		if err != nil {
			t.Fatalf("%q: %v", c.dsn, err)
		}
		o, err := d.options()
		if err != nil || o.User != c.user || o.Password != c.password || o.Token != c.token {
			t.Errorf("%q: user %q, password %q, token %q, %v; want %q, %q, %q", c.dsn, o.User, o.Password, o.Token, err, c.user, c.password, c.token)
		}
	}
}

// Errors name the problem, without the secret.
func TestAddressesThatAreWrong(t *testing.T) {
	for _, c := range []struct{ dsn, says string }{
		{"redis://host", "nats://, tls://, ws:// or wss://"},
		{"nats://", "no host"},
		{"nats://:4222", "no host"},
		{"nats://host:0", "port"},
		{"nats://host:70000", "port"},
		{"nats://a,,b", "server 2"},
		{"nats://user:secret#x@host", "URL"},
		{"nats://user:sec/ret@host", "URL"},
		{"nats://user:secret?x@host", "URL"},
		{"nats://secret?secret@host", "%3F"},
		{"nats://secret?secret=a@host", "%3F"},
		{"nats://user:secret%zz@host", "%40"},
		{"nats://host/secret", "behind host and port"},
		{"nats://host?user=secret", "unknown parameter \"user\"; there are ca, cert, connect_timeout, creds, key, name, nkey, replicas, skip_verify, storage"},
		{"nats://host?name=a&name=secret", "more than once"},
		{"nats://host?name=%zzsecret", "%40"},
		{"nats://host?connect_timeout=0s", "above zero"},
		{"nats://host?connect_timeout=soon", "connect_timeout"},
		{"nats://host?skip_verify=perhaps", "skip_verify"},
		{"nats://host,ws://host", "mixes"},
		{"nats://user:secret@host?creds=/none", "more than one form"},
		{"nats://host?creds=/none&nkey=/none", "more than one form"},
		{"nats://host?cert=/none", "both"},
		{"nats://user:secret@host?ca=/none", "NATS at nats://host: ca: "},
		{"nats://host?creds=/none", "creds: "},
		{"nats://host?nkey=/none", "nkey: "},
		{"nats://host?cert=/none&key=/none", "cert: "},
	} {
		_, err := readDSN(c.dsn)
		if err == nil {
			t.Errorf("%q is taken", c.dsn)
			continue
		}
		if _, newErr := newEngine(broker.Config{DSN: c.dsn}); newErr == nil || newErr.Error() != err.Error() {
			t.Errorf("%q: newEngine says %v, readDSN %v", c.dsn, newErr, err)
		}
		if text := err.Error(); !strings.Contains(text, c.says) || strings.Contains(text, "secret") {
			t.Errorf("%q: the error is %q; it should say %q and no secret", c.dsn, text, c.says)
		}
	}
}

func FuzzDSN(f *testing.F) {
	for _, dsn := range []string{"", "nats://hunter2:hunter2@host:4222", "nats://hunter2@a,tls://b?ca=x&skip_verify", "wss://h?name=hunter2", "nats://u:hunter2?x=1@h", "a,b,c?connect_timeout=1s"} {
		f.Add(dsn)
	}
	f.Fuzz(func(t *testing.T, dsn string) {
		d, err := parseDSN(dsn)
		if err != nil {
			return
		}
		// The shown address parses again, to the same servers without a user.
		again, err := parseDSN(d.String())
		if err != nil {
			t.Fatalf("%q is shown as %q: %v", dsn, d, err)
		}
		if again.String() != d.String() {
			t.Fatalf("%q is shown as %q, and that as %q", dsn, d, again)
		}
		if again.user != nil {
			t.Fatalf("%q is shown with a user: %q", dsn, d)
		}
	})
}
