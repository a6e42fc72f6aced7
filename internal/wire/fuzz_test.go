package wire

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"testing"
)

// cutBy cuts p into chunks. Their sizes are the bytes of sizes, used cyclically.
func cutBy(p, sizes []byte) (chunks [][]byte) {
	if len(sizes) == 0 {
		return [][]byte{p}
	}
	for i := 0; len(p) > 0; i++ {
		n := min(len(p), 1+int(sizes[i%len(sizes)]))
		chunks = append(chunks, p[:n])
		p = p[n:]
	}
	return chunks
}

// checkReader compares a stream with the reference: whole, cut by sizes, and byte
// by byte.
func checkReader(t *testing.T, stream, sizes []byte, limit int) {
	t.Helper()
	whole := feed(t, limit, stream)
	checkAgainstReference(t, stream, limit, whole)
	if got := feed(t, limit, cutBy(stream, sizes)...); got != whole {
		t.Fatalf("stream %x cut by %x:\n%s\nwhole:\n%s", stream, sizes, got, whole)
	}
	if got := feed(t, limit, bytewise(stream)...); got != whole {
		t.Fatalf("stream %x byte by byte:\n%s\nwhole:\n%s", stream, got, whole)
	}
}

// FuzzReader passes arbitrary bytes to the Reader.
func FuzzReader(f *testing.F) {
	for _, s := range scripts() {
		if len(s.stream) < 300 {
			f.Add(s.stream, []byte{2, 0, 7}, uint16(1000))
		}
	}
	f.Add(final(OpText, "over the limit"), []byte{5}, uint16(3))
	f.Fuzz(func(t *testing.T, stream, sizes []byte, limit uint16) {
		checkReader(t, stream, sizes, int(limit))
	})
}

// FuzzReaderScript passes streams of mostly legal frames to the Reader.
func FuzzReaderScript(f *testing.F) {
	f.Add([]byte{0x81, 0x83, 0x86, 0x89, 0x8c}, []byte{3}, uint16(1000))
	f.Add([]byte{0x33, 0x4c, 0x49}, []byte{0, 9}, uint16(1000))
	f.Add([]byte{0x53, 0x69, 0x91, 0x8e}, []byte{}, uint16(2))
	f.Fuzz(func(t *testing.T, seed, sizes []byte, limit uint16) {
		if len(seed) > 100 { // the reference is quadratic
			return
		}
		checkReader(t, compose(seed), sizes, int(limit))
	})
}

// FuzzClose checks ParseClose and AppendClose against each other.
func FuzzClose(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("a"))
	f.Add([]byte("\x03\xe8"))
	f.Add([]byte("\x03\xe8Hello World!"))
	f.Add([]byte("\x03\xed"))
	f.Add([]byte("\x0f\xa1\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > maxControl {
			return
		}
		code, reason, err := ParseClose(payload)
		frame := AppendClose(nil, code, string(reason))
		if len(frame) > FrameSize(maxControl) || len(frame) != FrameSize(int(frame[1])) {
			t.Fatalf("AppendClose(%d, %q) = %q, not one control frame", code, reason, frame)
		}
		if err == nil && !bytes.Equal(frame[2:], payload) {
			t.Fatalf("%q came back as %q", payload, frame[2:])
		}
		frame = AppendClose(nil, Normal, string(payload))
		if _, _, err := ParseClose(frame[2:]); err != nil {
			t.Fatalf("AppendClose(1000, %q) = %q, which ParseClose refuses: %v", payload, frame, err)
		}
	})
}

// FuzzHead compares HeadEnd with itself for any cut, and ParseRequest with
// net/http: what ParseRequest accepts, net/http accepts and reads alike.
func FuzzHead(f *testing.F) {
	f.Add([]byte(browserHead), []byte{10})
	f.Add([]byte(get(hostLine, upLine, connLine, keyLine, versionLine)), []byte{0})
	f.Add([]byte("POST /broadcast?key=k HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n"), []byte{1, 2})
	f.Add([]byte("GET http://[::1]:80/ws?a=b HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"), []byte{})
	f.Add([]byte("OPTIONS * HTTP/1.0\r\n\r\n"), []byte{3})
	f.Add([]byte("GET //a%20b?%zz HTTP/1.1\r\nHost:\r\nX:\xe9\t!\r\nPragma: no-cache\r\n\r\n"), []byte{3})
	f.Add([]byte("GET / HTTP/1.1\r\nHost : a\r\n b\r\n\r\n"), []byte{3})
	f.Fuzz(func(t *testing.T, p, sizes []byte) {
		end := HeadEnd(p, 0)
		if got := headEndInPieces(p, sizes); got != end {
			t.Fatalf("HeadEnd of %q in pieces of %x = %d, whole %d", p, sizes, got, end)
		}
		checkHead(t, p) // must not panic, complete or not
		checkHead(t, p[:end])
	})
}

func headEndInPieces(p, sizes []byte) int {
	had := 0
	for _, chunk := range cutBy(p, sizes) {
		if end := HeadEnd(p[:had+len(chunk)], had); end > 0 {
			return end
		}
		had += len(chunk)
	}
	return 0
}

// checkHead compares the result of ParseRequest with net/http.
func checkHead(t *testing.T, head []byte) {
	t.Helper()
	r, err := ParseRequest(head)
	if err != nil {
		return
	}
	want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(skipLine(head)))) // net/http skips no empty line
	if err != nil {
		t.Fatalf("%q is accepted, and net/http says %v", head, err)
	}
	path, err := url.PathUnescape(string(r.Path))
	if err != nil || want.URL.Path != path && !(want.URL.Path == "" && path == "/") {
		t.Fatalf("%q: path %q is %q to net/http", head, r.Path, want.URL.Path)
	}
	if string(r.Method) != want.Method || string(r.Host) != want.Host || string(r.RawQuery) != want.URL.RawQuery || r.Minor != want.ProtoMinor {
		t.Fatalf("%q: %s %s ?%s 1.%d; net/http: %s %s ?%s 1.%d", head, r.Method, r.Host, r.RawQuery, r.Minor, want.Method, want.Host, want.URL.RawQuery, want.ProtoMinor)
	}
	if r.Length() != want.ContentLength || want.Close == r.Persistent() && r.Minor == 1 {
		t.Fatalf("%q: length %d, persistent %t; net/http: %d, close %t", head, r.Length(), r.Persistent(), want.ContentLength, want.Close)
	}
	if r.Header("Cache-Control") == nil {
		want.Header.Del("Cache-Control") // net/http derives it from Pragma
	}
	for name := range want.Header {
		if got := r.Header(name); got == nil || string(got) != want.Header.Get(name) {
			t.Fatalf("%q: header %s is %q, to net/http %q", head, name, got, want.Header.Get(name))
		}
	}
	if _, err := AppendUpgrade(nil, &r, head); err == error(errUpgrader) {
		t.Fatalf("%q: the Upgrader refuses what was judged good", head)
	}
}
