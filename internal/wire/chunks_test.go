package wire

import (
	"bytes"
	"fmt"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
)

// decode passes pieces to c and returns the body, the number of bytes used, and
// "done", "more", or the status of the error.
func decode(c *Chunks, maxExtra int, pieces ...[]byte) (body []byte, used int, how string) {
	for _, p := range pieces {
		for {
			data, n, done, err := c.Next(p, maxExtra)
			body, used, p = append(body, data...), used+n, p[n:]
			switch {
			case err != nil:
				return body, used, fmt.Sprint(err.(*HandshakeError).Status)
			case done:
				return body, used, "done"
			}
			if len(data) == 0 {
				break
			}
		}
	}
	return body, used, "more"
}

func TestChunks(t *testing.T) {
	for _, c := range []struct{ rule, stream, body, how string }{
		{"7.1 nothing", "0\r\n\r\n", "", "done"},
		{"7.1 one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello", "done"},
		{"7.1 hexadecimal digits of both cases", "a\r\n0123456789\r\n00B\r\n0123456789a\r\n000\r\n\r\n", "01234567890123456789a", "done"},
		{"7.1 what is behind is left", "1\r\nx\r\n0\r\n\r\nPOST", "x", "done"},
		{"7.1.1 extensions", "1;a=b;c=\"d e\"\r\nx\r\n0;z\r\n\r\n", "x", "done"},
		{"7.1.2 trailers", "1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n", "x", "done"},
		{"7.1 not all there", "5\r\nhel", "hel", "more"},
		{"7.1 no size", "\r\nx", "", "400"},
		{"7.1 no digit", "g\r\n", "", "400"},
		{"7.1 a sign", "+1\r\nx\r\n", "", "400"},
		{"7.1 a prefix", "0x1\r\nx\r\n", "", "400"},
		{"7.1 white space behind the size", "1 \r\nx\r\n", "", "400"},
		{"7.1 an extension without a size", ";a\r\n", "", "400"},
		{"7.1 a size over 63 bits", "ffffffffffffffff\r\n", "", "400"},
		{"7.1 more data than the size", "1\r\nxy\r\n", "x", "400"},
		{"7.1 bare LF behind the size", "1\nx\r\n", "", "400"},
		{"7.1 bare CR behind the size", "1\rx", "", "400"},
		{"7.1 bare LF behind the data", "1\r\nx\n", "x", "400"},
		{"7.1 bare CR in an extension", "1;a\rb\r\n", "", "400"},
		{"7.1 a control character in an extension", "1;\x00\r\n", "", "400"},
		{"7.1 bare LF at the end", "0\r\n\n", "", "400"},
		{"7.1 a folded trailer", "0\r\n A: b\r\n\r\n", "", "400"},
		{"7.1 too many extensions", "1;" + strings.Repeat("a", 60) + "\r\nx\r\n1;" + strings.Repeat("a", 60) + "\r\n", "x", "431"},
		{"7.1 too many trailers", "0\r\n" + strings.Repeat("A: b\r\n", 40) + "\r\n", "", "431"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			stream := []byte(c.stream)
			body, used, how := decode(new(Chunks), 100, stream)
			if string(body) != c.body || how != c.how {
				t.Errorf("%q: %q, %s; want %q, %s", c.stream, body, how, c.body, c.how)
			}
			if rest := c.stream[used:]; how == "done" && rest != "" && rest != "POST" {
				t.Errorf("%q: %q is left", c.stream, rest)
			}
		})
	}
}

func TestChunksAllocateNothing(t *testing.T) {
	stream := []byte("5;a\r\nhello\r\n0\r\nA: b\r\n\r\n")
	allocates(t, "Next", func() {
		var c Chunks
		for p := stream; len(p) > 0; {
			_, n, _, err := c.Next(p, 100)
			if err != nil {
				t.Fatal(err)
			}
			p = p[n:]
		}
	})
}

// FuzzChunks: any cut of the stream gives the same result, and the standard library
// reads the same body.
func FuzzChunks(f *testing.F) {
	for _, seed := range []string{"0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\nPOST", "1;a=b\r\nx\r\n0\r\nA: b\r\n\r\n", "ffffffffffffffff\r\n", "1\nx"} {
		f.Add([]byte(seed), []byte{0}, uint8(50))
		f.Add([]byte(seed), []byte{2, 0, 1}, uint8(3))
	}
	f.Fuzz(func(t *testing.T, stream, sizes []byte, maxExtra uint8) {
		body, used, how := decode(new(Chunks), int(maxExtra), stream)
		for _, pieces := range [][][]byte{cutBy(stream, sizes), cutBy(stream, []byte{0})} {
			b, u, h := decode(new(Chunks), int(maxExtra), pieces...)
			if !bytes.Equal(b, body) || u != used || h != how {
				t.Fatalf("%q cut: %q, %d, %s; whole: %q, %d, %s", stream, b, u, h, body, used, how)
			}
		}
		if how != "done" {
			return
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(stream)))
		if err != nil || !bytes.Equal(theirs, body) {
			t.Fatalf("%q: %q, net/http has %q, %v", stream, body, theirs, err)
		}
	})
}
