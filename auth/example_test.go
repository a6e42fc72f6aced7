package auth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"wsify/auth"
)

// webhook lets ann do everything and others only join.
func webhook(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Printf("%s from %s: %s\n", r.Header.Get(auth.HeaderQuery), r.Header.Get(auth.HeaderRemoteAddr), body)
	if r.Header.Get(auth.HeaderQuery) != "user=ann" {
		w.WriteHeader(http.StatusForbidden)
	}
}

func ExampleClient_Ask() {
	server := httptest.NewServer(http.HandlerFunc(webhook))
	defer server.Close()

	client, err := auth.New(auth.Config{URL: server.URL, Timeout: 5 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	for _, query := range []string{"user=ann", "user=bob"} {
		decision, cause := client.Ask(&auth.Call{
			Body:       []byte(`{"command":"join","args":{"channel":"news"}}`),
			RemoteAddr: "192.0.2.1:4711",
			Query:      query,
		})
		fmt.Println(decision, cause)
	}
	// Output:
	// user=ann from 192.0.2.1:4711: {"command":"join","args":{"channel":"news"}}
	// allow <nil>
	// user=bob from 192.0.2.1:4711: {"command":"join","args":{"channel":"news"}}
	// deny authorizer answered 403 Forbidden
}

func ExampleResultOf() {
	server := httptest.NewServer(http.NotFoundHandler())
	client, err := auth.New(auth.Config{URL: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	var calls [auth.NumResults]int // one counter per label
	calls[auth.ResultOf(client.Ask(&auth.Call{Body: []byte(`{}`)}))]++
	server.Close() // no server listens any more
	calls[auth.ResultOf(client.Ask(&auth.Call{Body: []byte(`{}`)}))]++

	for result, n := range calls {
		if n > 0 {
			fmt.Println(auth.Result(result), n)
		}
	}
	// Output:
	// deny 1
	// unreachable 1
}

func ExampleClient_Check() {
	client, err := auth.New(auth.Config{URL: "http://ann:secret@webhook.invalid/auth"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	report, _ := client.Check(context.Background())
	fmt.Println(report)
	// Output:
	// authorizer http://webhook.invalid/auth cannot be reached: the name "webhook.invalid" cannot be looked up here
}

func ExampleWorkers() {
	gate, room := make(chan struct{}), make(chan struct{})
	w := auth.NewWorkers(1, 1, func() { close(room) })
	w.OnPanic = func(v any, _ []byte) { fmt.Println("contained:", v) }
	fmt.Println(w.Submit(func() { <-gate }))
	fmt.Println(w.Submit(func() { panic("a call went wrong") }))
	fmt.Println(w.Submit(func() { fmt.Println("one too many") }))
	close(gate)
	<-room
	done := make(chan struct{})
	w.Submit(func() { close(done) })
	<-done
	w.Stop()
	// Output:
	// true
	// true
	// false
	// contained: a call went wrong
}
