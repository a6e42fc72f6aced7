package systemd

import (
	"os"
	"slices"
	"strconv"
	"testing"
)

func TestSocketsAreFoundByTheirNames(t *testing.T) {
	for _, c := range []struct {
		name        string
		pid         int
		fds, names  string
		addrs, want []string
		problem     string
	}{
		{name: "a number needs no service manager", addrs: []string{"fd://7", ":80"}, want: []string{"fd://7", ":80"}},
		{name: "each name has its number", pid: os.Getpid(), fds: "2", names: "web:admin", addrs: []string{"fd://admin", "unix:/s", "fd://web"}, want: []string{"fd://4", "unix:/s", "fd://3"}},
		{name: "one name for all sockets of a unit", pid: os.Getpid(), fds: "3", names: "wsify.socket:x:wsify.socket", addrs: []string{"fd://wsify.socket"}, want: []string{"fd://3", "fd://5"}},
		{name: "no names", pid: os.Getpid(), fds: "2", addrs: []string{"fd://unknown"}, want: []string{"fd://3", "fd://4"}},
		{name: "another name", pid: os.Getpid(), fds: "2", names: "web:admin", addrs: []string{"fd://wsify"},
			problem: "listen on fd://wsify: the service manager has not passed a socket of this name; it has passed admin, web"},
		{name: "for another process", pid: 1, fds: "1", names: "web", addrs: []string{"fd://web"},
			problem: "listen on fd://web: the service manager has passed no socket"},
		{name: "more than can be, without names", pid: os.Getpid(), fds: "1000000000", addrs: []string{"fd://web"},
			problem: "listen on fd://web: the service manager has not passed a socket of this name; it has passed unknown"},
		{name: "nonsense", pid: os.Getpid(), fds: "x", names: "web", addrs: []string{"fd://web"},
			problem: "listen on fd://web: the service manager has passed no socket"},
		{name: "no address", addrs: []string{""}, want: []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("LISTEN_PID", strconv.Itoa(c.pid))
			t.Setenv("LISTEN_FDS", c.fds)
			t.Setenv("LISTEN_FDNAMES", c.names)
			got, err := Inherited(c.addrs)
			if said := errorText(err); said != c.problem || !slices.Equal(got, c.want) {
				t.Errorf("Inherited(%v) = %v, %q; want %v, %q", c.addrs, got, said, c.want, c.problem)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
