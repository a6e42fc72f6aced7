package server

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"wsify/internal/cgroup"
	"wsify/internal/testtool"
)

func TestTheNearerLimitOfMemoryCounts(t *testing.T) {
	page := int64(os.Getpagesize())
	machine := func(resident, shared, limit, current, inactive int) fstest.MapFS {
		file := func(format string, values ...any) *fstest.MapFile {
			return &fstest.MapFile{Data: fmt.Appendf(nil, format, values...)}
		}
		fs := fstest.MapFS{
			"proc/self/statm":                   file("90000 %d %d 1 0 1 0\n", resident, shared),
			"proc/self/cgroup":                  file("0::/a\n"),
			"sys/fs/cgroup/a/memory.current":    file("%d\n", current),
			"sys/fs/cgroup/a/memory.stat":       file("anon 1\ninactive_file %d\n", inactive),
			"sys/fs/cgroup/a/memory.swap.max":   file("max\n"),
			"sys/fs/cgroup/a/cgroup.controller": file("memory\n"),
		}
		if limit > 0 {
			fs["sys/fs/cgroup/a/memory.max"] = file("%d\n", limit)
		}
		return fs
	}
	for name, c := range map[string]struct {
		root        fstest.MapFS
		most        int64
		used, limit int64
	}{
		"no cgroup":                       {machine(500, 100, 0, 0, 0), 1000 * page, 400 * page, 1000 * page},
		"the cgroup's is nearer":          {machine(500, 100, 1_000_000, 950_000, 50_000), 1000 * page, 900_000, 1_000_000},
		"the process's is nearer":         {machine(1050, 100, 1_000_000, 950_000, 50_000), 1000 * page, 950 * page, 1000 * page},
		"files that can be dropped":       {machine(500, 100, 1_000_000, 950_000, 900_000), 1000 * page, 400 * page, 1000 * page},
		"nothing can be read of the file": {fstest.MapFS{}, 1000, 0, 1000},
	} {
		if used, limit := nearest(c.root, c.most); used != c.used || limit != c.limit {
			t.Errorf("%s: %d of %d, want %d of %d", name, used, limit, c.used, c.limit)
		}
	}
}

func TestTheMeterReadsTheMemoryOfThisProcess(t *testing.T) {
	read := (&Config{MaxMemory: 1 << 50}).memoryMeter()
	before, limit := read()
	ballast := bytes.Repeat([]byte{1}, 64<<20)
	after, _ := read()
	if group := cgroup.FullestMemory(os.DirFS("/")).Limit; group == 0 && limit != 1<<50 || before < 1<<20 || after-before < 48<<20 {
		t.Errorf("%d, and %d with 64 MiB more, of %d", before, after, limit)
	}
	ballast[0] = 0
	if (&Config{}).memoryMeter() != nil {
		t.Error("without a limit there is a meter")
	}
}

// makeGroup makes a control group whose memory is limited, or skips the test.
func makeGroup(t *testing.T, limit int) (dir string) {
	t.Helper()
	dir, file := "/sys/fs/cgroup", "memory.max"
	if _, err := os.Stat(filepath.Join(dir, "cgroup.controllers")); err != nil {
		dir, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
	}
	dir = filepath.Join(dir, fmt.Sprint("wsify-test-", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("a control group is needed, which takes root: ", err)
	}
	t.Cleanup(func() {
		testtool.Until(t, "the group is empty", func() bool { return os.Remove(dir) == nil })
	})
	if err := os.WriteFile(filepath.Join(dir, file), []byte(strconv.Itoa(limit)), 0o644); err != nil {
		t.Skip("the memory of a control group cannot be limited here: ", err)
	}
	return dir
}

// enterGroup moves this process to a control group, and tells Go its limit as the program does.
func enterGroup(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		t.Fatal(err)
	}
	debug.SetMemoryLimit(int64(memoryLimit()) / 100 * 90)
}

var (
	subscriptions   = regexp.MustCompile(`(?m)^wsify_subscriptions (\d+)$`)
	closedForMemory = regexp.MustCompile(`(?m)^wsify_connections_closed_total\{reason="memory"\} [4-8]$`)
)

// The memory of a control group fills up, by what the server needs and by clients that do not read.
// It refuses upgrades and closes the slowest, goes on for the others, and is not killed.
func TestTheKernelDoesNotKillAServerThatIsShortOfMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	const limit, ballast, paceEach = 256 << 20, 150, 5 * time.Millisecond
	srv := startLimited(t, limits{Descriptors: 256, Memory: makeGroup(t, limit)})
	for range ballast { // MiB
		srv.Say("ballast")
		srv.Line()
	}
	metrics := func() string { return askAdminAt(t, srv.admin, "GET", "/metrics").body }
	const slow = 8
	for i := range slow {
		if err := connect(t, srv.addr).roundTrip(fmt.Sprint("slow", i)); err != nil { // it reads nothing more
			t.Fatal(err)
		}
	}
	quick, backend := connect(t, srv.addr), dial(t, srv.addr)
	content := strings.Repeat("x", 60<<10)
	members := func() (n int) {
		if found := subscriptions.FindStringSubmatch(metrics()); found != nil {
			n, _ = strconv.Atoi(found[1])
		}
		return n
	}
	for round := 0; members() > slow/2; round++ {
		if round == 1000 {
			t.Fatal("the slow ones are still members: ", srv.log())
		}
		for range 20 { // of 60 KiB: some 1.2 MiB
			backend.expect(t, postRequest("k", fmt.Sprintf(`{"channel":"slow%d","content":%q}`, round%slow, content)), http.StatusCreated)
		}
		time.Sleep(paceEach) // a publisher of at most 240 MB/s, not a wait for anything
	}
	testtool.Until(t, "upgrades are allowed again", func() bool {
		c, err := tryDial(srv.addr)
		if err == nil {
			defer c.Close()
			err = c.upgrade()
		}
		return err == nil
	})
	if err := quick.roundTrip("still here"); err != nil {
		t.Fatal(err)
	}
	testtool.Until(t, "those that were closed are counted", func() bool { return closedForMemory.MatchString(metrics()) })
	if log := srv.log(); !strings.Contains(log, "memory is short: new clients are refused") {
		t.Error("the log does not say that upgrades are refused: ", log)
	}
}

// floods are ways to fill a server's memory before it has anything to send. Each is what one client
// sends; it makes the server keep some 20 to 70 KB.
var floods = map[string]func(c client){
	"heads": func(c client) { c.write("GET /ws HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 16_200)) },
	"frames": func(c client) {
		c.write(upgradeRequest + "\x81\xfe\xfd\xe8\x00\x00\x00\x00" + strings.Repeat("a", 64_000))
	},
	"bodies": func(c client) { c.write(postRequest("k", strings.Repeat("a", 64_000))[:63_000]) },
	"joins": func(c client) {
		c.write(upgradeRequest)
		for i := range 100 {
			name := fmt.Sprint(c.LocalAddr(), i, strings.Repeat("a", 200))
			_ = c.send(`{"command":"join","args":{"channel":"` + name + `"}}`)
		}
	},
}

// write writes what the server takes. It may have closed the connection.
func (c client) write(raw string) { _, _ = c.Write([]byte(raw)) }

var turnedAway = regexp.MustCompile(`(?m)^wsify_connections_(closed|rejected)_total\{reason="memory"\} [1-9]`)

// The kernel does not end a server whose clients fill the memory by what they send, either. Who is
// closed first, session's tests say: here the kernel's figures come late.
func TestTheKernelDoesNotKillAServerWhoseClientsFillItsMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			const limit, ballast, clients = 96 << 20, 56, 2800 // more than the memory takes of heads, too
			srv := startLimited(t, limits{Descriptors: 4096, Memory: makeGroup(t, limit)})
			for range ballast { // MiB
				srv.Say("ballast")
				srv.Line()
			}
			var all []client
			metrics := func() string { return askAdminAt(t, srv.admin, "GET", "/metrics").body }
			for len(all) < clients && (len(all)%100 > 0 || !turnedAway.MatchString(metrics())) {
				if c, err := tryDial(srv.addr); err == nil {
					all = append(all, c)
					flood(c)
				}
			}
			testtool.Until(t, "some are turned away and counted", func() bool { return turnedAway.MatchString(metrics()) })
			for _, c := range all {
				_ = c.Close()
			}
			testtool.Until(t, "upgrades are allowed again", func() bool {
				c, err := tryDial(srv.addr)
				if err == nil {
					defer c.Close()
					err = c.upgrade()
				}
				return err == nil
			})
			connect(t, srv.addr).usable(t)
		})
	}
}
