package wire

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
)

// inflatedByStd inflates with the standard library what a message holds. It returns at most
// limit+1 bytes.
func inflatedByStd(p []byte, limit int) (out []byte, err error) {
	in := bytes.NewReader(append(bytes.Clone(p), deflateTail...))
	for {
		more, err := io.ReadAll(io.LimitReader(flate.NewReader(in), int64(limit+1-len(out))))
		if out = append(out, more...); err != nil || len(out) > limit || in.Len() == 0 || in.Len() == len(deflateTail) {
			return out, err
		}
	}
}

// FuzzInflate compares compressed messages with the standard library, for any split.
func FuzzInflate(f *testing.F) {
	for _, s := range []string{"", "Hello", strings.Repeat("a", 5000), deflateData(300)[0].want, "caf\xe9"} {
		f.Add([]byte(packed(s)), []byte{3, 1}, uint16(1000))
	}
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), []byte{}, uint16(5))
	f.Add([]byte("\x03\x00\x03\x00\x03\x00"), []byte{1}, uint16(5))
	f.Fuzz(func(t *testing.T, p, sizes []byte, limit uint16) {
		if len(p) > int(limit) { // a header could be refused
			return
		}
		stream := rawFrame(0xc2, string(p))
		got := feedDeflated(t, int(limit), stream)
		for _, chunks := range [][][]byte{cutBy(stream, sizes), bytewise(stream)} {
			if cut := feedDeflated(t, int(limit), chunks...); cut != got {
				t.Fatalf("%x cut by %x: %s\nwhole: %s", p, sizes, cut, got)
			}
		}
		out, err := inflatedByStd(p, int(limit))
		switch {
		case len(out) > int(limit):
			if got != "error 1009" {
				t.Fatalf("%x inflates to over %d bytes: %s", p, limit, got)
			}
		case err != nil: // decoders differ in how much they give before they find the mistake
			if got != "error 1007" && got != "error 1009" {
				t.Fatalf("%x does not inflate (%v): %s", p, err, got)
			}
		case got != blob(string(out)):
			t.Fatalf("%x: %s\nthe standard library: %s", p, got, blob(string(out)))
		}
	})
}

// FuzzDeflatedReader passes arbitrary bytes to a Reader with an agreement.
func FuzzDeflatedReader(f *testing.F) {
	for _, s := range deflateRules() {
		f.Add(s.stream, []byte{2, 0, 7}, uint16(1000))
	}
	f.Add(squeezed(OpText, strings.Repeat("a", 2000), 5), []byte{1}, uint16(1999))
	f.Fuzz(func(t *testing.T, stream, sizes []byte, limit uint16) {
		whole := feedDeflated(t, int(limit), stream)
		if got := feedDeflated(t, int(limit), cutBy(stream, sizes)...); got != whole {
			t.Fatalf("stream %x cut by %x:\n%s\nwhole:\n%s", stream, sizes, got, whole)
		}
		if got := feedDeflated(t, int(limit), bytewise(stream)...); got != whole {
			t.Fatalf("stream %x byte by byte:\n%s\nwhole:\n%s", stream, got, whole)
		}
	})
}

// FuzzDeflate checks that every message comes back.
func FuzzDeflate(f *testing.F) {
	f.Add([]byte(deflateData(700)[0].want), uint8(1), uint8(1), true)
	f.Add([]byte("abc"), uint8(6), uint8(255), false)
	var levels [9]*Deflater
	for i := range levels {
		levels[i] = NewDeflater(1+i, 0)
	}
	f.Fuzz(func(t *testing.T, p []byte, level, times uint8, narrow bool) {
		payload := strings.Repeat(string(p), 1+int(times))
		if len(payload) < 5_000 { // the reference is slow
			checkDeflated(t, levels[level%9], payload, narrow)
		}
	})
}

// The grammar of RFC 6455, section 9.1, as regular expressions.
const (
	tokenRE = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
	paramRE = `[ \t]*;[ \t]*(` + tokenRE + `)(?:[ \t]*=[ \t]*(` + tokenRE + `|"(?:` + tokenRE + `|\\` + tokenRE + `)+"))?`
)

var (
	elementRE    = regexp.MustCompile(`^[ \t,]*(` + tokenRE + `)((?:` + paramRE + `)*)[ \t]*(?:,|$)`)
	oneParamRE   = regexp.MustCompile(paramRE)
	windowBitsRE = regexp.MustCompile(`^(?:8|9|1[0-5])$`)
)

// offerByGrammar is acceptOffer in the simplest way.
func offerByGrammar(line string) string {
	for {
		m := elementRE.FindStringSubmatch(line)
		if m == nil {
			return ""
		}
		line = line[len(m[0]):]
		seen, server, client, good := map[string]bool{}, "", "", m[1] == "permessage-deflate"
		for _, p := range oneParamRE.FindAllStringSubmatch(m[2], -1) {
			name, value, quoted := p[1], p[2], strings.HasPrefix(p[2], `"`)
			if quoted {
				value = strings.ReplaceAll(strings.Trim(value, `"`), `\`, "")
			}
			switch number := windowBitsRE.MatchString(value); name {
			case "server_max_window_bits":
				server, good = value, good && number
			case "client_max_window_bits":
				client, good = value, good && (number || value == "")
			case "server_no_context_takeover", "client_no_context_takeover":
				good = good && value == ""
			default:
				good = false
			}
			good = good && !seen[name]
			seen[name] = true
		}
		if good {
			return fmt.Sprintf("%s/%s", server, client)
		}
	}
}

// FuzzOffers compares offers with the grammar.
func FuzzOffers(f *testing.F) {
	f.Add(`permessage-deflate; client_max_window_bits`)
	f.Add(`foo; a="b\c" , permessage-deflate; server_max_window_bits="1\0"; client_no_context_takeover,permessage-deflate`)
	f.Add(`permessage-deflate; server_max_window_bits=16, , permessage-deflate;client_max_window_bits = 8;server_no_context_takeover`)
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\r\n") {
			return
		}
		got := ""
		if d, ok := acceptOffer(trim([]byte(line))); ok {
			bits := func(n uint8) string { return strings.TrimPrefix(fmt.Sprint(n), "0") }
			got = bits(d.serverBits) + "/" + bits(d.clientBits)
		}
		if want := offerByGrammar(strings.Trim(line, " \t")); got != want {
			t.Fatalf("%q: %q, by the grammar %q", line, got, want)
		}
	})
}
