package broker_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/broker/nats"
	"wsify/broker/redis"
	"wsify/internal/natstest"
	"wsify/internal/redistest"
	"wsify/internal/testtool"
)

// longestSilence is how long a node waits for a sign of life from an engine.
const longestSilence = 10 * time.Second

// childVariable makes the test binary run as the node that is stopped.
const childVariable = "BROKER_TEST_CHILD"

// TestStoppedChild is not a test but the node. It publishes and subscribes all the time, and prints
// how often it was connected and how many outcomes were bad.
func TestStoppedChild(t *testing.T) {
	kind, dsn, _ := cutChild(os.Getenv(childVariable))
	if dsn == "" {
		t.Skip("it is run by TestNodeThatStoodStillReadsBeforeItJudges")
	}
	driver := map[string]broker.Driver{"redis": redis.Driver, "nats": nats.Driver}[kind]
	b, err := driver.Open(broker.Config{DSN: dsn, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		t.Fatal(err)
	}
	r := b.(*broker.Remote)
	if err := r.Start(func(_, _ []byte) error { return nil }, nil); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	brokertest.Until(t, "it is up", r.Up)
	var stop atomic.Bool
	var bad atomic.Int64
	ended := make(chan struct{}, 2)
	outcome := make(chan error, 1)
	note := func(pending bool, _ broker.Receipt, err error) {
		if pending {
			err = <-outcome
		}
		if err != nil {
			bad.Add(1)
		}
	}
	go func() {
		for !stop.Load() {
			note(r.Publish(nil, []byte("c"), []byte("1"), func(_ broker.Receipt, err error) { outcome <- err }))
		}
		ended <- struct{}{}
	}()
	go func() {
		for i := 0; !stop.Load(); i++ {
			name := fmt.Sprint(i)
			done := make(chan error, 1)
			r.Subscribe(name)
			if pending, err := r.Await([]byte(name), func(err error) { done <- err }); pending && <-done != nil || err != nil {
				bad.Add(1)
			}
			r.Unsubscribe(name)
		}
		ended <- struct{}{}
	}()
	fmt.Println("up")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	stop.Store(true)
	<-ended
	<-ended
	fmt.Printf("connected %d, bad %d\n", r.Stats().Connects, bad.Load())
}

func cutChild(text string) (kind, dsn string, ok bool) {
	_, err := fmt.Sscanf(text, "%s %s", &kind, &dsn)
	return kind, dsn, err == nil
}

// A node is stopped (SIGSTOP) for longer than any of its timeouts. When it continues, it reads what
// has arrived before a timeout counts.
func TestNodeThatStoodStillReadsBeforeItJudges(t *testing.T) {
	if testing.Short() {
		t.Skip("the node is stopped for longer than it waits for an engine")
	}
	t.Parallel()
	for kind, dsn := range map[string]string{"redis": redistest.Start(t).DSN(), "nats": natstest.Start(t, nil).URL} {
		for range 2 {
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				stopChild(t, kind, dsn)
			})
		}
	}
}

func stopChild(t *testing.T, kind, dsn string) {
	child := testtool.StartChild(t, "TestStoppedChild", childVariable, kind+" "+dsn, brokertest.Patience+longestSilence)
	if line := child.Line(); line != "up" {
		t.Fatalf("the node prints %q", line)
	}
	child.Pause()
	<-time.After(longestSilence + 2*time.Second)
	child.Resume()
	child.Say("")
	if line := child.Line(); line != "connected 1, bad 0" {
		t.Errorf("the node prints %q", line)
	}
}
