package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"wsify/bench/internal/process"
	"wsify/bench/internal/swarm"
)

// Contender is a server that a run starts.
type Contender struct {
	Name    string
	Dialect string
	Command []string // {addr} and {port} are replaced; without them -listen-addr ADDR is added
}

// ParseContender reads NAME[@DIALECT]=COMMAND.
func ParseContender(text string) (c Contender, err error) {
	name, command, ok := strings.Cut(text, "=")
	c.Name, c.Dialect, _ = strings.Cut(name, "@")
	if c.Command = strings.Fields(command); !ok || c.Name == "" || len(c.Command) == 0 {
		return c, fmt.Errorf("%q is not NAME=COMMAND, or NAME@DIALECT=COMMAND", text)
	}
	_, err = swarm.DialectOf(c.Dialect)
	return c, err
}

// Takes asks a contender whether it takes further arguments, if it knows wsify's -check-config.
func (c Contender) Takes(args ...string) error {
	for _, arg := range args {
		if name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "="); name == "listen-addr" && arg != name {
			return errors.New("-listen-addr is set by wsbench; leave it out")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	said, err := exec.CommandContext(ctx, c.Command[0], slices.Concat(c.Command[1:], args, []string{"-check-config"})...).CombinedOutput()
	if err == nil || ctx.Err() != nil || bytes.Contains(said, []byte("check-config")) {
		return nil
	}
	line, _, _ := strings.Cut(string(said), "\n")
	return fmt.Errorf("%s says: %s (%w)", c.Name, line, err)
}

type Server struct {
	*process.Child
	Contender
	Addr string
	args []string
}

// startPatience is how long a server may take to listen.
const startPatience = 20 * time.Second

// Start starts a contender on a free port, with further arguments.
func (c Contender) Start(ctx context.Context, args ...string) (*Server, error) {
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	s := &Server{Contender: c, Addr: fmt.Sprintf("127.0.0.1:%d", port), args: args}
	return s, s.Restart(ctx)
}

// Restart starts a server that does not run on the port it had.
func (s *Server) Restart(ctx context.Context) (err error) {
	_, port, _ := strings.Cut(s.Addr, ":")
	line := strings.Join(s.Command, "\x00")
	placed := strings.NewReplacer("{addr}", s.Addr, "{port}", port).Replace(line)
	words := strings.Split(placed, "\x00")
	if placed == line {
		words = append(append(words, "-listen-addr", s.Addr), s.args...)
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = append(os.Environ(), "WSIFY_ADMIN_ADDR=off", "WSIFY_BROADCAST_OPEN=true", "WSIFY_LOG_LEVEL=warn")
	if s.Child, err = process.Start(cmd); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	if err := s.AwaitPort(s.Addr, startPatience); err != nil {
		s.Kill()
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	return nil
}

// IsWsify reports whether it takes wsify's settings: no placeholders are in its command.
func (c Contender) IsWsify() bool {
	line := strings.Join(c.Command, " ")
	return !strings.Contains(line, "{addr}") && !strings.Contains(line, "{port}")
}
