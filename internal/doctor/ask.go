package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"wsify/auth"
	"wsify/broker"
	"wsify/internal/cgroup"
	"wsify/internal/server"
)

const (
	patience = 10 * time.Second // that those who are asked get
	grace    = 2 * time.Second  // after which an answer is not waited for any more
)

var errLate = errors.New("the examination did not end in time")

// Read collects the facts about a server with the configuration cfg, which is valid, on
// this machine. root is the file system that /proc, /sys and /etc are read from. Read
// blocks for at most 12 seconds, or until ctx ends, and as long as a file takes.
func Read(ctx context.Context, cfg server.Config, root fs.FS) *Facts {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	f := &Facts{Config: cfg, PageSize: int64(os.Getpagesize()), Cores: runtime.NumCPU(), Now: time.Now()}
	var asking sync.WaitGroup
	asking.Go(func() { f.Authorizer = askWebhook(ctx, cfg.ExamineAuthorizer) })
	asking.Go(func() { f.Events = askWebhook(ctx, cfg.ExamineEvents) })
	asking.Go(func() { f.Broker, f.BrokerErr = askBroker(ctx, &cfg) })
	asking.Go(func() { f.Listeners = askListeners(ctx, &cfg) })
	f.readFiles(root)
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		f.Place = Pod
	}
	if limit := debug.SetMemoryLimit(-1); limit < cgroup.NoLimit {
		f.GoLimit = limit
	}
	f.Synchronized, f.ClockKnown = clock()
	asking.Wait()
	return f
}

// askWebhook returns what examine does.
func askWebhook(ctx context.Context, examine func(context.Context) *auth.Examination) *auth.Examination {
	x, ok := within(ctx, func() *auth.Examination { return examine(ctx) })
	if !ok {
		return &auth.Examination{Err: errLate}
	}
	return x
}

// askBroker examines the engine of the broker.
func askBroker(ctx context.Context, cfg *server.Config) (*broker.Examination, error) {
	type answer struct {
		x   *broker.Examination
		err error
	}
	a, ok := within(ctx, func() answer {
		x, err := cfg.ExamineBroker(ctx)
		return answer{x, err}
	})
	if !ok {
		return nil, errLate
	}
	return a.x, a.err
}

// within returns what ask does, unless that takes longer than ctx, and a little: then it
// returns without it, and ok is false.
func within[T any](ctx context.Context, ask func() T) (answer T, ok bool) {
	done := make(chan T, 1)
	go func() { done <- ask() }()
	select {
	case answer = <-done:
		return answer, true
	case <-ctx.Done():
	}
	select {
	case answer = <-done:
		return answer, true
	case <-time.After(grace):
		return answer, false
	}
}

// clock asks the kernel whether something keeps the clock right; adjtimex(2).
func clock() (synchronized, known bool) {
	state, err := unix.Adjtimex(&unix.Timex{})
	return state != unix.TIME_ERROR, err == nil
}
