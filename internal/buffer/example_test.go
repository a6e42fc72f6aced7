package buffer_test

import (
	"fmt"

	"wsify/internal/buffer"
)

func ExampleBuffer() {
	b := buffer.New(64)
	b.Append([]byte("first "), 1)
	b.Append([]byte("second"), 1)

	queued := b.Retain() // a slow connection keeps a reference
	b.Release()          // the publisher is done

	fmt.Printf("%s, %d messages\n", queued.Bytes(), queued.Messages)
	queued.Release()
	// Output: first second, 2 messages
}
