//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// healthTimeout is more than /healthz takes to find out that an event loop does not
// answer.
const healthTimeout = 10 * time.Second

// maxHealthBody is how many bytes of an answer are shown.
const maxHealthBody = 4 << 10

// healthcheck asks the server of this configuration whether it is healthy, and says so in
// one line. It needs the address of the admin listener only: a mistake elsewhere in the
// configuration is no reason to end a server that runs. wrong is such mistakes, or nil.
func (c *commandLine) healthcheck(misused, wrong error, stdout, stderr io.Writer) int {
	err := misused
	if err == nil {
		err = askHealth(c.server.AdminAddr)
	}
	if err == nil {
		return answer(stdout, stderr, func(w io.Writer) { fmt.Fprintln(w, "wsify is healthy") })
	}
	if misused == nil && wrong != nil {
		err = fmt.Errorf("%w (and the configuration is wrong: %w)", err, wrong)
	}
	if text := c.unlikeService(os.DirFS("/")); text != "" {
		err = fmt.Errorf("%w (%s)", err, text)
	}
	complain(stderr, errors.New(oneLine(err.Error())))
	return exitFailure // also where the command line is wrong: Docker knows 0 and 1 only
}

// askHealth asks /healthz of the admin listener at addr.
func askHealth(addr string) error {
	if addr == "" {
		return errors.New("the server has no admin listener to ask: -admin-addr is off")
	}
	if strings.HasPrefix(addr, "fd://") {
		return fmt.Errorf("only the server knows the address of %s: give healthcheck another -admin-addr, the one in the socket unit", addr)
	}
	network, address := "tcp", addr
	if path, unix := strings.CutPrefix(addr, "unix:"); unix {
		network, address = "unix", path
	}
	client := http.Client{
		Timeout: healthTimeout,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address) // an unspecified address is this machine
		}},
	}
	res, err := client.Get("http://localhost/healthz")
	if err != nil {
		return fmt.Errorf("the admin listener at %s does not answer: %w", addr, errors.Unwrap(err)) // without the URL
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		return nil
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxHealthBody)) // the status has said it already
	return fmt.Errorf("the server is not healthy: %s: %s", res.Status, strings.TrimSpace(string(body)))
}

// oneLine joins the lines of text.
func oneLine(text string) string { return strings.ReplaceAll(text, "\n", "; ") }
