package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"wsify/auth"
	"wsify/broker"
	"wsify/internal/testtool"
)

// neglected is a machine on which nobody has set anything.
var neglected = map[string]string{
	"etc/systemd/system/wsify.service":          "[Service]\nExecStart=/usr/bin/wsify\n",
	"proc/meminfo":                              "MemTotal:       2097152 kB\nMemAvailable:   1572864 kB\n",
	"proc/sys/fs/nr_open":                       "1048576\n",
	"proc/sys/fs/file-max":                      "200000\n",
	"proc/sys/fs/epoll/max_user_watches":        "400000\n",
	"proc/sys/net/core/somaxconn":               "128\n",
	"proc/sys/net/ipv4/tcp_max_syn_backlog":     "128\n",
	"proc/sys/net/ipv4/tcp_syncookies":          "0\n",
	"proc/sys/net/ipv4/tcp_mem":                 "22000\t30000\t45000\n",
	"proc/sys/net/ipv4/tcp_wmem":                "4096\t16384\t4194304\n",
	"proc/sys/net/netfilter/nf_conntrack_max":   "65536\n",
	"proc/sys/net/netfilter/nf_conntrack_count": "1200\n",
}

// contained is a container with 2 GiB and one processor and a half.
var contained = map[string]string{
	".dockerenv":                            "",
	"run/systemd/system":                    "-",
	"etc/systemd/system/wsify.service":      "-",
	"proc/self/limits":                      "Max open files            1048576              1048576              files     \n",
	"proc/self/cgroup":                      "0::/\n",
	"proc/sys/net/core/somaxconn":           "4096\n",
	"proc/sys/net/ipv4/tcp_mem":             "-",
	"proc/sys/fs/file-nr":                   "2000\t0\t9223372036854775807\n",
	"sys/fs/cgroup/memory.max":              "2147483648\n",
	"sys/fs/cgroup/memory.current":          "104857600\n",
	"sys/fs/cgroup/cpu.max":                 "150000 100000\n",
	"proc/sys/net/ipv4/tcp_max_syn_backlog": "4096\n",
}

// usual is a server of 8 GiB on the day of its installation.
var usual = map[string]string{
	"etc/systemd/system/wsify.service":   "-",
	"proc/self/limits":                   "Max open files            1024                 524288               files     \n",
	"proc/meminfo":                       "MemTotal:       8388608 kB\nMemAvailable:   7549747 kB\n",
	"proc/sys/fs/nr_open":                "1048576\n",
	"proc/sys/fs/epoll/max_user_watches": "1800000\n",
	"proc/sys/net/core/somaxconn":        "4096\n",
	"proc/sys/net/ipv4/tcp_mem":          "94000\t126000\t188000\n",
	"proc/sys/net/ipv4/tcp_wmem":         "4096\t16384\t4194304\n",
}

func wellConnected(f *Facts) {
	f.Authorizer = &auth.Examination{
		Report:   auth.Report{URL: "https://app.example.com/wsify", Addr: "10.0.0.7:443", TLS: "TLS 1.3", Elapsed: 4200 * time.Microsecond, Expires: f.Now.AddDate(0, 2, 0)},
		Decision: auth.Deny, Cause: &auth.StatusError{Status: 403}, Took: []time.Duration{5 * time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond}, Kept: true, Dated: true,
	}
	f.Config.BrokerDriver, f.Config.BrokerDSN, f.Config.BrokerPrefix = "redis", "redis://wsify:hunter2@redis:6379", "shop:"
	f.Broker = &broker.Examination{Engine: "redis at redis:6379", RoundTrip: 400 * time.Microsecond, MaxContent: 512 << 20,
		Servers: []broker.Server{{Addr: "redis:6379", Version: "7.4.2", Waiting: &broker.Waiting{Hard: 256 << 20, Soft: 64 << 20, Seconds: 60}}}}
}

func badlyConnected(f *Facts) {
	wellConnected(f)
	f.Authorizer.Decision, f.Authorizer.Cause, f.Authorizer.Took, f.Authorizer.Kept = auth.Down, &auth.StatusError{Status: 502}, f.Authorizer.Took[:1], false
	f.Authorizer.Skew, f.Synchronized = -time.Hour, false
	f.Broker.Channel, f.Broker.Subscribe, f.Broker.RoundTrip = "shop:wsify-doctor-X", errors.New("NOPERM this user has no permissions"), 0
	f.Broker.Servers[0].Waiting = &broker.Waiting{Hard: 32 << 20, Soft: 8 << 20, Seconds: 60}
	f.Cores = 2
	f.Listeners[0].State, f.Listeners[1].State = Taken, Ours
}

// A run as a whole reads as these files.
func TestWholeReportsAreWhatTheGoldenFilesHave(t *testing.T) {
	for name, tc := range map[string]struct {
		files  map[string]string
		adjust func(*Facts)
		asked  int64
		status Status
	}{
		"good":      {nil, wellConnected, 1_000_000, OK},
		"neglected": {neglected, badlyConnected, 500_000, Problem},
		"usual":     {usual, func(f *Facts) { wellConnected(f); f.Config.BrokerDriver, f.Broker = "memory", nil }, 1_000_000, Problem},
		"possible":  {neglected, func(*Facts) {}, 0, Warning},
		"container": {contained, func(f *Facts) { wellConnected(f); f.Config.MaxMemory, f.Config.MaxWriteMemory = 2<<30, 512<<20 }, 200_000, Warning},
	} {
		r := Examine(facts(t, tc.files, tc.adjust), tc.asked)
		var text, structured bytes.Buffer
		if err := errors.Join(r.WriteText(&text, false), r.WriteJSON(&structured)); err != nil || r.Status() != tc.status {
			t.Errorf("%s: %v, %s, want %s", name, err, r.Status(), tc.status)
		}
		golden(t, name+".txt", text.Bytes())
		golden(t, name+".json", structured.Bytes())
		if strings.Contains(text.String()+structured.String(), "hunter2") {
			t.Errorf("%s: there is a password in it", name)
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *testtool.Update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; when that is meant, run make update and look at the difference", path)
	}
}

func TestEveryLineOfTheTextFitsAndOnlyColoursDiffer(t *testing.T) {
	r := Examine(facts(t, neglected, badlyConnected), 500_000)
	var plainText, coloured bytes.Buffer
	if err := errors.Join(r.WriteText(&plainText, false), r.WriteText(&coloured, true)); err != nil {
		t.Fatal(err)
	}
	checks, _, _ := strings.Cut(plainText.String(), "\n\n")
	for line := range strings.Lines(checks) {
		if len(line) > width+1 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
	without := strings.NewReplacer(colours[OK], "", colours[Warning], "", colours[Problem], "", plain, "").Replace(coloured.String())
	if without != plainText.String() || strings.Count(coloured.String(), colours[Problem]) != strings.Count(plainText.String(), "\nproblem ") {
		t.Errorf("with colours:\n%q", coloured.String())
	}
}

// A program can rely on these members.
func TestTheMembersOfTheJSON(t *testing.T) {
	var out bytes.Buffer
	if err := Examine(facts(t, neglected, badlyConnected), 500_000).WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Status       string
		Asked, Holds int64
		Bounds       []struct {
			Check       string
			Connections int64
		}
		Checks []struct {
			Check, Status, Text string
			Connections         *int64
		}
		Unseen  []string
		Changes []struct {
			Where string
			Lines []string
		}
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Status != "problem" || got.Asked != 500_000 || got.Holds != got.Bounds[0].Connections || len(got.Bounds) < 2 || got.Unseen == nil || len(got.Changes) == 0 ||
		got.Checks[0].Check != "descriptors" || *got.Checks[0].Connections == 0 || got.Checks[len(got.Checks)-1].Connections != nil {
		t.Errorf("%+v", got)
	}
}

// sample matches the block in docs/operating.md that is a golden file.
var sample = regexp.MustCompile("(?s)(<!-- doctor: [^\n]*-->\n```\n)(.*?)(```\n)")

func TestThePageShowsAWholeReport(t *testing.T) {
	const path = "../../docs/operating.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/usual.txt")
	if err != nil {
		t.Fatal(err)
	}
	found := sample.FindSubmatchIndex(page)
	if found == nil {
		t.Fatal("docs/operating.md has no place for a report")
	}
	if got := page[found[4]:found[5]]; *testtool.Update {
		if err := os.WriteFile(path, slices.Concat(page[:found[4]], want, page[found[5]:]), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(got, want) {
		t.Error("docs/operating.md shows another report than testdata/usual.txt; make update writes it")
	}
}
