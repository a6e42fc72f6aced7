package doctor

import (
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"wsify/internal/server"
)

// machine is what the files of a well-kept machine say: 16 GiB, for a million connections.
var machine = map[string]string{
	"proc/self/limits":                             "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 1100000              files     \n",
	"proc/self/cgroup":                             "0::/user.slice/session-1.scope\n",
	"proc/meminfo":                                 "MemTotal:       16777216 kB\nMemFree:         1000000 kB\nMemAvailable:   14680064 kB\n",
	"proc/sys/fs/nr_open":                          "1200000\n",
	"proc/sys/fs/file-max":                         "9223372036854775807\n",
	"proc/sys/fs/file-nr":                          "2000\t0\t9223372036854775807\n",
	"proc/sys/fs/epoll/max_user_watches":           "3600000\n",
	"proc/sys/net/core/somaxconn":                  "16384\n",
	"proc/sys/net/ipv4/tcp_max_syn_backlog":        "16384\n",
	"proc/sys/net/ipv4/tcp_syncookies":             "1\n",
	"proc/sys/net/ipv4/tcp_mem":                    "750000\t1000000\t1300000\n",
	"proc/sys/net/ipv4/tcp_rmem":                   "4096\t131072\t6291456\n",
	"proc/sys/net/ipv4/tcp_wmem":                   "4096\t16384\t262144\n",
	"proc/sys/net/ipv4/ip_local_port_range":        "32768\t60999\n",
	"run/systemd/system":                           "",
	"etc/systemd/system/wsify.service":             "[Service]\nExecStart=/usr/bin/wsify\nLimitNOFILE=1100000\n",
	"etc/systemd/system/multi-user.target.wants/x": "",
	"usr/lib/systemd/system.conf":                  "[Manager]\n#DefaultLimitNOFILE=1024:524288\n",
}

// files returns machine with some files in place of its own. Those that are "-" are not there.
func files(changed map[string]string) fstest.MapFS {
	all := maps.Clone(machine)
	maps.Copy(all, changed)
	root := fstest.MapFS{}
	for path, text := range all {
		if text != "-" {
			root[path] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return root
}

// facts returns the facts about such a machine, whose own configuration is the default's.
func facts(t *testing.T, changed map[string]string, adjust ...func(*Facts)) *Facts {
	t.Helper()
	cfg := server.Config{Loops: 4, Workers: 256, AdminAddr: "127.0.0.1:3001"}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	cfg.MaxMemory, cfg.MaxWriteMemory = 0, 0 // it depends on the machine of the test
	f := &Facts{
		Config: cfg, PageSize: 4096, Cores: 4, Now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC),
		Synchronized: true, ClockKnown: true,
		Listeners: []Listener{{Flag: "listen-addr", Addr: ":3000"}, {Flag: "admin-addr", Addr: "127.0.0.1:3001"}},
	}
	f.readFiles(files(changed))
	for _, change := range adjust {
		change(f)
	}
	return f
}

// finding returns what a check says.
func finding(t *testing.T, r *Report, check string) Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("no finding about %s", check)
	return Finding{}
}

// expected is what a finding should be like.
type expected struct {
	status Status
	text   string // a part of it
	line   string // of its changes; "" for no changes
}

func (want expected) compare(t *testing.T, what string, got Finding) {
	t.Helper()
	lines := ""
	for _, change := range got.Change {
		lines += change.Where + ": " + change.Line + "\n"
	}
	if got.Status != want.status || !strings.Contains(got.Text, want.text) || !strings.Contains(lines, want.line) || (want.line == "") != (lines == "") {
		t.Errorf("%s: %s, %s: %s\n%swant %s, with %q and the line %q", what, got.Check, got.Status, got.Text, lines, want.status, want.text, want.line)
	}
}
