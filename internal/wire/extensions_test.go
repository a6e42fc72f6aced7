package wire

import (
	"strings"
	"testing"
)

// agreed returns the answer to offers, each in a header line of its own.
func agreed(t testing.TB, lines ...string) (answer string, narrow bool) {
	t.Helper()
	head := strings.TrimSuffix(get(hostLine, upLine, connLine, keyLine, versionLine), "\r\n")
	for _, line := range lines {
		head += "sec-websocket-extensions: " + line + "\r\n"
	}
	head += "\r\n"
	r, err := ParseRequest([]byte(head))
	if err != nil {
		t.Fatalf("ParseRequest(%q): %v", head, err)
	}
	d, ok := r.Deflate()
	reply, err := AppendUpgrade([]byte("before"), &r, []byte(head))
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "", false
	}
	plain := strings.TrimSuffix(string(reply), "\r\n")
	answer, _ = strings.CutPrefix(string(d.AppendTo(reply)), plain+"Sec-WebSocket-Extensions: ")
	if answer, ok = strings.CutSuffix(answer, "\r\n\r\n"); !ok {
		t.Fatalf("the answer is not one more line: %q", d.AppendTo(reply))
	}
	return answer, d.Narrow()
}

func TestTheFirstAcceptableOfferIsAnswered(t *testing.T) {
	const plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	tests := []struct {
		rule   string
		lines  []string
		want   string
		narrow bool
	}{
		{"13.1 the bare offer; Firefox", []string{"permessage-deflate"}, plain, false},
		{"Chromium, npm's ws", []string{"permessage-deflate; client_max_window_bits"}, plain, false},
		{"Python's websockets", []string{"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"}, plain + "; server_max_window_bits=12; client_max_window_bits=12", true},
		{"gorilla", []string{"permessage-deflate; server_no_context_takeover; client_no_context_takeover"}, plain, false},
		{"13.2 no context", []string{"permessage-deflate; server_no_context_takeover"}, plain, false},
		{"13.3 a window of 9 bits", []string{"permessage-deflate; server_max_window_bits=9"}, plain + "; server_max_window_bits=9", true},
		{"13.4 a window of 15 bits", []string{"permessage-deflate; server_max_window_bits=15"}, plain + "; server_max_window_bits=15", false},
		{"13.5 both, with 9", []string{"permessage-deflate; server_no_context_takeover; server_max_window_bits=9"}, plain + "; server_max_window_bits=9", true},
		{"13.6 both, with 15", []string{"permessage-deflate; server_no_context_takeover; server_max_window_bits=15"}, plain + "; server_max_window_bits=15", false},
		{"13.7 several offers", []string{"permessage-deflate; server_no_context_takeover; server_max_window_bits=9, permessage-deflate; server_no_context_takeover, permessage-deflate"}, plain + "; server_max_window_bits=9", true},
		{"7.1.2.1 the narrowest window", []string{"permessage-deflate;server_max_window_bits=8"}, plain + "; server_max_window_bits=8", true},
		{"7.1.2.2 the client's window", []string{"permessage-deflate;client_max_window_bits=8"}, plain + "; client_max_window_bits=8", false},
		{"9110 5.6.4 quoted", []string{`permessage-deflate; server_max_window_bits="1\0"`}, plain + "; server_max_window_bits=10", true},
		{"9110 5.6.1 white space and empty elements", []string{",\t, permessage-deflate\t;  client_max_window_bits = 11 ,,"}, plain + "; client_max_window_bits=11", false},
		{"others before", []string{`bbf-usp-protocol; eid="a.b", x-webkit-deflate-frame, permessage-deflate`}, plain, false},
		{"the second offer", []string{"permessage-deflate; unknown, permessage-deflate; server_max_window_bits=7, permessage-deflate; client_max_window_bits=10"}, plain + "; client_max_window_bits=10", false},
		{"the second line", []string{"permessage-bzip2", "permessage-deflate; server_max_window_bits=0", "permessage-deflate"}, plain, false},
		{"the line behind a syntax error", []string{"permessage-deflate; =", "permessage-deflate"}, plain, false},
		{"an error behind it does not matter", []string{"permessage-deflate, ;;;"}, plain, false},
	}
	for _, tt := range tests {
		if got, narrow := agreed(t, tt.lines...); got != tt.want || narrow != tt.narrow {
			t.Errorf("%s: %q gives %q, narrow is %t; want %q, %t", tt.rule, tt.lines, got, narrow, tt.want, tt.narrow)
		}
	}
}

func TestOtherOffersAreDeclined(t *testing.T) {
	for _, line := range []string{
		"", ",", ";", "permessage-deflat", "Permessage-Deflate", "x-permessage-deflate", "permessage-deflate foo", "foo permessage-deflate",
		"permessage-deflate;", "permessage-deflate; unknown", "permessage-deflate; unknown=1",
		"permessage-deflate; server_no_context_takeover=1", "permessage-deflate; client_no_context_takeover=true",
		"permessage-deflate; server_no_context_takeover; server_no_context_takeover", "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
		"permessage-deflate; client_max_window_bits; client_max_window_bits=10", "permessage-deflate; client_max_window_bits; client_max_window_bits",
		"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", "permessage-deflate; server_max_window_bits",
		"permessage-deflate; server_max_window_bits=", `permessage-deflate; server_max_window_bits=""`, "permessage-deflate; client_max_window_bits=",
		"permessage-deflate; server_max_window_bits=16", "permessage-deflate; server_max_window_bits=08", "permessage-deflate; server_max_window_bits=+9",
		"permessage-deflate; client_max_window_bits=7", "permessage-deflate; client_max_window_bits=99999999999999999999", "permessage-deflate; client_max_window_bits=1 0",
		`permessage-deflate; client_max_window_bits="10`, `permessage-deflate; client_max_window_bits="1 0"`, `permessage-deflate; client_max_window_bits=10"`,
		"permessage-deflate; Server_No_Context_Takeover", `foo="bar", permessage-deflate`, `foo; a="b c", permessage-deflate`,
	} {
		if got, _ := agreed(t, line); got != "" {
			t.Errorf("%q is answered with %q, want no agreement", line, got)
		}
	}
	if got, _ := agreed(t); got != "" {
		t.Errorf("no offer is answered with %q", got)
	}
}
