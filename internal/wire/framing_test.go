package wire

import "testing"

func TestWhatFollowsAHead(t *testing.T) {
	for _, c := range []struct {
		line, headers     string
		length            int64
		persistent, waits bool
	}{
		{"POST / HTTP/1.1", "", 0, true, false},
		{"POST / HTTP/1.1", "Content-Length: 000012\r\n", 12, true, false},
		{"POST / HTTP/1.1", "Content-Length: 999999999999999999\r\n", 999999999999999999, true, false},
		{"POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n", -1, true, false},
		{"POST / HTTP/1.1", "Connection: Close\r\n", 0, false, false},
		{"POST / HTTP/1.1", "Connection: x, close\r\nConnection: keep-alive\r\n", 0, false, false},
		{"POST / HTTP/1.1", "Expect: 100-Continue\r\n", 0, true, true},
		{"POST / HTTP/1.1", "Expect: other\r\nExpekt: 100-continue\r\n", 0, true, false},
		{"POST / HTTP/1.0", "Expect: 100-continue\r\n", 0, false, false},
		{"POST / HTTP/1.0", "Connection: Keep-Alive\r\n", 0, true, false},
		{"POST / HTTP/1.0", "Connection: keep-alive, close\r\n", 0, false, false},
	} {
		r, err := ParseRequest([]byte(c.line + "\r\nHost: a\r\n" + c.headers + "\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		if r.Length() != c.length || r.Persistent() != c.persistent || r.Continue() != c.waits {
			t.Errorf("%s with %q: length %d, persistent %t, continue %t; want %d, %t, %t", c.line, c.headers,
				r.Length(), r.Persistent(), r.Continue(), c.length, c.persistent, c.waits)
		}
	}
}
