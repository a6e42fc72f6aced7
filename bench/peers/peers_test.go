package peers_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestEachPeerServesItsProtocol(t *testing.T) {
	peers := []struct {
		name string
		dialect
	}{
		{"nbio", wsify},
		{"gws", wsify},
		{"gobwasepoll", wsify},
		{"coder", wsify},
		{"gorilla", wsify},
		{"centrifuge", centrifugal},
	}
	for _, peer := range peers {
		t.Run(peer.name, func(t *testing.T) {
			p := start(t, peer.name)
			testProtocol(t, &peer.dialect, p.addr)
			testEnds(t, p, peer.name)
		})
	}
}

func testProtocol(t *testing.T, d *dialect, addr string) {
	steps := []struct {
		rule string
		test func(t *testing.T, d *dialect, addr string)
	}{
		{"a publication reaches both members byte for byte, the sender too", testBytes},
		{"a publication by POST reaches the members", testPost},
		{"who left hears nothing any more", testLeave},
		{"two channels stay apart", testApart},
		{"content of 64 KiB is one message", testLarge},
		{"a ping is answered, and what follows is heard", testPing},
		{"200 connections hear one publication", testCrowd},
		{"clients reset amid publications harm nobody", testReset},
		{"a client that does not read keeps nothing from the others", testStuck},
	}
	for _, s := range steps {
		t.Run(s.rule, func(t *testing.T) { s.test(t, d, addr) })
	}
}

func testBytes(t *testing.T, d *dialect, addr string) {
	a, b := d.open(t, addr), d.open(t, addr)
	a.joins(t, "news")
	b.joins(t, "news")
	for _, content := range []string{
		`{"b":1,"a":12345678901234567890,"e":1.0e+2,"s":"é\u00e9\/<&>"}`, `"text"`, `[1,2.50]`, `null`,
	} {
		a.publishes(t, "news", content)
		a.hears(t, content)
		b.hears(t, content)
	}
}

func testPost(t *testing.T, d *dialect, addr string) {
	m := d.open(t, addr)
	m.joins(t, "posted")
	for i := range 3 {
		content := fmt.Sprintf(`{"n":%d}`, i)
		if err := post(addr, "posted", content); err != nil {
			t.Fatal(err)
		}
		m.hears(t, content)
	}
}

func testLeave(t *testing.T, d *dialect, addr string) {
	m := d.open(t, addr)
	m.joins(t, "left")
	m.joins(t, "kept")
	m.leaves(t, "left")
	for _, channel := range []string{"left", "kept"} {
		if err := post(addr, channel, `"`+channel+`"`); err != nil {
			t.Fatal(err)
		}
	}
	m.hears(t, `"kept"`)
}

func testApart(t *testing.T, d *dialect, addr string) {
	a, b := d.open(t, addr), d.open(t, addr)
	a.joins(t, "a")
	b.joins(t, "b")
	a.publishes(t, "a", `"to a"`)
	a.publishes(t, "b", `"to b"`)
	a.publishes(t, "a", `"to a again"`)
	b.hears(t, `"to b"`)
	a.hears(t, `"to a"`)
	a.hears(t, `"to a again"`)
}

func testLarge(t *testing.T, d *dialect, addr string) {
	m := d.open(t, addr)
	m.joins(t, "large")
	content := `"` + strings.Repeat("x", 64<<10-2) + `"`
	m.publishes(t, "large", content)
	m.hears(t, content)
	if err := post(addr, "large", content); err != nil {
		t.Fatal(err)
	}
	m.hears(t, content)
}

// testPing has no answer to wait for by itself: the library gives it to Ping while
// somebody reads.
func testPing(t *testing.T, d *dialect, addr string) {
	m := d.open(t, addr)
	m.joins(t, "pinged")
	pinged := make(chan error, 1)
	go func() {
		err := m.ws.Ping(t.Context())
		pinged <- err
		if err == nil {
			err = post(addr, "pinged", `"after"`)
		}
		pinged <- err
	}()
	m.hears(t, `"after"`)
	for range cap(pinged) + 1 {
		if err := <-pinged; err != nil {
			t.Error(err)
		}
	}
}

func testCrowd(t *testing.T, d *dialect, addr string) {
	members := make([]*member, 200)
	for i := range members {
		members[i] = d.open(t, addr)
		members[i].joins(t, "crowd")
	}
	if err := post(addr, "crowd", `{"to":"all"}`); err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		m.hears(t, `{"to":"all"}`)
	}
}

// testReset lets the victims go after the first publication was heard, while the
// others are being sent.
func testReset(t *testing.T, d *dialect, addr string) {
	const publications = 100
	survivors, victims := make([]*member, 40), make([]*member, 40)
	for i := range survivors {
		survivors[i], victims[i] = d.open(t, addr), d.open(t, addr)
		victims[i].joins(t, "reset")
		survivors[i].joins(t, "reset")
	}
	text := strings.Repeat("x", 1000)
	content := func(n int) string { return fmt.Sprintf(`{"n":%d,"text":%q}`, n, text) }
	posted := make(chan error, 1)
	go func() {
		for n := range publications {
			if err := post(addr, "reset", content(n)); err != nil {
				posted <- fmt.Errorf("publication %d: %w", n, err)
				return
			}
		}
		posted <- nil
	}()
	survivors[0].hears(t, content(0))
	for _, v := range victims {
		v.reset()
	}
	for i, s := range survivors {
		first := 0
		if i == 0 {
			first = 1
		}
		for n := first; n < publications; n++ {
			s.hears(t, content(n))
		}
	}
	if err := <-posted; err != nil {
		t.Fatal(err)
	}
}

// testStuck publishes more than the kernel holds for a client that does not read.
func testStuck(t *testing.T, d *dialect, addr string) {
	const publications = 200
	stuck, reader := d.open(t, addr), d.open(t, addr)
	stuck.joins(t, "stuck")
	reader.joins(t, "stuck")
	content := `"` + strings.Repeat("x", 60_000) + `"`
	posted := make(chan error, 1)
	go func() {
		for range publications {
			if err := post(addr, "stuck", content); err != nil {
				posted <- err
				return
			}
		}
		posted <- nil
	}()
	for range publications {
		reader.hears(t, content)
	}
	if err := <-posted; err != nil {
		t.Fatal(err)
	}
}
