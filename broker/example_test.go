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
	pending, _, err := m.Publish(nil, []byte("news"), []byte(`"hi"`), nil)
	fmt.Println(pending, err)
	_ = m.Close()
	_, _, err = m.Publish(nil, []byte("news"), []byte(`"late"`), nil)
	fmt.Println(err)
	// Output:
	// news <- "hi"
	// false <nil>
	// the broker is closed
}
