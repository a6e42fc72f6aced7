//go:build linux

package main

import (
	"os"
	"strings"
	"testing"
)

func TestAWrongCommandLineExitsWith2(t *testing.T) {
	const hint = "\nSee wsify -help for what there is.\n"
	for _, tc := range []struct{ args, want string }{
		{"-listenaddr=:1", "wsify: -listenaddr is no setting; the nearest is -listen-addr"},
		{"--LISTEN_ADDR :1", "wsify: -LISTEN_ADDR is no setting; the nearest is -listen-addr"},
		{"-chek-config", "wsify: -chek-config is no setting; the nearest is -check-config"},
		{"-listen-addr", "wsify: flag needs an argument: -listen-addr"},
		{"serve", `wsify: unexpected argument "serve"`},
		{"help", `wsify: unexpected argument "help"; it is a flag: -help`},
		{"version", `wsify: unexpected argument "version"; it is a flag: -version`},
		{"-broadcast-open true", `wsify: unexpected argument "true"`},
		{"-broadcast-open=si", `wsify: -broadcast-open: invalid value "si": it is neither true nor false`},
		{"-listen-addr=", `wsify: -listen-addr: invalid value "": it is empty`},
		{"-ping-interval 25", `wsify: -ping-interval: invalid value "25": it has no unit; write 25s for seconds, or use ms, m or h`},
		{"-ping-interval -1s", `wsify: -ping-interval: invalid value "-1s": it must not be negative`},
		{"-ping-interval soon", `wsify: -ping-interval: invalid value "soon": it is not a duration; write a number with ms, s, m or h, as in 25s or 1m30s`},
		{"-pong-timeout 0", `wsify: -pong-timeout: invalid value "0": it must be more than zero`},
		{"-max-message-size 64K", `wsify: -max-message-size: invalid value "64K": it is not a size; write bytes, or a whole number with KiB, MiB, GiB, KB, MB or GB, as in 64KiB`},
		{"-max-message-size 0", `wsify: -max-message-size: invalid value "0": it must be more than zero`},
		{"-max-channel-length 0", `wsify: -max-channel-length: invalid value "0": it must be more than zero`},
		{"-loops -1", `wsify: -loops: invalid value "-1": it must not be negative`},
		{"-loops two", `wsify: -loops: invalid value "two": it is not a whole number`},
		{"-loops 99999999999999999999", `wsify: -loops: invalid value "99999999999999999999": it is more than this machine can count`},
		{"-authorizer-events connect,,join", `wsify: -authorizer-events: invalid value "connect,,join": a part of the list is empty`},
		{"-slow-policy wait", `wsify: -slow-policy: invalid value "wait": it is neither close nor drop`},
		{"-log-level loud", `wsify: -log-level: invalid value "loud": it is none of debug, info, warn, error`},
		{"-access-log-sample 0", `wsify: -access-log-sample: invalid value "0": it is not a number above 0 and at most 1, as 0.01`},
		{"-access-log-sample 1.01", `wsify: -access-log-sample: invalid value "1.01": it is not a number above 0 and at most 1, as 0.01`},
		{"-access-log-sample NaN", `wsify: -access-log-sample: invalid value "NaN": it is not a number above 0 and at most 1, as 0.01`},
		{"-log-format xml", `wsify: -log-format: invalid value "xml": it is neither json nor text`},
	} {
		got := start(strings.Fields(tc.args), nil)
		if got.code != 2 || got.stderr != tc.want+hint || got.stdout != "" || got.served != nil {
			t.Errorf("wsify %s: exit %d, stdout %q, stderr\n%swant exit 2 and\n%s%s", tc.args, got.code, got.stdout, got.stderr, tc.want, hint)
		}
	}
}

func TestARefusedConfigurationExitsWith1AndNamesEveryProblem(t *testing.T) {
	file := write(t, strings.Join([]string{
		"# line 1", "nonsense 1", "listen-addr", "broadcasting-key # none", "pong-timeout 3", "version", "config /x",
		"LISTEN_ADDR :1", "broadcast-open maybe", "max-channel-length 5 # fine", "listen-addr " + strings.Repeat("x", maxLine),
	}, "\n"))
	key, empty := write(t, "k"), write(t, "\n")
	big := write(t, strings.Repeat("x", maxConfig+1))
	for _, tc := range []struct {
		args string
		env  []string
		want []string
	}{
		{"-listen-addr 3000 -broker-driver kafka", nil, []string{
			`-listen-addr: "3000" is not host:port, :port, [v6]:port, unix:/path, fd://NUMBER or fd://NAME`,
			`-broker-driver: there is no broker "kafka"; there are memory, redis and nats`,
		}},
		{"-admin-addr 3001 -check-config", nil, []string{
			`-admin-addr: "3001" is not host:port, :port, [v6]:port, unix:/path, fd://NUMBER or fd://NAME`,
		}},
		{"-loops 300 -check-config", nil, []string{"-loops: 300 is not between 1 and 256"}},
		{"", []string{"WSIFY_PONG_TIMEOUT=3", "WSIFY_LOOPS=x"}, []string{
			`WSIFY_LOOPS: invalid value "x": it is not a whole number`,
			`WSIFY_PONG_TIMEOUT: invalid value "3": it has no unit; write 3s for seconds, or use ms, m or h`,
		}},
		{"", []string{"WSIFY_BROADCASTING_KEY=k", "WSIFY_BROADCASTING_KEY_FILE=" + key}, []string{
			"WSIFY_BROADCASTING_KEY and WSIFY_BROADCASTING_KEY_FILE are both set, set one of them",
		}},
		{"-broadcasting-key k", []string{"WSIFY_BROADCASTING_KEY=k", "WSIFY_BROADCASTING_KEY_FILE=" + key}, []string{
			"WSIFY_BROADCASTING_KEY and WSIFY_BROADCASTING_KEY_FILE are both set, set one of them",
		}},
		{"", []string{"WSIFY_BROADCASTING_KEY_FILE=/nowhere/key"}, []string{
			"WSIFY_BROADCASTING_KEY_FILE: open /nowhere/key: no such file or directory",
		}},
		{"", []string{"WSIFY_BROADCASTING_KEY_FILE=" + empty}, []string{"WSIFY_BROADCASTING_KEY_FILE: " + empty + " is empty"}},
		{"", []string{"WSIFY_BROADCASTING_KEY_FILE=" + big}, []string{"WSIFY_BROADCASTING_KEY_FILE: " + big + " has more than 64KiB"}},
		{"-config /nowhere/wsify.conf", nil, []string{"-config: open /nowhere/wsify.conf: no such file or directory"}},
		{"-config /", nil, []string{"-config: read /: is a directory"}},
		{"-config " + big, nil, []string{"-config: " + big + " has more than 1MiB"}},
		{"-config " + file, nil, []string{
			file + ":2: nonsense is no setting; the nearest is workers",
			file + ":3: listen-addr has no value",
			file + ":4: broadcasting-key has no value",
			file + `:5: pong-timeout: invalid value "3": it has no unit; write 3s for seconds, or use ms, m or h`,
			file + ":6: version cannot be set in a file",
			file + ":7: config cannot be set in a file",
			file + ":8: LISTEN_ADDR is no setting; the nearest is listen-addr",
			file + `:9: broadcast-open: invalid value "maybe": it is neither true nor false`,
			file + ":11: the line is longer than 32KiB",
		}},
	} {
		got := start(strings.Fields(tc.args), tc.env)
		want := "wsify: " + strings.Join(tc.want, "\nwsify: ") + "\n"
		if got.code != 1 || got.stderr != want || got.stdout != "" || got.served != nil {
			t.Errorf("wsify %s with %q: exit %d, stdout %q, stderr\n%swant exit 1 and\n%s", tc.args, tc.env, got.code, got.stdout, got.stderr, want)
		}
	}
}

func TestASecretInAFileThatEveryUserMayReadIsWarnedAbout(t *testing.T) {
	path := write(t, "broadcasting-key t0psecret\n")
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		got := start([]string{"-config", path, "-check-config"}, nil)
		want := ""
		if warned {
			want = "wsify: warning: a secret is in a file that every user may read; take the right away, or set WSIFY_BROADCASTING_KEY_FILE: " + path + ":1 broadcasting-key\n"
		}
		if got.code != 0 || got.stderr != want {
			t.Errorf("mode %o: exit %d, %q; want %q", mode, got.code, got.stderr, want)
		}
	}
}

// What stands behind a name that is no setting may be a secret.
func TestMessagesHaveNoSecretOfAMistypedSetting(t *testing.T) {
	const variable = "is a variable, which belongs into the environment (wsify.env of the packages); the line for this file is: admin-key VALUE"
	for line, want := range map[string]string{
		"WSIFY_ADMIN_KEY=t0psecret":        "WSIFY_ADMIN_KEY " + variable,
		"WSIFY_ADMIN_KEY t0psecret":        "WSIFY_ADMIN_KEY " + variable,
		"WSIFY_ADMIN_KEY_FILE=t0psecret":   "WSIFY_ADMIN_KEY_FILE " + variable,
		"admin-key=t0psecret":              "admin-key has to be followed by a space and its value: admin-key VALUE",
		"admin-key:\tt0psecret":            "admin-key has to be followed by a space and its value: admin-key VALUE",
		"--admin-key=t0psecret":            "admin-key has to be followed by a space and its value: admin-key VALUE",
		"export WSIFY_ADMIN_KEY=t0psecret": "export is no setting; the nearest is ",
		"adminkey=t0psecret":               "adminkey is no setting; the nearest is admin-key",
	} {
		got := start([]string{"-config", write(t, line)}, nil)
		if got.code != 1 || !strings.Contains(got.stderr, ":1: "+want) || strings.Contains(got.stderr, "t0psecret") {
			t.Errorf("the line %q: exit %d, %q; want %q", line, got.code, got.stderr, want)
		}
	}
	for arg, want := range map[string]string{
		"-admin-key:t0psecret":    "-admin-key has to be followed by a space and its value: -admin-key VALUE",
		"-adminkey=t0psecret":     "-adminkey is no setting; the nearest is -admin-key",
		"---admin-key=t0psecret":  "bad flag syntax: ---admin-key",
		"admin-key=t0psecret":     `unexpected argument "admin-key"`,
		"-admin-key = t0psecret":  "unexpected argument 3, which is not shown",
		"-admin-key my t0psecret": "unexpected argument 3, which is not shown",
		"-adminkey = t0psecret":   "unexpected argument 3, which is not shown",
		"admin-key t0psecret":     "unexpected argument 2, which is not shown",
		"admin-key = t0psecret":   "unexpected argument 3, which is not shown",

		"-admin-key = -t0psecret":            "argument 3 is no setting, and is not shown",
		"-adminkey = -t0psecret":             "argument 3 is no setting, and is not shown",
		"-adminkey -t0psecret":               "argument 2 is no setting, and is not shown",
		"admin-key = --t0psecret":            "argument 3 is no setting, and is not shown",
		"= -t0psecret":                       "argument 2 is no setting, and is not shown",
		"-admin-key= -t0psecret=x":           "argument 2 is no setting, and is not shown",
		"-admin-key my -9t0psecret":          "argument 3 is no setting, and is not shown",
		"-admin-key = ---t0psecret":          "bad flag syntax: argument 3, which is not shown",
		"-admin-key my -=t0psecret":          "bad flag syntax: -",
		"-admin-key k -listenaddr=t0psecret": "-listenaddr is no setting; the nearest is -listen-addr",
		"-loops = -t0psecret":                "argument 3 is no setting, and is not shown",
		"doctor -admin-key = -t0psecret":     "argument 3 is no setting, and is not shown",
	} {
		got := start(strings.Fields(arg), nil)
		if got.code != 2 || !strings.Contains(got.stderr, want) || strings.Contains(got.stderr, "t0psecret") {
			t.Errorf("wsify %s: exit %d, %q; want %q", arg, got.code, got.stderr, want)
		}
	}
}

func TestAMistypedVariableIsRefusedAndTheNearestSettingNamed(t *testing.T) {
	for name, nearest := range map[string]string{
		"WSIFY_BROADCAST_KEY":  "WSIFY_BROADCASTING_KEY",
		"WSIFY_LISTENADDR":     "WSIFY_LISTEN_ADDR",
		"WSIFY_LISTEN_ADRESS":  "WSIFY_LISTEN_ADDR",
		"WSIFY_BROKER_DNS":     "WSIFY_BROKER_DSN",
		"WSIFY_BROKER_DSNFILE": "WSIFY_BROKER_DSN_FILE",
		"wsify_listen_addr":    "WSIFY_LISTEN_ADDR",
		"Wsify_Listenaddr":     "WSIFY_LISTEN_ADDR",
	} {
		got := start(nil, []string{name + "=x"})
		if want := "wsify: " + name + " is no setting; the nearest is " + nearest + "\n"; got.code != 1 || got.stderr != want {
			t.Errorf("%s=x: exit %d, stderr %q; want exit 1, %q", name, got.code, got.stderr, want)
		}
	}
}

func TestWhatIsOddIsWarnedAbout(t *testing.T) {
	const wide = "-trusted-proxies has a network wider than any private one, and whoever is in it can forge client addresses: "
	for _, tc := range []struct {
		name, check, log string
		args, environ    []string
	}{
		{"an empty variable", "a variable is set and empty, which counts as not set: WSIFY_BROADCASTING_KEY", "variable=WSIFY_BROADCASTING_KEY",
			nil, []string{"WSIFY_BROADCASTING_KEY="}},
		{"a flag given twice", "a flag is given more than once, and the last one counts: -loops", "flag=-loops",
			[]string{"-loops", "1", "--loops=2"}, nil},
		{"a DSN without use", "-broker-dsn is set, and the broker does not use it: memory", "broker=memory",
			[]string{"-broker-dsn", "redis://:hunter2@a"}, nil},
		{"a burst without a rate", "-command-burst is set without -command-rate, and has no effect: 7", "burst=7",
			[]string{"-command-burst", "7"}, nil},
		{"a policy without a rate", "-rate-policy is set without -command-rate, and has no effect: drop", "policy=drop",
			[]string{"-rate-policy", "drop"}, nil},
		{"a limit above another", "-max-connections-per-address is more than -max-connections, and has no effect: 11", "per_address=11",
			[]string{"-max-connections", "10", "-max-connections-per-address", "11"}, nil},
		{"all of IPv4 trusted", wide + "0.0.0.0/0", "network=0.0.0.0/0", []string{"-trusted-proxies", "10.0.0.0/8,0.0.0.0/0"}, nil},
		{"a part of IPv4 trusted", wide + "10.0.0.0/7", "network=10.0.0.0/7", []string{"-trusted-proxies", "10.0.0.0/7,192.0.2.1"}, nil},
		{"all of IPv6 trusted", wide + "::/0", "network=::/0", []string{"-trusted-proxies", "unix,::/0"}, nil},
		{"a part of IPv6 trusted", wide + "fc00::/6", "network=fc00::/6", []string{"-trusted-proxies", "fc00::/7,fc00::/6"}, nil},
	} {
		checked := start(append(tc.args, "-check-config"), tc.environ)
		if want := "wsify: warning: " + tc.check + "\n"; checked.code != 0 || checked.stderr != want || checked.stdout != "configuration ok\n" {
			t.Errorf("-check-config of %s: %+v; want %q", tc.name, checked, want)
		}
		started := start(append(tc.args, "-log-format", "text"), tc.environ)
		if started.served == nil || !strings.Contains(started.stderr, "level=WARN") || !strings.Contains(started.stderr, tc.log) {
			t.Errorf("the start with %s: %+v; want a warning", tc.name, started)
		}
		if strings.Contains(started.stderr, "hunter2") {
			t.Errorf("the log has a secret: %s", started.stderr)
		}
	}
}

func TestLimitsAndNetworksThatMakeSenseAreNotWarnedAbout(t *testing.T) {
	for _, args := range [][]string{
		{"-max-connections", "10", "-max-connections-per-address", "10"}, {"-max-connections-per-address", "10"},
		{"-rate-policy", "drop", "-command-rate", "1"}, {"-trusted-proxies", "unix,10.0.0.0/8,fc00::/7,127.0.0.1"},
	} {
		if got := start(append(args, "-check-config"), nil); got.code != 0 || got.stderr != "" {
			t.Errorf("%q: %+v; want no warning", args, got)
		}
	}
}

func TestTheLastOfAFlagGivenTwiceCounts(t *testing.T) {
	got := start([]string{"-loops", "1", "-broadcast-open", "-loops", "2"}, nil)
	if got.served == nil || got.served.Loops != 2 || !got.served.BroadcastOpen {
		t.Errorf("%+v", got)
	}
}

func TestQuotesInTheValueOfAFlagAreRefused(t *testing.T) {
	got := start([]string{"-broadcasting-key", "'hunter2'", `-allowed-origins="self"`}, nil)
	want := "wsify: -broadcasting-key: the quotes around the value would be part of it; leave them out\n" +
		"wsify: -allowed-origins: the quotes around the value would be part of it; leave them out\n"
	if got.code != 2 || got.served != nil || !strings.HasPrefix(got.stderr, want) || strings.Contains(got.stderr, "hunter2") {
		t.Errorf("exit %d, stderr\n%swant exit 2,\n%s", got.code, got.stderr, want)
	}
}

func TestEveryMistakeOfTheCommandLineIsToldAtOnceBesideTheRest(t *testing.T) {
	file := write(t, "loops 999\nnonsense 1\n")
	args := []string{
		"-pong-timeout", "0", "-nonsense", "-5", "-nonsense=5", "--max-head-size=x", "---", "-authorizer-url", "'http://a'",
		"-no-such", "value", "-broadcasting-key", "'hunter2'", "serve", "-config", file, "-check-config", "--", "-broker-dsn",
	}
	got := start(args, []string{"WSIFY_QUEUE=x", "WSIFY_PONG_TIMEOUT=y", "WSIFY_NONSENSE=1"})
	want := `wsify: -pong-timeout: invalid value "0": it must be more than zero
wsify: argument 3 is no setting, and is not shown because it may belong to a secret
wsify: argument 5 is no setting, and is not shown because it may belong to a secret
wsify: -max-head-size: invalid value "x": it is not a size; write bytes, or a whole number with KiB, MiB, GiB, KB, MB or GB, as in 64KiB
wsify: bad flag syntax: ---
wsify: -authorizer-url: the quotes around the value would be part of it; leave them out
wsify: argument 10 is no setting, and is not shown because it may belong to a secret
wsify: -broadcasting-key: the quotes around the value would be part of it; leave them out
wsify: unexpected argument 14, which is not shown because it may belong to a secret
wsify: unexpected argument 19, which is not shown because it may belong to a secret
wsify: flag needs an argument: -broker-dsn
wsify: WSIFY_QUEUE: invalid value "x": it is not a whole number
wsify: WSIFY_NONSENSE is no setting; the nearest is WSIFY_WORKERS
wsify: ` + file + `:2: nonsense is no setting; the nearest is workers
wsify: ` + file + `:1: -loops: 999 is not between 1 and 256
See wsify -help for what there is.
`
	if got.code != 2 || got.served != nil || got.stderr != want {
		t.Errorf("exit %d, stderr\n%swant exit 2,\n%s", got.code, got.stderr, want)
	}
}

func TestEveryProblemIsToldAtOnceWithFileAndLine(t *testing.T) {
	file := write(t, "loops 999\n\nshards 2\nshards 2\nlisten-addr \":80\"\nadmin-addr 127.0.0.1:3000\n")
	got := start([]string{"-check-config", "-config", file}, []string{`WSIFY_BROADCASTING_KEY='secret'`, "WSIFY_QUEUE=99999999"})
	want := "wsify: WSIFY_BROADCASTING_KEY: the quotes around the value would be part of it; leave them out\n" +
		"wsify: " + file + ":4: shards is set twice, before at " + file + ":3\n" +
		"wsify: " + file + ":5: listen-addr: the quotes around the value would be part of it; leave them out\n" +
		"wsify: " + file + ":6: -admin-addr: 127.0.0.1:3000 is taken by -listen-addr :3000\n" +
		"wsify: " + file + ":1: -loops: 999 is not between 1 and 256\n" +
		"wsify: -queue: 99999999 is not between 1 and 16777216\n"
	if got.code != 1 || got.stderr != want {
		t.Errorf("exit %d, stderr\n%swant exit 1,\n%s", got.code, got.stderr, want)
	}
}
