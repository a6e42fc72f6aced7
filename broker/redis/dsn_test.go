package redis

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/broker/internal/dsn"
)

func TestDSNOfVersion3(t *testing.T) {
	for dsn, want := range map[string]options{
		"":                                   {network: "tcp", addrs: []string{"localhost:6379"}},
		"redis://":                           {network: "tcp", addrs: []string{"localhost:6379"}},
		"redis://h":                          {network: "tcp", addrs: []string{"h:6379"}},
		"redis://:7000":                      {network: "tcp", addrs: []string{"localhost:7000"}},
		"redis://[::1]:7000/2":               {network: "tcp", addrs: []string{"[::1]:7000"}},
		"redis://u:p%40%2F@h:1/0":            {network: "tcp", addrs: []string{"h:1"}, user: "u", password: "p@/"},
		"redis://:p@h?db=3":                  {network: "tcp", addrs: []string{"h:6379"}, password: "p"},
		"rediss://h?skip_verify=true":        {network: "tcp", addrs: []string{"h:6379"}, secure: true, tls: dsn.TLS{SkipVerify: true}},
		"unix:///run/r.sock?db=1":            {network: "unix", addrs: []string{"/run/r.sock"}},
		"unix://u:p@/r.sock":                 {network: "unix", addrs: []string{"/r.sock"}, user: "u", password: "p"},
		"redis://h?pool_size=5&max_retries=": {network: "tcp", addrs: []string{"h:6379"}, unused: []string{"max_retries", "pool_size"}},
	} {
		got, err := parseDSN(dsn)
		if err != nil {
			t.Errorf("%q: %v", dsn, err)
			continue
		}
		if got.network != want.network || !slices.Equal(got.addrs, want.addrs) || got.user != want.user || got.password != want.password ||
			got.secure != want.secure || got.tls != want.tls || !slices.Equal(got.unused, want.unused) {
			t.Errorf("%q: %+v, want %+v", dsn, got, want)
		}
	}
}

func TestDSNParameters(t *testing.T) {
	o, err := parseDSN("redis://a?addr=b:7&addr=c&addr=a:26379&master_set=m&sentinel_user=su&sentinel_password=sp" +
		"&client_name=me&dial_timeout=2s&sharded=no")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a:26379", "b:7", "c:26379"}; !slices.Equal(o.addrs, want) {
		t.Errorf("addresses %q, want %q", o.addrs, want)
	}
	if o.masterSet != "m" || o.sentinelUser != "su" || o.sentinelPassword != "sp" || o.clientName != "me" || o.timeout != 2*time.Second || o.sharded != "no" {
		t.Errorf("%+v", o)
	}
	if o, err = parseDSN("redis://h?dial_timeout=3"); err != nil || o.timeout != 3*time.Second {
		t.Errorf("a dial_timeout of 3, as v3 had it, is %+v, %v", o, err)
	}
}

func TestDSNRefused(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.pem")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dsn, words := range map[string]string{
		"localhost:6379":                      "must begin with redis://",
		"http://h":                            "must begin with redis://",
		"redis:h":                             "must have //",
		"redis://u:hunter2#x@h":               "percent-encoded",
		"redis://u:1?hunter2@h":               "percent-encoded",
		"redis://u:hunter2?x@h":               "percent-encoded",
		"redis://u:hunter2/x@h":               "percent-encoded",
		"redis://u:hunter2%@h":                "percent-encoded",
		"redis://h/hunter2":                   "number of a database",
		"redis://h?db=-1":                     "number of a database",
		"redis://h:0":                         "port from 1 to 65535",
		"redis://h?addr=x:99999":              "port from 1 to 65535",
		"redis://h,x:6379":                    "of the form host:port",
		"redis://h?hunter2=1":                 "unknown parameter; there are addr, ca,",
		"redis://h?masterset_=1":              "unknown parameter \"masterset_\"; there are addr,",
		"redis://h?db=1&db=2":                 "db more than once",
		"redis://h?sharded=maybe":             "sharded must be",
		"redis://h?durable=maybe":             "durable must be true or false",
		"redis://h?durable&master_set=m":      "single server",
		"redis://h?durable=true&addr=b":       "single server",
		"redis://h?dial_timeout=soon":         "dial_timeout must be a duration",
		"redis://h?dial_timeout=-1s":          "dial_timeout must be a duration",
		"redis://h?skip_verify=1":             "need TLS: rediss://",
		"redis://h?ca=x":                      "need TLS: rediss://",
		"rediss://h?skip_verify=maybe":        "must be true or false",
		"rediss://h?cert=x":                   "need each other",
		"rediss://h?ca=" + missing:            "no such file",
		"rediss://h?ca=" + empty:              "no certificate",
		"rediss://h?cert=a&key=" + missing:    "cert and key",
		"redis://h?sentinel_password=hunter2": "need master_set",
		"redis://h?client_name=a+b":           "must not have spaces",
		"unix://host/path":                    "whole path",
		"unix:///p?addr=x":                    "do not go with unix",
	} {
		_, err := checkDSN(dsn)
		if err == nil {
			t.Errorf("%q is accepted", dsn)
			continue
		}
		brokertest.Says(t, err.Error(), words)
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error has the secret: %v", dsn, err)
		}
		if _, err := newEngine(broker.Config{DSN: dsn}); err == nil {
			t.Errorf("newEngine takes %q", dsn)
		}
	}
}

func TestDSNOptionsWithoutEffectAreWarnedOf(t *testing.T) {
	n := startNode(t, broker.Config{DSN: "redis://u:hunter2@127.0.0.1:1?pool_size=10&min_idle_conns=2"})
	brokertest.Says(t, n.Logged(), "level=WARN", "no effect", "min_idle_conns,pool_size")
}

// FuzzDSN checks that nothing panics, that no error has the password, and that an accepted DSN has
// addresses.
func FuzzDSN(f *testing.F) {
	for _, s := range []string{"redis://{}@h:1/2?db=3", "rediss://u:{}@[::1]?addr=x&addr=y", "unix://:{}@/p", "redis://h?sentinel_password={}&master_set=m",
		"redis://h#{}", "redis://u:1?{}@h", "redis://{}", "redis://u:{}/@h", "redis://h?client_name=%0d%0a", "redis://h?{}=1"} {
		f.Add(s)
	}
	const secret = "Zq9xSECRETk7"
	f.Fuzz(func(t *testing.T, dsn string) {
		filled := strings.ReplaceAll(dsn, "{}", url.PathEscape(secret))
		o, err := parseDSN(filled)
		if err != nil && strings.Contains(strings.ToLower(err.Error()), strings.ToLower(secret)) {
			t.Errorf("%q: the error has the secret: %v", filled, err)
		}
		if err == nil && len(o.addrs) == 0 {
			t.Errorf("%q: no address", filled)
		}
	})
}
