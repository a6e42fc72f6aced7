package doctor

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"wsify/internal/server"
)

// inherited begins the address of a socket that systemd opens.
const inherited = "fd://"

// askListeners finds out about the addresses of a configuration.
func askListeners(ctx context.Context, cfg *server.Config) []Listener {
	var all []Listener
	for _, addr := range cfg.ListenAddrs {
		all = append(all, Listener{Flag: "listen-addr", Addr: addr, proxied: cfg.ProxyProtocol == "required"})
	}
	if cfg.AdminAddr != "" {
		all = append(all, Listener{Flag: "admin-addr", Addr: cfg.AdminAddr})
	}
	for i := range all {
		l := &all[i]
		if path, ok := strings.CutPrefix(l.Addr, "unix:"); ok {
			l.atPath(ctx, path)
		} else if strings.HasPrefix(l.Addr, inherited) {
			l.State = Passed
		} else {
			l.atPort(ctx)
		}
	}
	return all
}

// atPort opens the port and closes it at once. When that is taken, it asks who has it.
func (l *Listener) atPort(ctx context.Context) {
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", l.Addr)
	switch {
	case err == nil:
		_ = ln.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		l.State = l.who(ctx, "tcp", l.Addr)
	default:
		l.State, l.Err = Refused, cause(err)
	}
}

// atPath opens no unix socket, as that would make a file. It asks who answers at one, and
// looks whether one could be made.
func (l *Listener) atPath(ctx context.Context, path string) {
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.Mode()&os.ModeSocket == 0:
		l.State, l.Err = Refused, errors.New("there is a file that is no socket")
	case err == nil && answers(ctx, path):
		l.State = l.who(ctx, "unix", path)
	default:
		if err := unix.Access(filepath.Dir(path), unix.W_OK|unix.X_OK); err != nil {
			l.State, l.Err = Refused, err
		}
	}
}

// answers reports whether a socket has a server, and was not just left behind by one.
func answers(ctx context.Context, path string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
	}
	return !errors.Is(err, syscall.ECONNREFUSED)
}

const (
	whoTimeout = 3 * time.Second
	maxStats   = 1 << 20
)

// who asks for a page that only a wsify has.
func (l *Listener) who(ctx context.Context, network, addr string) State {
	target, head := "/ws", ""
	if l.Flag == "admin-addr" {
		target = "/stats"
	} else if l.proxied {
		head = "PROXY UNKNOWN\r\n"
	}
	res, body, err := get(ctx, network, addr, head, target)
	switch {
	case err != nil:
		return Taken
	case target == "/ws" && res.StatusCode == http.StatusUpgradeRequired, target == "/stats" && strings.Contains(body, `"wsify_`):
		return Ours
	}
	return Taken
}

// get is a request behind a head, without a name of a host, for any kind of address.
func get(ctx context.Context, network, addr, head, target string) (*http.Response, string, error) {
	ctx, cancel := context.WithTimeout(ctx, whoTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, "", err
	}
	defer conn.Close()
	due, _ := ctx.Deadline()
	_ = conn.SetDeadline(due)
	if _, err := io.WriteString(conn, head+"GET "+target+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		return nil, "", err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxStats))
	return res, string(body), nil
}

// cause returns the error of the kernel in err, or err.
func cause(err error) error {
	if no := syscall.Errno(0); errors.As(err, &no) {
		return no
	}
	return err
}
