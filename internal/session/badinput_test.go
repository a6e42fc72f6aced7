package session

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"wsify/internal/testtool"
)

// clientHello is the first message of a TLS 1.3 client, with the server name example.com.
const clientHello = "\x16\x03\x01\x00\x5d\x01\x00\x00\x59\x03\x03" +
	"0123456789abcdef0123456789abcdef" + "\x00\x00\x04\x13\x01\x13\x02\x01\x00\x00\x2c" +
	"\x00\x00\x00\x10\x00\x0e\x00\x00\x0bexample.com" + "\x00\x2b\x00\x03\x02\x03\x04\x00\x0d\x00\x04\x00\x02\x08\x04\x00\x0a\x00\x04\x00\x02\x00\x1d"

// Input that cannot become a request is refused at once, and the stream ends without a reset.
func TestWhatIsNoRequestIsRefused(t *testing.T) {
	srv := start(t, Config{HandshakeTimeout: time.Hour})
	for _, tc := range []struct {
		name, sent string
		status     int
	}{
		{"garbage that does not end", "\x00\x01\x02\xff\xfe garbage", 400},
		{"a TLS ClientHello", clientHello, 400},
		{"garbage with a blank line", "\x00\x01\x02\xff\xfe\r\n\r\n", 400},
		{"the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 505},
		{"a frame", message("hello") + "\r\n\r\n", 400},
		{"a request of HTTP/0.9", "GET /ws\r\n\r\n", 400},
		{"another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n", 400},
		{"16 KiB without a line end", strings.Repeat("x", 16<<10+1), 431},
		{"16 KiB of zeros", strings.Repeat("\x00", 16<<10+1), 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := dial(t, srv)
			p.write(tc.sent)
			p.expectStatus(tc.status)
			p.expectEnd()
		})
	}
}

func TestAHeadThatGrowsByteByByteIsRefusedAtTheLimit(t *testing.T) {
	srv := start(t, Config{MaxHeadSize: 4 << 10})
	p := dial(t, srv)
	for range 4<<10 + 1 {
		p.write("x")
	}
	p.expectStatus(431)
	p.expectEnd()
}

// lyingHeader is the header of a text frame that announces size bytes, in the form
// for width bytes of length.
func lyingHeader(width int, size uint64) string {
	b := []byte{0x80 | opText, 0x80 | byte(size)}
	switch width {
	case 2:
		b = binary.BigEndian.AppendUint16([]byte{0x80 | opText, 0x80 | 126}, uint16(size))
	case 8:
		b = binary.BigEndian.AppendUint64([]byte{0x80 | opText, 0x80 | 127}, size)
	}
	return string(append(b, maskKey[:]...))
}

// These frames are invalid by their header alone. No payload is sent.
func TestAFrameIsJudgedByItsHeader(t *testing.T) {
	srv := start(t, Config{MaxMessageSize: 64 << 10})
	big := part(opText, strings.Repeat(" ", 40<<10))
	for _, tc := range []struct {
		name, sent string
		code       int
	}{
		{"one byte too many", lyingHeader(8, 64<<10+1), 1009},
		{"2^32 bytes", lyingHeader(8, 1<<32), 1009},
		{"2^63-1 bytes", lyingHeader(8, 1<<63-1), 1009},
		{"2^63 bytes", lyingHeader(8, 1<<63), 1002},
		{"2^64-1 bytes", lyingHeader(8, 1<<64-1), 1002},
		{"125 bytes as 126 would be", lyingHeader(2, 125), 1002},
		{"65535 bytes as 65536 would be", lyingHeader(8, 65535), 1002},
		{"fragments that add up to too much", big + "\x80" + lyingHeader(2, 24<<10+1)[1:], 1009},
		{"no mask", "\x81\x05", 1002},
		{"a ping without a mask", "\x89\x00", 1002},
		{"a close without a mask", "\x88\x02", 1002},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := connect(t, srv, "/ws")
			p.write(tc.sent)
			p.expectClose(tc.code)
		})
	}
}

// The server allocates memory for bytes that arrived, never for an announced length.
func TestAnAnnouncedLengthTakesNoMemory(t *testing.T) {
	const peers, announced, came = 100, 1 << 30, 1 << 10
	srv := start(t, Config{MaxMessageSize: announced})
	all := make([]*peer, peers)
	for i := range all {
		all[i] = connect(t, srv, "/ws")
	}
	before, read := testtool.Heap(), srv.group.Stats().BytesReceived
	piece := lyingHeader(8, announced) + strings.Repeat(string(maskKey[:]), came/len(maskKey)) // zeros when unmasked, which is valid UTF-8
	for _, p := range all {
		p.write(piece)
	}
	handled(t, srv, read, peers*len(piece))
	if grown := testtool.Heap() - before; grown > peers*(came+4<<10) {
		t.Errorf("the heap grew by %d bytes for %d bytes of input", grown, peers*len(piece))
	}
}

// The parser refuses deep nesting without recursion, whose depth a peer could choose.
func TestDeepAndBrokenJSONIsRefusedAndTheConnectionStays(t *testing.T) {
	srv := start(t, Config{MaxMessageSize: 1 << 20})
	p := connect(t, srv, "/ws")
	nested := func(open, shut string, levels int) string {
		return strings.Repeat(open, levels) + "1" + strings.Repeat(shut, levels)
	}
	for _, content := range []string{
		nested("[", "]", 10_000), nested(`{"a":`, "}", 10_000), nested("[", "]", 100_000), strings.Repeat("[", 10_000),
		`{"a":`, `"\ud8"`, `"\x"`, "\"\x01\"", `01`, `1.`, `.5`, `+1`, `1e`, `NaN`, `tru`, `'a'`, `[1,]`, `{"a":1,}`, `{a:1}`, `"open`,
	} {
		p.send(`{"id":7,"command":"broadcast","args":{"channel":"usable","content":` + content + `}}`)
	}
	for _, f := range p.sync() { // an id is only found before the first error in the message
		if !strings.HasPrefix(f.payload, `{"id":7,"ok":false,"error":{"code":"bad_request",`) {
			t.Fatalf("got %v, want bad_request", f)
		}
	}
	if got := srv.Stats().NotDone["bad_request"]; got != 20 {
		t.Errorf("%d bad requests counted, want 20", got)
	}
	p.usable()
	p.write(final(opBinary, nested("[", "]", 10_001)))
	p.expectClose(1003)
}

// A peer may end its side at any moment. It still gets the answers to its input, then the
// end of the stream. There is one exception: if it disconnects during the authorizer's call
// about the connection, and sent nothing after the head, the server does not wait.
func TestAPeerThatEndsItsSideGetsItsAnswersAndTheEnd(t *testing.T) {
	hook := newWebhook(t, nil)
	plain := start(t, Config{HandshakeTimeout: time.Hour})
	asking := start(t, Config{AuthorizerURL: hook.URL})
	join := message(`{"command":"join","args":{"channel":"half"},"id":1}`)
	joined := text(`{"id":1,"ok":true}`)
	post := postRequest("/broadcast", `{"channel":"half","content":1}`)
	for _, tc := range []struct {
		name, sent string
		want       []frame // after the 101
		status     int
	}{
		{"at once", "", nil, 0},
		{"inside the head", upgradeHead("/ws")[:30], nil, 0},
		{"after the head", upgradeHead("/ws"), nil, 101},
		{"inside a frame", upgradeHead("/ws") + join[:9], nil, 101},
		{"inside a message", upgradeHead("/ws") + part(opText, "a"), nil, 101},
		{"after a ping", upgradeHead("/ws") + final(opPing, "p"), []frame{pong("p")}, 101},
		{"after a command", upgradeHead("/ws") + join, []frame{joined}, 101},
		{"after a close", upgradeHead("/ws") + closing(1000, ""), []frame{{true, opClose, "\x03\xe8"}}, 101},
		{"after an error", upgradeHead("/ws") + "\xff", []frame{{true, opClose, "\x03\xea" + "reserved bit set without an extension"}}, 101},
		{"after a POST", post, nil, 201},
	} {
		for name, srv := range map[string]*Server{"plain": plain, "with an authorizer": asking} {
			t.Run(tc.name+", "+name, func(t *testing.T) {
				p := dial(t, srv)
				p.write(tc.sent)
				waits := srv == asking && tc.sent == upgradeHead("/ws")
				if waits {
					p.expectStatus(tc.status)
				}
				p.closeWrite()
				if tc.status > 0 && !waits {
					p.expectStatus(tc.status)
				}
				for _, want := range tc.want {
					p.expect(want.op, want.payload)
				}
				p.expectEnd()
			})
		}
	}
	idle(t, plain, 0, 0, 0)
	idle(t, asking, 0, 0, 0)
}

// 500 peers with half a head and 500 with half a frame, which continue one byte at a
// time, do not delay others.
func TestSlowPeersDoNotHinderOthers(t *testing.T) {
	t.Parallel()
	const slow = 500
	srv := start(t, Config{HandshakeTimeout: time.Hour, PingInterval: time.Hour, MaxMessageSize: 256 << 20}) // a message may take an hour, too
	head, frame := upgradeHead("/ws"), final(opPing, "at last")
	heads, frames := make([]*peer, slow), make([]*peer, slow)
	for i := range slow {
		heads[i], frames[i] = dial(t, srv), connect(t, srv, "/ws")
		heads[i].write(head[:20])
		frames[i].write(frame[:3])
	}
	others := connect(t, srv, "/ws")
	others.join("c")
	for i := range 1000 {
		heads[i%slow].write(head[20+i/slow : 21+i/slow])
		frames[i%slow].write(frame[3+i/slow : 4+i/slow])
		others.broadcast("c", fmt.Sprint(i))
		others.expectText(fmt.Sprint(i))
	}
	for i := range slow {
		heads[i].write(head[22:])
		frames[i].write(frame[5:])
	}
	for i := range slow {
		heads[i].expectUpgrade()
		frames[i].expect(opPong, "at last")
	}
}

// Bodies that never end do not delay other publishers.
func TestBodiesThatNeverEndDoNotHinderOthers(t *testing.T) {
	srv := start(t, Config{})
	srv.drain = time.Second
	for range 200 {
		p := dial(t, srv)
		p.write("POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	}
	p := connect(t, srv, "/ws")
	p.join("c")
	for i := range 100 {
		post201(t, srv, "c", fmt.Sprint(i))
		p.expectText(fmt.Sprint(i))
	}
}

// Input after the error is read and discarded, so the peer gets the Close frame and not
// a reset.
func TestAPeerThatKeepsSendingSeesWhyItWasRefused(t *testing.T) {
	srv := start(t, Config{})
	p := connect(t, srv, "/ws")
	p.write(lyingHeader(8, 1<<30))
	for range 64 {
		p.write(strings.Repeat("x", 64<<10))
	}
	f, err := p.next()
	if err != nil || closeCode(f) != 1009 {
		t.Fatalf("got %v, %v; want close 1009", f, err)
	}
	if _, err := p.r.ReadByte(); err != io.EOF {
		t.Fatalf("got %v, want the end of the stream", err)
	}
}
