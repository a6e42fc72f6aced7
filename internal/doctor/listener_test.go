package doctor

import (
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"wsify/internal/server"
)

func TestWhoHasTheAddresses(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "wsify.sock")
	ours, err := server.Start(server.Config{ListenAddrs: []string{"127.0.0.1:0"}, AdminAddr: "unix:" + socket})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ours.Shutdown() }()
	web := httptest.NewServer(nil)
	defer web.Close()
	stale, file := filepath.Join(dir, "stale.sock"), filepath.Join(dir, "file")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	_ = ln.Close()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		listen, admin string
		first, second expected
	}{
		"free":       {"127.0.0.1:0", "unix:" + filepath.Join(dir, "free.sock"), expected{OK, "is free", ""}, expected{OK, "is free", ""}},
		"ours":       {ours.Addr().String(), "unix:" + socket, expected{OK, "A wsify answers at", ""}, expected{OK, "A wsify answers at", ""}},
		"another's":  {web.Listener.Addr().String(), "", expected{Problem, "is taken, and no wsify answers there", ""}, expected{}},
		"swapped":    {"unix:" + socket, ours.Addr().String(), expected{Problem, "is taken, and no wsify answers there", ""}, expected{Problem, "is taken, and no wsify answers there", ""}},
		"left":       {"unix:" + stale, "", expected{OK, "is free", ""}, expected{}},
		"a file":     {"unix:" + file, "", expected{Problem, "there is a file that is no socket", ""}, expected{}},
		"no dir":     {"unix:" + dir + "/none/x.sock", "", expected{Problem, "no such file or directory", ""}, expected{}},
		"not here":   {"192.0.2.1:3000", "", expected{Problem, "cannot assign requested address", ""}, expected{}},
		"a bad name": {"no.such.host.invalid:3000", "", expected{Problem, "cannot be listened on", ""}, expected{}},
	} {
		r := examined(t, server.Config{ListenAddrs: []string{tc.listen}, AdminAddr: tc.admin})
		tc.first.compare(t, name, finding(t, r, "listen-addr"))
		if tc.admin != "" {
			tc.second.compare(t, name, finding(t, r, "admin-addr"))
		}
	}
	if left, _ := filepath.Glob(dir + "/*.sock"); len(left) != 2 {
		t.Errorf("files are left, or gone: %v", left)
	}
}

func TestAServerThatExpectsPROXYIsKnown(t *testing.T) {
	cfg := server.Config{ListenAddrs: []string{"127.0.0.1:0"}, ProxyProtocol: "required"}
	ours, err := server.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ours.Shutdown() }()
	cfg.ListenAddrs = []string{ours.Addr().String()}
	expected{OK, "A wsify answers at", ""}.compare(t, "with a header", finding(t, examined(t, cfg), "listen-addr"))
}
