package doctor

import (
	"maps"
	"reflect"
	"testing"
	"testing/fstest"
	"time"
)

func TestTheFilesOfAMachineAreRead(t *testing.T) {
	var got Facts
	got.readFiles(files(map[string]string{
		"proc/sys/net/netfilter/nf_conntrack_max": "262144\n", "proc/sys/net/netfilter/nf_conntrack_count": "7\n", "sys/fs/cgroup/cpu.max": "150000 100000\n",
		"sys/fs/cgroup/memory.max": "1073741824\n", "sys/fs/cgroup/memory.current": "5000\n",
	}))
	want := Facts{
		Files: Range{1024, 1_100_000}, Unit: Unit{Systemd: true, Path: "/etc/systemd/system/wsify.service", Files: 1_100_000, Own: true},
		NrOpen: 1_200_000, Opened: 2000, FileMax: unlimited, Watch: 3_600_000,
		Somaxconn: 16384, SynBacklog: 16384, SynCookies: true, Ports: Range{32768, 60999},
		TCPMemory: Triple{750_000, 1_000_000, 1_300_000}, Receive: Triple{4096, 131072, 6291456}, Send: Triple{4096, 16384, 262144},
		Tracking: 262144, Tracked: 7, Memory: 16 << 30, Available: 14 << 30, Quota: 1.5,
	}
	want.Cgroup.Version, want.Cgroup.Path, want.Cgroup.Limit, want.Cgroup.Used = 2, "/", 1<<30, 5000
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func TestWhatIsNotThereIsZero(t *testing.T) {
	var got Facts
	got.readFiles(fstest.MapFS{})
	if !reflect.DeepEqual(got, Facts{}) {
		t.Errorf("%+v", got)
	}
}

func TestThePlaceIsFoundByWhatEnginesLeave(t *testing.T) {
	for file, want := range map[string]Place{
		"run/secrets/kubernetes.io/serviceaccount/token": Pod, "var/run/secrets/kubernetes.io/serviceaccount/token": Pod,
		".dockerenv": Container, "run/.containerenv": Container, "etc/passwd": Host,
	} {
		if got := (reader{fstest.MapFS{file: {}, ".dockerenv.d": {}}}).place(); got != want {
			t.Errorf("%s: %d, want %d", file, got, want)
		}
	}
}

func TestAContainerHasLayers(t *testing.T) {
	for text, want := range map[string]Place{
		"1204 1099 0:155 / / rw,relatime - overlay overlay rw,lowerdir=/x\n1205 1204 0:158 / /proc rw - proc proc rw\n": Container,
		"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n90 22 0:40 / /var/x rw - overlay overlay rw\n":          Host,
		"": Host, " - overlay ": Host, "1 2 3 / /": Host,
	} {
		if got := (reader{fstest.MapFS{"proc/self/mountinfo": {Data: []byte(text)}}}).place(); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestTheLimitThatSystemdGives(t *testing.T) {
	const etc, usr = "etc/systemd/system/wsify.service", "usr/lib/systemd/system/wsify.service"
	for name, tc := range map[string]struct {
		files map[string]string
		want  Unit
	}{
		"no unit":               {nil, Unit{Files: 524288}},
		"its default":           {map[string]string{"etc/systemd/system.conf": "[Manager]\nDefaultLimitNOFILE=1024:70000\n"}, Unit{Files: 70000}},
		"a drop-in's default":   {map[string]string{"etc/systemd/system.conf": "DefaultLimitNOFILE=1", "etc/systemd/system.conf.d/50-x.conf": "DefaultLimitNOFILE = 80000"}, Unit{Files: 80000}},
		"a comment":             {map[string]string{"etc/systemd/system.conf": "#DefaultLimitNOFILE=1\n; DefaultLimitNOFILE=2"}, Unit{Files: 524288}},
		"a unit without":        {map[string]string{usr: "[Service]\nExecStart=/usr/bin/wsify"}, Unit{Path: "/" + usr, Files: 524288}},
		"a unit with":           {map[string]string{usr: "LimitNOFILE=90000"}, Unit{Path: "/" + usr, Files: 90000, Own: true}},
		"soft and hard":         {map[string]string{usr: "LimitNOFILE=5:90000"}, Unit{Path: "/" + usr, Files: 90000, Own: true}},
		"infinity":              {map[string]string{usr: "LimitNOFILE=infinity"}, Unit{Path: "/" + usr, Files: unlimited, Own: true}},
		"the last counts":       {map[string]string{usr: "LimitNOFILE=1\nLimitNOFILE=90000"}, Unit{Path: "/" + usr, Files: 90000, Own: true}},
		"the one in etc":        {map[string]string{usr: "LimitNOFILE=1", etc: "LimitNOFILE=2"}, Unit{Path: "/" + etc, Files: 2, Own: true}},
		"which has none":        {map[string]string{usr: "LimitNOFILE=1", etc: ""}, Unit{Path: "/" + etc, Files: 524288}},
		"a drop-in":             {map[string]string{usr: "LimitNOFILE=1", etc + ".d/a.conf": "LimitNOFILE=3"}, Unit{Path: "/" + usr, Files: 3, Own: true}},
		"drop-ins by name":      {map[string]string{usr: "", etc + ".d/a.conf": "LimitNOFILE=3", usr + ".d/b.conf": "LimitNOFILE=4"}, Unit{Path: "/" + usr, Files: 4, Own: true}},
		"a drop-in is hidden":   {map[string]string{usr: "", etc + ".d/b.conf": "LimitNOFILE=3", usr + ".d/b.conf": "LimitNOFILE=4"}, Unit{Path: "/" + usr, Files: 3, Own: true}},
		"a drop-in without":     {map[string]string{usr: "LimitNOFILE=5", etc + ".d/b.conf": "[Service]\n"}, Unit{Path: "/" + usr, Files: 5, Own: true}},
		"not a number":          {map[string]string{usr: "LimitNOFILE=5k"}, Unit{Path: "/" + usr, Files: 524288}},
		"inside of the service": {map[string]string{"proc/self/cgroup": "0::/system.slice/wsify.service\n"}, Unit{Files: 524288, Inside: true}},
	} {
		all := map[string]string{"run/systemd/system": ""}
		maps.Copy(all, tc.files)
		root := fstest.MapFS{}
		for path, text := range all {
			root[path] = &fstest.MapFile{Data: []byte(text)}
		}
		tc.want.Systemd = true
		if got := (reader{root}).unit(); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestNumbersAndUnits(t *testing.T) {
	for word, want := range map[string]int64{"0": 0, "18446744073709551615": unlimited, "unlimited": unlimited, "infinity": unlimited, "42": 42} {
		if got, ok := number(word); got != want || !ok {
			t.Errorf("number(%s) = %d, %t", word, got, ok)
		}
	}
	for _, word := range []string{"", "-1", "18446744073709551616", "1.5", "max"} {
		if got, ok := number(word); ok {
			t.Errorf("number(%q) = %d", word, got)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", unlimited: "any number of"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1024: "1 KiB", 1536: "1.5 KiB", 10 << 20: "10 MiB", 1023 << 20: "1023 MiB", 5 << 30: "5 GiB", 100<<30 + 1<<29: "100 GiB", 3 << 50: "3072 TiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]int64{0: 0, 99: 99, 100: 100, 101: 110, 1000: 1000, 1001: 1100, 999_999: 1_000_000, 1_048_576: 1_100_000} {
		if got := roundUp(n); got != want {
			t.Errorf("roundUp(%d) = %d, want %d", n, got, want)
		}
	}
	for d, want := range map[int64]string{0: "0s", 1234: "0s", 56789: "60us", 1234567: "1.2ms", 12345678: "12ms", 1234567890: "1.2s", 123456789000: "2m3s"} {
		if got := rounded(time.Duration(d)); got != want {
			t.Errorf("rounded(%d) = %s, want %s", d, got, want)
		}
	}
}

// Whatever the files say, there are facts without negative numbers, and a report of them.
func FuzzWhateverTheFilesSay(f *testing.F) {
	names := []string{
		"proc/self/limits", "proc/self/cgroup", "proc/meminfo", "proc/sys/fs/nr_open", "proc/sys/fs/file-nr", "proc/sys/fs/file-max",
		"proc/sys/net/ipv4/tcp_mem", "proc/sys/net/ipv4/ip_local_port_range", "proc/sys/net/netfilter/nf_conntrack_count",
		"etc/systemd/system/wsify.service", "sys/fs/cgroup/memory.max", "sys/fs/cgroup/cpu.max",
	}
	for i, name := range names {
		f.Add(i, machine[name])
	}
	for i, text := range []string{"Max open files", "Max open files -1 9999999999999999999999 files", "0::", "MemTotal: kB", "1\x002", "60999 32768", "LimitNOFILE=:\nLimitNOFILE=0"} {
		f.Add(i%len(names), text)
	}
	f.Fuzz(func(t *testing.T, at int, text string) {
		name := names[uint(at)%uint(len(names))]
		got := facts(t, map[string]string{name: text, "proc/sys/net/netfilter/nf_conntrack_max": "1000"})
		for _, n := range []int64{got.Files.Low, got.Files.High, got.Unit.Files, got.NrOpen, got.Opened, got.FileMax, got.TCPMemory.High, got.Tracked, got.Memory, got.Available} {
			if n < 0 || n > unlimited {
				t.Fatalf("%s is %q: %+v", name, text, got)
			}
		}
		for _, asked := range []int64{0, 1, 1_000_000_000} {
			r := Examine(got, asked)
			for _, bound := range r.Bounds() {
				if bound.Holds < 0 {
					t.Fatalf("%s is %q: %+v", name, text, bound)
				}
			}
			var text discard
			if r.WriteText(&text, false) != nil || r.WriteJSON(&text) != nil || text == 0 {
				t.Fatal("there is no report")
			}
		}
	})
}

// discard counts what is written.
type discard int

func (d *discard) Write(p []byte) (int, error) {
	*d += discard(len(p))
	return len(p), nil
}
