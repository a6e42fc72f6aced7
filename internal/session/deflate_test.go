package session

import (
	"fmt"
	"strings"
	"testing"

	"wsify/internal/command"
	"wsify/internal/testtool"
	"wsify/internal/wire"
)

// deflating is a Config with compression from 512 bytes on.
func deflating() Config {
	return Config{Compression: true, CompressionMinSize: 512, CompressionLevel: 1}
}

// jsonOf returns a JSON string of n bytes that shrinks.
func jsonOf(n int) string { return `"` + strings.Repeat("abc ", 1+n/4)[:n-2] + `"` }

func TestCompressionIsDeclinedByDefault(t *testing.T) {
	srv := start(t, Config{})
	p := dial(t, srv)
	p.write(upgradeHead("/ws", offerHeader("; client_max_window_bits")))
	if got := p.expectStatus(101).header.Values("Sec-WebSocket-Extensions"); got != nil {
		t.Fatalf("Sec-WebSocket-Extensions: %q, want none", got)
	}
	p.sendDeflated(`{"command":"join","args":{"channel":"c"}}`)
	p.expectClose(1002)
}

func TestAClientThatOffersNothingIsNotCompressedTo(t *testing.T) {
	srv := start(t, deflating())
	p := connect(t, srv, "/ws")
	p.join("c")
	post201(t, srv, "c", jsonOf(2000))
	p.expectText(jsonOf(2000))
	p.sendDeflated(`{"command":"leave","args":{"channel":"c"}}`)
	p.expectClose(1002)
}

func TestAPublicationReachesMembersOfEveryKind(t *testing.T) {
	srv := start(t, deflating())
	var plain, wide, narrow []*peer
	for range 4 { // on both loops
		plain, wide = append(plain, connect(t, srv, "/ws")), append(wide, connectDeflated(t, srv, "/ws"))
		p := dial(t, srv)
		p.write(upgradeHead("/ws", offerHeader("; server_max_window_bits=12; client_max_window_bits=12")))
		p.expectDeflate("; server_max_window_bits=12; client_max_window_bits=12")
		narrow = append(narrow, p)
	}
	all := append(append(append([]*peer(nil), plain...), wide...), narrow...)
	for _, p := range all {
		p.join("c", "d")
	}
	for _, content := range []string{jsonOf(600), `1`, jsonOf(60_000), jsonOf(1 << 10)} {
		post201(t, srv, "c", content)
		wide[0].sendDeflated(`{"command":"broadcast","args":{"channel":"d","content":` + content + `}}`)
		shrinks := strings.HasPrefix(content, `"abc`)
		for _, p := range all {
			p.expectDeflated(shrinks && p.deflate, content)
			p.expectDeflated(shrinks && p.deflate, content)
		}
	}
	for _, p := range all {
		p.leave("c")
		p.usable()
	}
}

func TestAMessageIsCompressedFromTheMinimalSizeOn(t *testing.T) {
	srv := start(t, deflating())
	p := connectDeflated(t, srv, "/ws")
	p.join("c")
	for n, compressed := range map[int]bool{2: false, 511: false, 512: true, 513: true} {
		post201(t, srv, "c", jsonOf(n))
		p.expectDeflated(compressed, jsonOf(n))
	}
	long := strings.Repeat("x", 200)
	for range 3 {
		p.sendDeflated(`{"command":"nothing","id":"` + long + `"}`) // answers are plain
		p.expectDeflated(false, fmt.Sprintf(`{"id":%q,"ok":false,"error":{"code":"unknown_command","message":"the commands are join, leave and broadcast"}}`, long))
	}
}

func TestAMessageThatDoesNotShrinkIsSentAsItIs(t *testing.T) {
	cfg := deflating()
	cfg.CompressionMinSize = 1
	srv := start(t, cfg)
	p := connectDeflated(t, srv, "/ws")
	p.join("c")
	for content, compressed := range map[string]bool{`1`: false, `"abcdefgh"`: false, jsonOf(100): true} {
		post201(t, srv, "c", content)
		p.expectDeflated(compressed, content)
	}
}

func TestPublicationsThatAMemberIsOwedAreCompressed(t *testing.T) {
	srv := start(t, deflating())
	p := connectDeflated(t, srv, "/ws")
	p.join("c")
	broadcast := func(n int) string {
		return squeezed(opText, `{"command":"broadcast","args":{"channel":"c","content":`+jsonOf(n)+`}}`, 10)
	}
	p.write(broadcast(700) + broadcast(10) + broadcast(900) + squeezed(opText, `{"command":"leave","args":{"channel":"c"},"id":1}`, 7))
	p.expectDeflated(true, jsonOf(700))
	p.expectDeflated(false, jsonOf(10))
	p.expectDeflated(true, jsonOf(900))
	p.expectDeflated(false, `{"id":1,"ok":true}`)
}

func TestACompressedMessageIsBoundedWhileItInflates(t *testing.T) {
	cfg := deflating()
	cfg.MaxMessageSize = 10_000
	srv := start(t, cfg)
	command := func(n int) string { // a command of n bytes
		head := `{"command":"join","args":{"channel":"c"},"x":"`
		return head + strings.Repeat("x", n-len(head)-len(`"}`)) + `"}`
	}
	p := connectDeflated(t, srv, "/ws")
	p.sendDeflated(command(10_000))
	p.usable()
	p.sendDeflated(command(10_001))
	p.expectClose(1009)
	bomb := connectDeflated(t, srv, "/ws")
	bomb.sendDeflated(strings.Repeat("0", 9_000_000)) // in some 9,000 bytes
	bomb.expectClose(1009)
}

func TestBadCompressedMessagesCloseTheConnection(t *testing.T) {
	srv := start(t, deflating())
	for name, tt := range map[string]struct {
		bytes string
		code  int
	}{
		"garbage":                    {masked(0xc1, "\xff\xff\xff"), 1007},
		"no byte":                    {masked(0xc1, ""), 1007},
		"a message that is cut":      {masked(0xc1, packed(`{"command":"join"}`)[:5]), 1007},
		"text that is no UTF-8":      {squeezed(opText, "\"\xff\"", whole), 1007},
		"binary that is no JSON":     {squeezed(opBinary, "\x00\xff", whole), 1003},
		"the bit on a ping":          {masked(0xc9, packed("ping")), 1002},
		"the bit on a second frame":  {masked(0x41, "") + masked(0xc0, packed("1")), 1002},
		"the bits 1 and 2":           {masked(0xe1, packed("1")), 1002},
		"the bit 3":                  {masked(0x91, "1"), 1002},
		"a context that was kept":    {masked(0xc2, "\xf2\x00\x11\x00\x00"), 1007},
		"garbage behind a last part": {masked(0xc1, "\x03\x00\xff\xff"), 1007},
	} {
		p := connectDeflated(t, srv, "/ws")
		p.write(tt.bytes)
		t.Log(name)
		p.expectClose(tt.code)
	}
	for _, good := range []string{masked(0xc1, "\x00"), masked(0xc1, "\x03\x00"), masked(0x41, "") + masked(0x80, "\x00"), squeezed(opText, "1", 1)} {
		p := connectDeflated(t, srv, "/ws")
		p.chopped(good, 1)
		p.usable()
	}
}

func TestAParkedSessionAnswersPingsBehindCompressedMessages(t *testing.T) {
	hook := newWebhook(t, nil)
	cfg := deflating()
	cfg.AuthorizerURL, cfg.AuthorizerEvents = hook.URL, []string{"join"}
	srv := start(t, cfg)
	p := connectDeflated(t, srv, "/ws")
	release := hook.hold(nil)
	p.sendDeflated(`{"command":"join","args":{"channel":"c"},"id":1}`)
	hook.awaitQuestions(1, "join")
	p.write(squeezed(opText, `{"command":"leave","args":{"channel":"c"},"id":2}`, 9) + masked(0x89, "there?"))
	p.expect(opPong, "there?")
	release()
	p.expectText(`{"id":1,"ok":true}`, `{"id":2,"ok":true}`)
}

func TestNothingIsKeptForAnIdleConnectionWithCompression(t *testing.T) {
	srv := start(t, deflating())
	p := connectDeflated(t, srv, "/ws")
	p.join("c")
	for i := range 20 {
		p.write(squeezed(opText, `{"command":"broadcast","args":{"channel":"c","content":`+jsonOf(600+i)+`}}`, 30))
		p.expectDeflated(true, jsonOf(600+i))
	}
	testtool.Until(t, "the session has no extra", func() bool {
		extras := 0
		for _, l := range srv.loops {
			onLoop(t, l, func() { extras += l.extras.Len() })
		}
		return extras == 0
	})
}

func TestACompressedPublicationLeavesMembersOut(t *testing.T) {
	srv := start(t, deflating())
	var members []*peer
	for range 3 {
		members = append(members, connectDeflated(t, srv, "/ws"), connect(t, srv, "/ws"))
	}
	var ids []string
	for _, p := range members {
		p.join("c")
		ids = append(ids, idOf(t, srv, p))
	}
	for i := range members {
		for _, n := range []int{10, 600, 5000} { // 10 goes plain to all
			publishBut(t, srv, "c", jsonOf(n+i), ids[i])
		}
	}
	for i, p := range members {
		for left := range members {
			for _, n := range []int{10, 600, 5000} {
				if left != i {
					p.expectDeflated(p.deflate && n > 10, jsonOf(n+left))
				}
			}
		}
		p.expectNothing()
	}
}

// A few bytes inflate to a message of the largest size, so there may be hundreds in one read.
func TestOthersHaveTheirTurnBetweenLargeCompressedMessages(t *testing.T) {
	cfg := deflating()
	cfg.Loops = 1
	srv := start(t, cfg)
	p, other := connectDeflated(t, srv, "/ws"), connect(t, srv, "/ws")
	const many = 300
	var all strings.Builder
	for i := range many {
		all.WriteString(squeezed(opText, fmt.Sprintf(`{"command":"broadcast","args":{"channel":"c","pad":"%s"},"id":%d}`, strings.Repeat("x", 65_000), i), whole))
	}
	if all.Len() > 60_000 {
		t.Fatalf("%d messages in %d bytes, want fewer", many, all.Len())
	}
	l, turns := srv.loops[0], make(chan []uint64, 1)
	release := holdLoop(t, l)
	p.write(all.String())
	handled := []uint64{0} // by the loop's turns
	var look func()
	look = func() {
		if n := l.counts.received[command.Broadcast].Load(); n > handled[len(handled)-1] {
			handled = append(handled, n)
		}
		if handled[len(handled)-1] < many {
			l.net.Post(look)
		} else {
			turns <- handled
		}
	}
	l.net.Post(look)
	release()
	other.usable()
	for i := range many {
		p.expectText(fmt.Sprintf(`{"id":%d,"ok":true}`, i))
	}
	p.usable()
	handled = <-turns
	for i, n := range handled[1:] {
		if n-handled[i] > 2+maxInflated/65_000 { // one may be that of the other
			t.Fatalf("%d messages were handled in one turn: %v", n-handled[i], handled)
		}
	}
}

func TestWhatAClientRecoversIsCompressedLikeOtherPublications(t *testing.T) {
	srv := start(t, keepHistory(deflating(), 10, 1<<20))
	first := connect(t, srv, "/ws").expectJoin("h", "", "", "joined")
	sizes := []int{600, 20, 5000}
	for _, n := range sizes {
		post201(t, srv, "h", jsonOf(n))
	}
	for _, offered := range []string{"", "; server_max_window_bits=8"} {
		for range 2 { // the second is given what was compressed for the first
			p := dial(t, srv)
			p.write(upgradeHead("/ws", offerHeader(offered)))
			p.expectDeflate(offered)
			p.send(fmt.Sprintf(`{"command":"join","args":{"channel":"h"%s},"id":77}`, sincePosition(first.Position)))
			for _, n := range sizes {
				p.expectDeflated(n > 512, jsonOf(n))
			}
			if f, err := p.next(); err != nil || !strings.Contains(f.payload, `"recovered":true`) || p.deflated != 2 {
				t.Errorf("after what was missed: %v, %v, with %d compressed messages", f, err, p.deflated)
			}
		}
	}
}

func TestTheMinimalSizeIsThatOfTheEnvelope(t *testing.T) {
	srv := start(t, deflating())
	for _, offered := range []string{"", "; server_max_window_bits=10"} {
		p, q := dial(t, srv), connectDeflated(t, srv, "/ws")
		p.write(upgradeHead("/ws", offer, offerHeader(offered)))
		p.expectDeflate(offered)
		q.join("c")
		p.sendDeflated(`{"command":"join","args":{"channel":"c"},"id":1}`)
		p.expectDeflated(false, `{"type":"reply","id":1,"ok":true}`)
		for _, n := range []int{480, 511, 512} { // with its type and channel, 480 bytes are over the minimum
			post201(t, srv, "c", jsonOf(n))
			p.expectDeflated(true, `{"type":"message","channel":"c","content":`+jsonOf(n)+`}`)
			q.expectDeflated(n >= 512, jsonOf(n))
		}
		post201(t, srv, "c", "1")
		p.expectDeflated(false, `{"type":"message","channel":"c","content":1}`)
		q.expectDeflated(false, "1")
		p.Close()
	}
}

// TestSlowMembersShareOneCompressedPublication: what waits for all of them is kept once.
func TestSlowMembersShareOneCompressedPublication(t *testing.T) {
	cfg := deflating()
	cfg.Loops, cfg.WriteQueueSize = 1, 64<<20
	srv := start(t, cfg)
	members := make([]*peer, 8)
	for i := range members {
		members[i] = connectDeflated(t, srv, "/ws")
		members[i].join("c")
	}
	content := `"` + deflateTexts(60_000)["12.1 a list"] + `"`
	many, size := unlessRace(100, 30), 0
	srv.deflater.Deflate(wire.AppendFrame(nil, wire.OpText, []byte(content)), false, func(frame []byte) { size = len(frame) })
	for range many {
		post201(t, srv, "c", content)
		settle(t, srv)
	}
	most := int64(2*size*many + 16*many*len(members)) // a buffer is up to twice as large as what it holds
	if got := srv.group.Queued(); got < int64(size) || got > most {
		t.Errorf("%d publications of %d bytes keep %d bytes for %d members, want at most %d, and not none", many, size, got, len(members), most)
	} else {
		t.Logf("%d publications of %d bytes keep %d bytes for %d members", many, size, got, len(members))
	}
	for _, p := range members {
		for range many {
			p.expectDeflated(true, content)
		}
	}
}
