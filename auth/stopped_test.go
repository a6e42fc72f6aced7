package auth

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wsify/internal/testtool"
)

// childVariable makes the test binary a program that asks a webhook.
const childVariable = "AUTH_TEST_CHILD"

// The child makes this many calls at once, with this timeout. All of them, each with a TLS
// handshake, have to be under way before the child is stopped.
const (
	childCalls   = 10
	childTimeout = 2 * time.Second
)

// TestChild is not a test but the program that is stopped.
func TestChild(t *testing.T) {
	url := os.Getenv(childVariable)
	if url == "" {
		t.Skip("it is run by TestStoppedProcessTakesTheAnswersThatCameMeanwhile")
	}
	c := newClient(t, Config{URL: url, Timeout: childTimeout, TLSConfig: &tls.Config{InsecureSkipVerify: true}})
	var allowed atomic.Int32
	var calls sync.WaitGroup
	for range childCalls {
		calls.Go(func() {
			if d, _ := c.Ask(join()); d == Allow {
				allowed.Add(1)
			}
		})
	}
	calls.Wait()
	fmt.Println("allowed:", allowed.Load())
	os.Exit(0) // does not wait for the pool's goroutine
}

func TestStoppedProcessTakesTheAnswersThatCameMeanwhile(t *testing.T) {
	for scheme, start := range map[string]func(*webhook){
		"http": func(w *webhook) { w.Start() }, "https": func(w *webhook) { w.StartTLS() },
	} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel() // mostly waits
			asked, answer := make(chan struct{}, childCalls), make(chan struct{})
			var answered sync.WaitGroup
			answered.Add(childCalls)
			hook := startWebhook(t, func(w http.ResponseWriter, _ *http.Request) {
				defer answered.Done()
				asked <- struct{}{}
				<-answer
				_, _ = w.Write(make([]byte, 2<<10)) // more than one read of TLS
			}, start)
			child := testtool.StartChild(t, "TestChild", childVariable, hook.URL, time.Minute)
			for range childCalls {
				<-asked
			}
			child.Pause()
			close(answer)
			answered.Wait()
			<-time.After(childTimeout + 200*time.Millisecond) // the timeouts have to pass
			child.Resume()
			said := child.Rest()
			if want := fmt.Sprint("allowed: ", childCalls); !strings.Contains(said, want) {
				t.Errorf("the stopped process says:\n%swant %s", said, want)
			}
		})
	}
}
