package doctor

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"wsify/auth"
	"wsify/broker"
)

func sysctl(name string, value any) map[string]string {
	return map[string]string{"proc/sys/" + name: fmt.Sprint(value)}
}

func TestQueuesBuffersAndTables(t *testing.T) {
	noCookies := func(backlog int) map[string]string {
		return map[string]string{"proc/sys/net/ipv4/tcp_syncookies": "0", "proc/sys/net/ipv4/tcp_max_syn_backlog": fmt.Sprint(backlog)}
	}
	inContainer := sysctl("net/core/somaxconn", 128)
	inContainer[".dockerenv"] = ""
	inPod := sysctl("net/core/somaxconn", 128)
	inPod["run/secrets/kubernetes.io"] = ""
	for _, tc := range []struct {
		check string
		files map[string]string
		asked int64
		want  expected
	}{
		{"accept queue", sysctl("net/core/somaxconn", 4096), 262_144, expected{OK, "4,096", ""}},
		{"accept queue", sysctl("net/core/somaxconn", 4095), 10, expected{Warning, "4,095", "net.core.somaxconn = 4096"}},
		{"accept queue", sysctl("net/core/somaxconn", 4096), 262_145, expected{Warning, "", "net.core.somaxconn = 8192"}},
		{"accept queue", sysctl("net/core/somaxconn", 8192), 524_288, expected{OK, "", ""}},
		{"accept queue", sysctl("net/core/somaxconn", 16383), 1_000_000, expected{Warning, "", "net.core.somaxconn = 16384"}},
		{"accept queue", sysctl("net/core/somaxconn", 16384), 9_000_000, expected{OK, "", ""}},
		{"accept queue", inContainer, 10, expected{Warning, "", "docker run: --sysctl net.core.somaxconn=4096"}},
		{"accept queue", inPod, 10, expected{Warning, "", `spec.securityContext.sysctls: - {name: net.core.somaxconn, value: "4096"}`}},
		{"SYN backlog", noCookies(4096), 10, expected{OK, "4,096 handshakes", ""}},
		{"SYN backlog", noCookies(4095), 10, expected{Warning, "no SYN cookies", "net.ipv4.tcp_max_syn_backlog = 4096"}},
		{"SYN backlog", sysctl("net/ipv4/tcp_max_syn_backlog", 128), 10, expected{OK, "no handshake is dropped", ""}},
		{"socket buffers", map[string]string{".dockerenv": "", "proc/sys/net/ipv4/tcp_wmem": "1 2 1048577"}, 100_000, expected{Warning, "", "--sysctl net.ipv4.tcp_wmem='4096 16384 262144'"}},
		{"descriptors", map[string]string{"etc/systemd/system/wsify.service": "LimitNOFILE=2000000", "proc/sys/fs/nr_open": "100408"}, 100_001, expected{Problem, "The hard limit is 100,408", "LimitNOFILE=110000"}},
		{"descriptors", map[string]string{"run/systemd/system": "-", "proc/self/limits": limits(1024)}, 10, expected{OK, "These need 384: fewer calls to the authorizer run at once.", ""}},
		{"tcp_mem", sysctl("net/ipv4/tcp_mem", "1 2 122071"), asked, expected{OK, "enough for 100,000", ""}},
		{"tcp_mem", sysctl("net/ipv4/tcp_mem", "1 2 122070"), asked, expected{Warning, "the kernel drops", "net.ipv4.tcp_mem = 74000 98000 130000"}},
		{"socket buffers", sysctl("net/ipv4/tcp_wmem", "1 2 1048576"), 100_000, expected{OK, "1 MiB (net.ipv4.tcp_wmem)", ""}},
		{"socket buffers", sysctl("net/ipv4/tcp_wmem", "1 2 1048577"), 100_000, expected{Warning, "vanish", "net.ipv4.tcp_wmem = 4096 16384 262144"}},
		{"socket buffers", sysctl("net/ipv4/tcp_wmem", "1 2 1048577"), 99_999, expected{OK, "", ""}},
		{"socket buffers", sysctl("net/ipv4/tcp_rmem", "1 262144 7000000"), 100_000, expected{OK, "256 KiB (net.ipv4.tcp_rmem)", ""}},
		{"socket buffers", sysctl("net/ipv4/tcp_rmem", "1 262145 7000000"), 100_000, expected{Warning, "", "net.ipv4.tcp_rmem = 4096 131072 7000000"}},
		{"conntrack", nil, asked, expected{OK, "No connection is tracked here", ""}},
		{"conntrack", sysctl("net/netfilter/nf_conntrack_max", 100_000), asked, expected{OK, "room for 100,000", ""}},
		{"conntrack", sysctl("net/netfilter/nf_conntrack_max", 99_999), asked, expected{Warning, "With a rule", "net.netfilter.nf_conntrack_max = 110000"}},
		{"ports", nil, 28_232, expected{OK, "there can be 28,232", ""}},
		{"ports", nil, 28_233, expected{OK, "need 2 pairs of addresses", ""}},
		{"systemd", map[string]string{"etc/systemd/system/wsify.service": "-"}, 523_880, expected{OK, "A service gets 524,288", ""}},
		{"systemd", map[string]string{"etc/systemd/system/wsify.service": "-"}, 523_881, expected{Warning, "not enough for 523,881", "LimitNOFILE=530000"}},
	} {
		r := Examine(facts(t, tc.files), tc.asked)
		tc.want.compare(t, fmt.Sprintf("%v, %d asked", tc.files, tc.asked), finding(t, r, tc.check))
	}
}

func TestWhatDependsOnTheServersSettings(t *testing.T) {
	const gib = 1 << 30
	limited := map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": fmt.Sprint(gib)}
	dockered := map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": fmt.Sprint(gib), ".dockerenv": ""}
	for name, tc := range map[string]struct {
		check  string
		files  map[string]string
		adjust func(*Facts)
		want   expected
	}{
		"a loop for each processor": {"processors", nil, func(*Facts) {}, expected{OK, "4 event loops have 4 processors.", ""}},
		"more loops":                {"processors", nil, func(f *Facts) { f.Cores = 3 }, expected{Warning, "only wait", "loops 3"}},
		"a quota that is enough":    {"processors", nil, func(f *Facts) { f.Quota = 3.5 }, expected{OK, "have 3.5 processors' time", ""}},
		"a smaller quota":           {"processors", nil, func(f *Facts) { f.Quota = 3 }, expected{Warning, "quota", "loops 3"}},

		"a unix socket":          {"ports", nil, func(f *Facts) { f.Config.ListenAddrs = []string{"unix:/run/x"} }, expected{OK, "needs no ports", ""}},
		"loopback by name":       {"ports", nil, func(f *Facts) { f.Config.ListenAddrs = []string{"localhost:3000"} }, expected{Problem, "so a proxy it is", "proxy_pass http://unix:/run/wsify/wsify.sock;"}},
		"loopback of IPv6":       {"ports", nil, func(f *Facts) { f.Config.ListenAddrs = []string{"[::1]:3000"} }, expected{Problem, "", "server wsify /run/wsify/wsify.sock"}},
		"loopback and a network": {"ports", nil, func(f *Facts) { f.Config.ListenAddrs = []string{"127.0.0.1:3000", "10.0.0.1:3000"} }, expected{OK, "there can be 28,232 connections", ""}},
		"loopback and a socket":  {"ports", nil, func(f *Facts) { f.Config.ListenAddrs = []string{"127.0.0.1:3000", "unix:/run/x"} }, expected{OK, "needs no ports", ""}},
		"from systemd":           {"ports", nil, func(f *Facts) { f.Config.ListenAddrs = []string{"fd://3"} }, expected{OK, "there can be 28,232 connections", ""}},
		"four of loopback": {"ports", nil, func(f *Facts) {
			f.Config.ListenAddrs = []string{"127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1", "[::1]:1"}
		}, expected{OK, "so a proxy it is", ""}},
		"no GOMEMLIMIT, no limit": {"GOMEMLIMIT", nil, func(*Facts) {}, expected{OK, "there is no limit", ""}},
		"no GOMEMLIMIT, a limit":  {"GOMEMLIMIT", limited, func(f *Facts) { f.Config.MaxMemory = gib }, expected{OK, "nine tenths of 1 GiB", ""}},
		"one that just fits":      {"GOMEMLIMIT", limited, func(f *Facts) { f.GoLimit = gib - asked*kernelIdle }, expected{OK, "leaves the kernel enough", ""}},
		"one byte more":           {"GOMEMLIMIT", limited, func(f *Facts) { f.GoLimit = gib - asked*kernelIdle + 1 }, expected{Warning, "beside it", "Environment=GOMEMLIMIT=580MiB"}},
		"the same in a container": {"GOMEMLIMIT", dockered, func(f *Facts) { f.GoLimit = gib }, expected{Warning, "", "docker run: --env GOMEMLIMIT=580MiB"}},
		"the same in a pod":       {"GOMEMLIMIT", limited, func(f *Facts) { f.GoLimit, f.Place = gib, Pod }, expected{Warning, "", `- {name: GOMEMLIMIT, value: "580MiB"}`}},
		"without systemd":         {"GOMEMLIMIT", limited, func(f *Facts) { f.GoLimit, f.Unit = gib, Unit{} }, expected{Warning, "", "wsify's environment: GOMEMLIMIT=580MiB"}},
		"the cgroup is too small": {"GOMEMLIMIT", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "67108864"}, func(f *Facts) { f.GoLimit = gib }, expected{Warning, "", "GOMEMLIMIT=57MiB"}},

		"a clock that is kept":   {"clock", nil, func(*Facts) {}, expected{OK, "Something keeps it right.", ""}},
		"one that is not":        {"clock", nil, func(f *Facts) { f.Synchronized = false }, expected{Warning, "nothing keeps it right", "timedatectl set-ntp true"}},
		"not in a container":     {"clock", map[string]string{".dockerenv": ""}, func(f *Facts) { f.Synchronized = false }, expected{Warning, "nothing keeps it right", ""}},
		"two seconds":            {"clock", nil, skewed(2 * time.Second), expected{Warning, "differs from the authorizer's by 2s", ""}},
		"almost two seconds":     {"clock", nil, skewed(-2*time.Second + 1), expected{OK, "", ""}},
		"a minute":               {"clock", nil, skewed(-time.Minute), expected{Problem, "by 1m0s. Times in its answers", ""}},
		"almost a minute":        {"clock", nil, skewed(time.Minute - 1), expected{Warning, "", ""}},
		"no difference":          {"clock", nil, skewed(0), expected{OK, "It agrees with the authorizer's.", ""}},
		"no Date, nothing known": {"authorizer", nil, func(f *Facts) { f.ClockKnown = false }, expected{OK, "There is none", ""}},

		"systemd's":              {"listen-addr", nil, listener(0, Passed, nil), expected{OK, "is opened by what starts wsify", ""}},
		"another program":        {"listen-addr", nil, listener(0, Taken, nil), expected{Problem, ":3000 is taken, and no wsify answers", ""}},
		"a wsify":                {"admin-addr", nil, listener(1, Ours, nil), expected{OK, "A wsify answers at 127.0.0.1:3001", ""}},
		"no right to":            {"listen-addr", nil, listener(0, Refused, syscall.EACCES), expected{Problem, "permission denied", "AmbientCapabilities=CAP_NET_BIND_SERVICE"}},
		"no right in containers": {"listen-addr", map[string]string{".dockerenv": ""}, listener(0, Refused, syscall.EACCES), expected{Problem, "", "--sysctl net.ipv4.ip_unprivileged_port_start=80"}},
		"no such address":        {"listen-addr", nil, listener(0, Refused, syscall.EADDRNOTAVAIL), expected{Problem, "cannot assign", ""}},
	} {
		tc.want.compare(t, name, finding(t, Examine(facts(t, tc.files, tc.adjust), asked), tc.check))
	}
}

// A proxy with few ports gets more of them, as long as these are enough.
func TestARangeOfPortsIsWidened(t *testing.T) {
	local := func(f *Facts) { f.Config.ListenAddrs = []string{"127.0.0.1:3000"} }
	for n, line := range map[int64]string{28_232: "", 28_233: "net.ipv4.ip_local_port_range = 1024 65535", 64_512: "net.ipv4.ip_local_port_range = 1024 65535", 64_513: "listen-addr unix:/run/wsify/wsify.sock"} {
		status := map[bool]Status{true: OK, false: Problem}[line == ""]
		expected{status, "so a proxy it is", line}.compare(t, fmt.Sprint(n), finding(t, Examine(facts(t, nil, local), n), "ports"))
	}
}

func skewed(by time.Duration) func(*Facts) {
	return func(f *Facts) {
		f.Authorizer = &auth.Examination{Dated: true, Skew: by, Decision: auth.Allow, Kept: true}
	}
}

func listener(at int, state State, err error) func(*Facts) {
	return func(f *Facts) { f.Listeners[at].State, f.Listeners[at].Err = state, err }
}

func TestAnswersOfAnAuthorizer(t *testing.T) {
	report := auth.Report{URL: "https://a.com/hook", Addr: "10.0.0.9:443", TLS: "TLS 1.3", Elapsed: 3 * time.Millisecond}
	fast := []time.Duration{9 * time.Millisecond, time.Millisecond, 2 * time.Millisecond}
	for name, tc := range map[string]struct {
		x    auth.Examination
		want expected
	}{
		"it allows":              {auth.Examination{Report: report, Decision: auth.Allow, Took: fast, Kept: true}, expected{OK, "allows a client without credentials to connect. It answers in 1ms, at most 2ms. 100,000 clients that reconnect at once are asked about in 391ms", ""}},
		"it refuses":             {auth.Examination{Report: report, Decision: auth.Deny, Cause: &auth.StatusError{Status: 403}, Took: fast, Kept: true}, expected{OK, "It refuses a client without credentials, with 403", ""}},
		"a page that moved":      {auth.Examination{Report: report, Decision: auth.Deny, Cause: &auth.StatusError{Status: 302}, Took: fast, Kept: true}, expected{Warning, "302, which counts as no", ""}},
		"no such page":           {auth.Examination{Report: report, Decision: auth.Deny, Cause: &auth.StatusError{Status: 404}, Took: fast, Kept: true}, expected{Warning, "404, which counts as no", ""}},
		"plain HTTP to TLS":      {auth.Examination{Report: report, Decision: auth.Deny, Cause: &auth.StatusError{Status: 400}, Hint: "it speaks TLS?", Took: fast, Kept: true}, expected{Problem, "400: it speaks TLS? It answers in", ""}},
		"it is down":             {auth.Examination{Report: report, Decision: auth.Down, Cause: &auth.StatusError{Status: 503}, Took: fast[:1]}, expected{Problem, "It is down: it answered 503 Service Unavailable.", ""}},
		"it is down, with hint":  {auth.Examination{Report: report, Decision: auth.Down, Cause: &auth.CallError{Result: auth.ResultReset}, Hint: "look there", Took: fast[:1]}, expected{Problem, "reset. look there.", ""}},
		"it closes":              {auth.Examination{Report: report, Decision: auth.Allow, Took: fast}, expected{Warning, "It closes connections after an answer", ""}},
		"250 ms":                 {auth.Examination{Report: report, Decision: auth.Allow, Took: []time.Duration{0, slowAnswer}, Kept: true}, expected{Warning, "That is slow", ""}},
		"almost 250 ms":          {auth.Examination{Report: report, Decision: auth.Allow, Took: []time.Duration{0, slowAnswer - 1}, Kept: true}, expected{OK, "", ""}},
		"once half the timeout":  {auth.Examination{Report: report, Decision: auth.Allow, Took: []time.Duration{0, 1, 1, 2500 * time.Millisecond}, Kept: true}, expected{Warning, "at most 2.5s", ""}},
		"unreachable":            {auth.Examination{Report: auth.Report{URL: "http://x/", Hint: "nothing listens on x:80"}, Err: errors.New("refused")}, expected{Problem, "http://x/ cannot be reached: nothing listens on x:80. refused.", ""}},
		"nothing at all":         {auth.Examination{Err: errors.New("no such file")}, expected{Problem, "no such file.", ""}},
		"two weeks are left":     {expiring(report, fast, lastWeeks), expected{OK, "Its certificate is valid until 2026-12-13", ""}},
		"a second less is left":  {expiring(report, fast, lastWeeks-time.Second), expected{Warning, "Its certificate expires on 2026-12-13", ""}},
		"its last day is over":   {expiring(report, fast, -time.Hour), expected{Warning, "expires on 2026-11-29", ""}},
		"only one question went": {auth.Examination{Report: report, Decision: auth.Allow, Took: fast[:1]}, expected{OK, "It answers in 9ms, at most 9ms", ""}},
	} {
		f := facts(t, nil, func(f *Facts) { f.Authorizer = &tc.x })
		tc.want.compare(t, name, finding(t, Examine(f, asked), "authorizer"))
	}
}

func expiring(report auth.Report, took []time.Duration, left time.Duration) auth.Examination {
	report.Expires = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC).Add(left)
	return auth.Examination{Report: report, Decision: auth.Allow, Took: took, Kept: true}
}

func TestWhatAnEngineLetsUsDo(t *testing.T) {
	waiting := func(hard, soft, seconds int) []broker.Server {
		return []broker.Server{{Addr: "r:6379", Version: "7.2.1", Waiting: &broker.Waiting{Hard: hard, Soft: soft, Seconds: seconds}}}
	}
	const mib = 1 << 20
	noPerm := errors.New("NOPERM")
	for name, tc := range map[string]struct {
		driver string
		err    error
		x      broker.Examination
		want   expected
	}{
		"all is well":          {"redis", nil, broker.Examination{Engine: "redis at r:6379", Servers: waiting(256*mib, 64*mib, 60), RoundTrip: time.Millisecond}, expected{OK, "redis at r:6379, version 7.2.1. A publication is back in 1ms. 256 MiB, or 64 MiB for 60 s, may wait for a node at r:6379.", ""}},
		"no limit":             {"redis", nil, broker.Examination{Servers: waiting(0, 0, 0)}, expected{OK, "Any number of bytes may wait", ""}},
		"64 MiB":               {"redis", nil, broker.Examination{Servers: waiting(64*mib, 0, 0)}, expected{OK, "64 MiB may wait", ""}},
		"a byte less":          {"redis", nil, broker.Examination{Servers: waiting(64*mib-1, 0, 0)}, expected{Warning, "what waited is lost", "redis-cli at r:6379, as a user that may CONFIG: CONFIG SET client-output-buffer-limit 'pubsub 256mb 64mb 60'"}},
		"little, for a minute": {"redis", nil, broker.Examination{Servers: waiting(64*mib, 8*mib, 60)}, expected{OK, "", ""}},
		"little, for less":     {"redis", nil, broker.Examination{Servers: waiting(64*mib, 8*mib, 59)}, expected{Warning, "8 MiB for 59 s", "CONFIG REWRITE"}},
		"NATS with little":     {"nats", nil, broker.Examination{Servers: waiting(8*mib, 0, 0)}, expected{Warning, "", "nats.conf: max_pending: 256MB"}},
		"a cluster": {"redis", nil, broker.Examination{Servers: slices.Concat(waiting(64*mib, 0, 0), waiting(64*mib, 0, 0), waiting(32*mib, 0, 0), waiting(64*mib, 0, 0), waiting(64*mib, 0, 0))}, expected{Warning,
			"64 MiB may wait for a node at r:6379, r:6379, r:6379 and 1 more. 32 MiB may wait for a node at r:6379. Beyond it", "CONFIG SET"}},
		"it does not say":        {"redis", nil, broker.Examination{Servers: []broker.Server{{Addr: "r:1", Version: "7"}}}, expected{OK, "It is not known how much may wait for a node at r:1.", ""}},
		"no server":              {"redis", nil, broker.Examination{Engine: "redis at r"}, expected{OK, "redis at r, version unknown.", ""}},
		"slow":                   {"redis", nil, broker.Examination{RoundTrip: slowAnswer}, expected{Warning, "That is slow", ""}},
		"not slow":               {"redis", nil, broker.Examination{RoundTrip: slowAnswer - 1}, expected{OK, "", ""}},
		"content that just fits": {"redis", nil, broker.Examination{MaxContent: 65536}, expected{OK, "", ""}},
		"a byte too large":       {"redis", nil, broker.Examination{MaxContent: 65535}, expected{Problem, "-max-message-size allows 64 KiB", "max-message-size 65535"}},
		"may not subscribe":      {"redis", nil, broker.Examination{Channel: "shop:x", Subscribe: noPerm}, expected{Problem, "wsify cannot subscribe to shop:x: NOPERM.", "ACL SETUSER ann '&shop:*' +hello"}},
		"may not publish":        {"nats", nil, broker.Examination{Channel: "shop:x", Publish: noPerm}, expected{Problem, "cannot publish to shop:x: NOPERM", `for the user ann: permissions: { publish: "shop:>", subscribe: "shop:>" }`}},
		"hears nothing":          {"redis", nil, broker.Examination{Channel: "shop:x", Deaf: noPerm}, expected{Problem, "cannot hear shop:x: NOPERM", ""}},
		"keeps no history":       {"redis", nil, broker.Examination{Channel: "shop:x", History: noPerm}, expected{Problem, "cannot keep history of shop:x: NOPERM", "ACL SETUSER ann '&shop:*' '~wsify:*' +hello"}},
		"no link":                {"redis", errors.New("dial\nrefused"), broker.Examination{}, expected{Problem, "There is no link to the engine: dial; refused.", ""}},
	} {
		f := facts(t, nil, func(f *Facts) {
			f.Broker, f.BrokerErr = &tc.x, tc.err
			f.Config.BrokerDriver, f.Config.BrokerDSN, f.Config.BrokerPrefix = tc.driver, tc.driver+"://ann:hunter2@r", "shop:"
			if tc.x.History != nil {
				f.Config.HistoryChannels = []string{"*"}
			}
		})
		tc.want.compare(t, name, finding(t, Examine(f, asked), "broker"))
	}
	expected{OK, "It is memory", ""}.compare(t, "no engine", finding(t, Examine(facts(t, nil), asked), "broker"))
}
