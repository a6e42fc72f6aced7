package wire_test

import (
	"errors"
	"fmt"

	"wsify/internal/wire"
)

// hello is the masked text frame of RFC 6455, section 5.7.
var hello = []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}

func ExampleReader() {
	var r wire.Reader
	for _, in := range [][]byte{hello[:7], hello[7:]} { // as a socket might give it
		in = append([]byte(nil), in...) // Next unmasks in place
		for {
			ev, n, ok, err := r.Next(in, 64<<10)
			if err != nil {
				fmt.Println(err)
				return
			}
			if in = in[n:]; !ok {
				break
			}
			fmt.Printf("opcode %d: %s\n", ev.Op, ev.Payload)
		}
		fmt.Println("idle:", r.Idle(), "buffered:", r.Buffered())
	}
	// Output:
	// idle: false buffered: 1
	// opcode 1: Hello
	// idle: true buffered: 0
}

func ExampleProtocolError() {
	var r wire.Reader
	_, _, _, err := r.Next([]byte{0x81, 0x05}, 64<<10) // no mask
	var bad *wire.ProtocolError
	if errors.As(err, &bad) {
		fmt.Printf("%s\n%q\n", bad.Detail, wire.AppendClose(nil, bad.Code, ""))
	}
	r.Release()
	// Output:
	// client frame without a mask
	// "\x88\x02\x03\xea"
}

func ExampleAppendFrame() {
	fmt.Printf("%q\n", wire.AppendFrame(nil, wire.OpText, []byte("Hello")))
	// Output:
	// "\x81\x05Hello"
}

func ExampleParseClose() {
	code, reason, err := wire.ParseClose([]byte("\x03\xe9going home"))
	fmt.Println(code, string(reason), err)
	code, _, err = wire.ParseClose([]byte("\x03\xed"))
	fmt.Println(code, err)
	// Output:
	// 1001 going home <nil>
	// 1002 websocket: 1002 close code that may not be sent
}

func ExampleParseRequest() {
	in := []byte("GET /ws?user=ann HTTP/1.1\r\n" +
		"Host: example.com\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Version: 13\r\n\r\n" +
		"frames that ride behind the head")
	head := in[:wire.HeadEnd(in, 0)]
	r, err := wire.ParseRequest(head)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s %s, upgrade: %t\n", r.Path, r.RawQuery, r.IsUpgrade())
	out, err := wire.AppendUpgrade(nil, &r, head)
	fmt.Printf("%.32s, %v\n", out, err)
	// Output:
	// /ws user=ann, upgrade: true
	// HTTP/1.1 101 Switching Protocols, <nil>
}

func ExampleAppendResponse() {
	fmt.Printf("%q\n", wire.AppendResponse(nil, 503, "Retry-After: 5\r\n", "busy"))
	// Output:
	// "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\nConnection: close\r\nRetry-After: 5\r\n\r\nbusy"
}
