package session

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A deflateOffer is what a client offers in group 13, and what it gets.
type deflateOffer struct{ name, offer, agreed string }

// deflateOffers are those of group 13. Group 12 makes the first one.
func deflateOffers() []deflateOffer {
	const alone = "; server_no_context_takeover"
	return []deflateOffer{
		{"13.1", "", ""},
		{"13.2", alone, ""},
		{"13.3", "; server_max_window_bits=9", "; server_max_window_bits=9"},
		{"13.4", "; server_max_window_bits=15", "; server_max_window_bits=15"},
		{"13.5", alone + "; server_max_window_bits=9", "; server_max_window_bits=9"},
		{"13.6", alone + "; server_max_window_bits=15", "; server_max_window_bits=15"},
		{"13.7", alone + "; server_max_window_bits=9, permessage-deflate" + alone + ", permessage-deflate; server_max_window_bits=9, permessage-deflate", "; server_max_window_bits=9"},
	}
}

// deflateTexts are contents of group 12, of the given size. What is not text stands in
// JSON as digits.
func deflateTexts(size int) map[string]string {
	rng, noise := rand.New(rand.NewPCG(12, 2)), make([]byte, size)
	for i := range noise {
		noise[i] = ' ' + byte(rng.IntN(90))
		if noise[i] == '"' || noise[i] == '\\' {
			noise[i] = 'x'
		}
	}
	var list strings.Builder
	for i := 0; list.Len() < size; i++ {
		fmt.Fprintf(&list, "[%d,%d,%x],", i, i%7, rng.Uint64())
	}
	repeat := func(s string) string { return strings.Repeat(s, 1+size/len(s))[:size] }
	return map[string]string{
		"12.1 a list":       list.String()[:size],
		"12.2 a picture":    string(noise),
		"12.3 a poem":       repeat("Da steh ich nun, ich armer Tor! Und bin so klug als wie zuvor; "),
		"12.4 a page":       repeat("<tr class='odd'><td>1</td><td><a href='/page/1'>Page</a></td></tr>"),
		"12.5 many repeats": repeat("0123456789"),
	}
}

// deflateSizes are the sizes of messages and of their fragments in both groups; cases 1 to 18.
// The race detector gets the smaller ones.
func deflateSizes() []sizeCase {
	var all []sizeCase
	for i, size := range []int{16, 64, 256, 1 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10} {
		all = append(all, sizeCase{name: strconv.Itoa(1 + i), size: size, fragment: whole})
	}
	for i, size := range []int{8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10} {
		all = append(all, sizeCase{name: strconv.Itoa(11 + i), size: size, fragment: 256})
	}
	for i, fragment := range []int{1 << 10, 4 << 10, 32 << 10} {
		all = append(all, sizeCase{name: strconv.Itoa(16 + i), size: 128 << 10, fragment: fragment})
	}
	most := unlessRace(128<<10, 8<<10)
	return slices.DeleteFunc(all, func(c sizeCase) bool { return c.size > most })
}

// runDeflated sends one message on a connection with an agreement, and expects it back. The
// server's is a publication.
func (to target) runDeflated(p *peer, size sizeCase, payload string) {
	p.t.Helper()
	sent, want := payload, payload
	if !to.echo {
		want = `"` + payload + `"`
		sent = `{"command":"broadcast","args":{"channel":"big","content":` + want + `}}`
	}
	p.write(squeezed(opText, sent, size.fragment))
	p.expectText(want)
}

func TestConformanceOfCompression(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{MaxMessageSize: 32 << 20, WriteQueueSize: 64 << 20, Compression: true, CompressionMinSize: 1, CompressionLevel: 1})
	for _, to := range []target{{"wsify", srv.Addr().String(), false}, {"echo", startEcho(t), true}} {
		for _, o := range deflateOffers() {
			t.Run(to.name+"/"+o.name, func(t *testing.T) {
				p := dialAddr(t, "tcp", to.addr)
				p.write(upgradeHead("/ws", offerHeader(o.offer)))
				p.expectDeflate(o.agreed)
				if !to.echo {
					p.join("big")
				}
				repeating := 0
				for _, size := range deflateSizes() {
					for name, text := range deflateTexts(size.size) {
						if to.runDeflated(p, size, text); t.Failed() {
							t.Fatalf("%s, case %s", name, size.name)
						}
						if size.size >= 256 && name > "12.3" {
							repeating++
						}
					}
				}
				if p.deflated < repeating {
					t.Errorf("%d messages came back compressed, want the %d of which parts repeat", p.deflated, repeating)
				}
				to.usable(p)
				p.write(closing(1000, ""))
				p.expectClose(1000)
			})
		}
	}
}
