package doctor

import (
	"fmt"
	"slices"
	"testing"
)

const asked = 100_000

func TestTheSoftLimitIsNoBound(t *testing.T) {
	f := finding(t, Examine(facts(t, map[string]string{".dockerenv": ""}), asked), "descriptors")
	expected{OK, "The hard limit is 1,100,000, that of this process (wsify raises the soft limit, 1,024, to it)", ""}.compare(t, "1024", f)
}

func limits(n int) string { return fmt.Sprintf("Max open files  %[1]d  %[1]d  files\n", n) }

// Each bound holds what was asked at its limit, and not one below: then it says what to change.
func TestEachBoundIsExact(t *testing.T) {
	const (
		loops  = 4
		own    = 2*loops + 16
		kept   = 256 + 64 + 64
		noUnit = "etc/systemd/system/wsify.service"
	)
	for _, tc := range []struct {
		name, check string
		files       func(n int) map[string]string
		at          int
		line        string
		adjust      func(*Facts)
	}{
		{"this process", "descriptors", func(n int) map[string]string {
			return map[string]string{noUnit: "-", "proc/self/limits": limits(n)}
		}, asked + own + kept, "LimitNOFILE=110000", nil},
		{"without systemd", "descriptors", func(n int) map[string]string {
			return map[string]string{"run/systemd/system": "-", "proc/self/limits": limits(n)}
		}, asked + own + kept, "ulimit -n 110000", nil},
		{"the unit", "descriptors", func(n int) map[string]string {
			return map[string]string{noUnit: fmt.Sprintf("LimitNOFILE=%d", n), "proc/self/limits": limits(5)}
		}, asked + own + kept, "LimitNOFILE=110000", nil},
		{"the unit is this process", "descriptors", func(n int) map[string]string {
			return map[string]string{"proc/self/cgroup": "0::/system.slice/wsify.service\n", "proc/self/limits": limits(n)}
		}, asked + own + kept, "LimitNOFILE=110000", nil},
		{"a container", "descriptors", func(n int) map[string]string {
			return map[string]string{".dockerenv": "", "proc/self/limits": limits(n)}
		}, asked + own + kept, "docker run: --ulimit nofile=110000:110000", nil},
		{"a pod", "descriptors", func(n int) map[string]string {
			return map[string]string{"run/secrets/kubernetes.io": "", "proc/self/limits": limits(n)}
		}, asked + own + kept, "containerd.service, then restart it: LimitNOFILE=110000", nil},
		{"the kernel", "fs.nr_open", func(n int) map[string]string {
			return map[string]string{"proc/sys/fs/nr_open": fmt.Sprint(n)}
		}, asked + own + kept, "/etc/sysctl.d/91-wsify.conf, then run sysctl --system: fs.nr_open = 110000", nil},
		{"all processes", "fs.file-max", func(n int) map[string]string {
			return map[string]string{"proc/sys/fs/file-max": fmt.Sprint(n)}
		}, asked + own + 2000, "fs.file-max = 120000", nil},
		{"watches", "epoll watches", func(n int) map[string]string {
			return map[string]string{"proc/sys/fs/epoll/max_user_watches": fmt.Sprint(n)}
		}, asked + own, "fs.epoll.max_user_watches = 110000", nil},
		{"watches of the host", "epoll watches", func(n int) map[string]string {
			return map[string]string{".dockerenv": "", "proc/sys/fs/epoll/max_user_watches": fmt.Sprint(n)}
		}, asked + own, "on the host: /etc/sysctl.d/91-wsify.conf, then run sysctl --system: fs.epoll", nil},
		{"a control group in a container", "memory", func(n int) map[string]string {
			return map[string]string{".dockerenv": "", "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": fmt.Sprint(n + 1000), "sys/fs/cgroup/memory.current": "1000"}
		}, 678_811_818, "docker run: --memory 650m", nil},
		{"a control group of a service", "memory", func(n int) map[string]string {
			return map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": fmt.Sprint(n)}
		}, 678_811_818, "MemoryMax=650M", nil},
		{"a control group of a pod", "memory", func(n int) map[string]string {
			return map[string]string{"run/secrets/kubernetes.io": "", "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": fmt.Sprint(n)}
		}, 678_811_818, "resources.limits: memory: 650Mi", nil},
		{"with -max-write-memory", "memory", func(n int) map[string]string {
			return map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": fmt.Sprint(n)}
		}, asked*4420 + processBase + 80_000_000, "MemoryMax=650M", func(f *Facts) { f.Config.MaxWriteMemory = 80_000_000 }},
		{"with an engine", "memory", func(n int) map[string]string {
			return map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": fmt.Sprint(n)}
		}, asked*4530 + processBase + 80_000_000, "MemoryMax=670M", func(f *Facts) { f.Config.MaxWriteMemory, f.Config.BrokerDriver = 80_000_000, "redis" }},
		{"the last tenth is not used", "memory", func(n int) map[string]string {
			return map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": fmt.Sprint(n)}
		}, 565_676_515, "MemoryMax=650M", func(f *Facts) { f.Config.MaxWriteMemory = 1 }},
		{"tracked connections", "conntrack", func(n int) map[string]string {
			return map[string]string{"proc/sys/net/netfilter/nf_conntrack_max": fmt.Sprint(n), "proc/sys/net/netfilter/nf_conntrack_count": "500"}
		}, asked + 500, "net.netfilter.nf_conntrack_max = 120000", nil},
		{"ports to loopback", "ports", func(n int) map[string]string {
			return map[string]string{"proc/sys/net/ipv4/ip_local_port_range": fmt.Sprintf("1 %d", n)}
		}, asked, "listen-addr unix:/run/wsify/wsify.sock", func(f *Facts) { f.Config.ListenAddrs = []string{"127.0.0.1:3000"} }},
	} {
		adjust := tc.adjust
		if adjust == nil {
			adjust = func(*Facts) {}
		}
		at := finding(t, Examine(facts(t, tc.files(tc.at), adjust), asked), tc.check)
		if at.Status == Problem || at.Holds != asked || len(at.Change) != 0 {
			t.Errorf("%s, at the limit: %+v, want exactly %d connections and no change", tc.name, at, asked)
		}
		report := Examine(facts(t, tc.files(tc.at-1), adjust), asked)
		below := finding(t, report, tc.check)
		expected{Problem, "", tc.line}.compare(t, tc.name+", one below", below)
		if below.Holds != asked-1 || report.Status() != Problem {
			t.Errorf("%s, one below: it holds %d, and the report is %s", tc.name, below.Holds, report.Status())
		}
		if one := finding(t, Examine(facts(t, tc.files(tc.at-1), adjust), asked-1), tc.check); one.Status == Problem {
			t.Errorf("%s: one less is asked: %+v", tc.name, one)
		}
	}
}

func TestMemoryOfTheMachine(t *testing.T) {
	for kilobytes, want := range map[int]Status{662_903: Warning, 662_902: Problem, 985_457: Warning, 985_458: OK} { // at once: 937 MB and the base
		got := finding(t, Examine(facts(t, map[string]string{"proc/meminfo": fmt.Sprintf("MemTotal: 9999999 kB\nMemAvailable:  %d kB\n", kilobytes)}), asked), "memory")
		expected{status: want, text: "when everybody is sent to at once", line: map[bool]string{true: "the machine: 647 MiB of memory"}[want == Problem]}.compare(t, fmt.Sprint(kilobytes, " kB"), got)
	}
}

// The limit that a file is to get holds what was asked.
func TestTheLimitOfDescriptorsThatIsAdvisedIsEnough(t *testing.T) {
	c := &checker{Facts: facts(t, nil), report: &Report{}}
	for _, n := range []int64{1, 10, 100, 999, 1000, 1140, 10_000, 99_999, 100_000, 1_000_000, 5_000_000} {
		limit := c.filesFor(n)
		if held := c.held(limit); held < n || held > n*2+100 {
			t.Errorf("for %d connections a limit of %d, which holds %d", n, limit, held)
		}
	}
	c.NrOpen = 1_048_576
	if limit := c.filesFor(1_000_000); limit != c.NrOpen {
		t.Errorf("fs.nr_open is enough for a million, and %d is advised", limit)
	}
	if limit := c.filesFor(1_048_500); limit != 1_100_000 {
		t.Errorf("fs.nr_open is not enough, and %d is advised", limit)
	}
}

func TestWithoutANumberTheReportSaysWhatHoldsAndWhatWouldBePossible(t *testing.T) {
	r := Examine(facts(t, map[string]string{"proc/self/limits": limits(20_000), "etc/systemd/system/wsify.service": "-"}), 0)
	bounds := r.Bounds()
	if r.Holds() != 20_000-384-24 || bounds[0].Check != "descriptors" || bounds[1].Check != "fs.nr_open" || r.Status() != OK {
		t.Errorf("it holds %d, %s, bounds %+v", r.Holds(), r.Status(), bounds)
	}
	expected{OK, "", "LimitNOFILE=1100000"}.compare(t, "descriptors", bounds[0])
	r = Examine(facts(t, map[string]string{"proc/meminfo": "MemTotal: 1048576 kB\nMemAvailable: 1048576 kB\n"}), 0)
	if r.Bounds()[0].Check != "memory" || r.Target != r.Holds() || len(r.places()) != 0 {
		t.Errorf("with 1 GiB: %d of %d, %+v", r.Holds(), r.Target, r.places())
	}
}

func TestWhatCannotBeReadIsNamedAndIsNoBound(t *testing.T) {
	f := facts(t, nil)
	*f = Facts{Config: f.Config, Cores: f.Cores}
	r := Examine(f, 0)
	if r.Holds() != noBound || len(r.Unseen) != 11 || r.Status() != OK {
		t.Errorf("nothing is known: it holds %d, %s, unseen are %d: %q", r.Holds(), r.Status(), len(r.Unseen), r.Unseen)
	}
}

func TestClientsOfAnUnknownProxyCountTogether(t *testing.T) {
	behind := func(change func(*Facts)) *Report {
		return Examine(facts(t, map[string]string{"proc/sys/net/ipv4/ip_local_port_range": "1 65535"}, func(f *Facts) {
			f.Config.ListenAddrs, f.Config.MaxConnectionsPerAddress = []string{"127.0.0.1:3000"}, 1000
			change(f)
		}), 1001)
	}
	expected{Problem, "counts them together", "trusted-proxies 127.0.0.0/8,::1"}.compare(t, "one too many", finding(t, behind(func(*Facts) {}), "per address"))
	expected{OK, "counts them together", ""}.compare(t, "just enough", finding(t, behind(func(f *Facts) { f.Config.MaxConnectionsPerAddress = 1001 }), "per address"))
	for name, known := range map[string]func(*Facts){
		"trusted":        func(f *Facts) { f.Config.TrustedProxies = []string{"127.0.0.1"} },
		"PROXY":          func(f *Facts) { f.Config.ProxyProtocol = "required" },
		"a network":      func(f *Facts) { f.Config.ListenAddrs = []string{":3000"} },
		"a unix socket":  func(f *Facts) { f.Config.ListenAddrs = []string{"unix:/run/x"} },
		"no such limit":  func(f *Facts) { f.Config.MaxConnectionsPerAddress = 0 },
		"PROXY and list": func(f *Facts) { f.Config.ProxyProtocol, f.Config.TrustedProxies = "optional", []string{"127.0.0.1"} },
	} {
		if r := behind(known); slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Check == "per address" }) || r.Status() == Problem {
			t.Errorf("%s: %+v", name, r.Bounds())
		}
	}
}

func TestTheServersOwnLimitIsABound(t *testing.T) {
	most := func(f *Facts) { f.Config.MaxConnections = asked }
	at := finding(t, Examine(facts(t, nil, most), asked), "max-connections")
	if at.Status != OK || at.Holds != asked || len(at.Change) != 0 {
		t.Errorf("%+v", at)
	}
	expected{Problem, "refuses more", "max-connections 100001"}.compare(t, "one more", finding(t, Examine(facts(t, nil, most), asked+1), "max-connections"))
}

func TestTheProcessOwnLimitOfMemory(t *testing.T) {
	const exact = (asked*450 + processBase) * 10 / 9 // nine tenths are enough
	for name, tc := range map[string]struct {
		adjust func(*Facts)
		want   expected
		holds  int64
	}{
		"enough":      {func(f *Facts) { f.Config.MaxMemory = exact + 1 }, expected{OK, "from nine tenths on", ""}, asked},
		"too little":  {func(f *Facts) { f.Config.MaxMemory = exact - 1 }, expected{Problem, "", "wsify's settings (-config): max-memory 150MiB"}, asked - 1},
		"GOMEMLIMIT":  {func(f *Facts) { f.Config.MaxMemory, f.GoLimit = exact-1, exact-1 }, expected{Problem, "", "Environment=GOMEMLIMIT=150MiB"}, asked - 1},
		"much waits":  {func(f *Facts) { f.Config.MaxMemory, f.Config.MaxWriteMemory = exact+1, exact/4 }, expected{Problem, "", "max-memory 150MiB"}, 58_478},
		"almost none": {func(f *Facts) { f.Config.MaxMemory = 1 << 20 }, expected{Problem, "", "max-memory 150MiB"}, 0},
	} {
		f := finding(t, Examine(facts(t, nil, tc.adjust), asked), "max-memory")
		tc.want.compare(t, name, f)
		if f.Holds != tc.holds {
			t.Errorf("%s: it holds %d, want %d", name, f.Holds, tc.holds)
		}
	}
	same := facts(t, map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1000000"}, func(f *Facts) { f.Config.MaxMemory = 1000000 })
	if slices.ContainsFunc(Examine(same, asked).Findings, func(f Finding) bool { return f.Check == "max-memory" }) {
		t.Error("the limit of the control group is looked at twice")
	}
}
