package session

import (
	"bytes"
	"compress/flate"
	"io"
	"strings"
	"testing"
)

const rsv1 = 0x40

// offerHeader offers permessage-deflate with the given parameters.
func offerHeader(parameters string) string {
	return "Sec-WebSocket-Extensions: permessage-deflate" + parameters
}

// connectDeflated is connect with an offer, which has to be accepted.
func connectDeflated(t testing.TB, srv *Server, target string, headers ...string) *peer {
	t.Helper()
	p := dial(t, srv)
	p.write(upgradeHead(target, append(headers, offerHeader("; client_max_window_bits"))...))
	p.expectDeflate("")
	return p
}

// expectDeflate reads the 101 and checks what was agreed on.
func (p *peer) expectDeflate(parameters string) {
	p.t.Helper()
	want := "permessage-deflate; server_no_context_takeover; client_no_context_takeover" + parameters
	if got := p.expectStatus(101).header.Values("Sec-WebSocket-Extensions"); len(got) != 1 || got[0] != want {
		p.t.Fatalf("Sec-WebSocket-Extensions: %q, want %q", got, want)
	}
	p.deflate = true
}

// packed compresses s as a client does.
func packed(s string) string {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, 6)
	_, _ = io.WriteString(w, s)
	_ = w.Flush()
	return strings.TrimSuffix(out.String(), "\x00\x00\xff\xff")
}

// unpacked inflates the payload of a message.
func unpacked(s string) (string, error) {
	out, err := io.ReadAll(flate.NewReader(strings.NewReader(s + "\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	return string(out), err
}

// squeezed is a client's compressed message in frames of at most size payload bytes.
func squeezed(op byte, payload string, size int) string {
	all := fragments(op, packed(payload), size)
	return string([]byte{all[0] | rsv1}) + all[1:]
}

// sendDeflated sends text as one compressed message.
func (p *peer) sendDeflated(text string) {
	p.t.Helper()
	p.write(squeezed(opText, text, whole))
}

// expectDeflated reads one message and checks that it was compressed, or was not.
func (p *peer) expectDeflated(compressed bool, text string) {
	p.t.Helper()
	before := p.deflated
	p.expectText(text)
	if got := p.deflated > before; got != compressed {
		p.t.Fatalf("a message of %d bytes: compressed is %t, want %t", len(text), got, compressed)
	}
}
