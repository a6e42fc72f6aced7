package broker_test

import (
	"fmt"

	"wsify/broker"
)

// A publication has reached this node's members when Publish returns.
func ExampleMemory() {
	var m broker.Memory
	_ = m.Start(func(channel, content []byte) error {
		fmt.Printf("%s <- %s\n", channel, content)
		return nil
	}, nil)
	pending, err := m.Publish([]byte("news"), []byte(`"hi"`), nil)
	fmt.Println(pending, err)
	_ = m.Close()
	_, err = m.Publish([]byte("news"), []byte(`"late"`), nil)
	fmt.Println(err)
	// Output:
	// news <- "hi"
	// false <nil>
	// the broker is closed
}

func ExampleDeliver() {
	var deliver broker.Deliver = func(channel, content []byte) error {
		fmt.Printf("%s <- %s\n", channel, content)
		return nil
	}
	var m broker.Memory
	_ = m.Start(deliver, nil)
	_, _ = m.Publish([]byte("news"), []byte("1"), nil)
	// Output: news <- 1
}
