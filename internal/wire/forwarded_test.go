package wire

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// hops returns the hops of a request with these header lines; "-" is one that is not said.
func hops(t *testing.T, headers ...string) (all []string) {
	t.Helper()
	r, err := ParseRequest([]byte("GET /ws HTTP/1.1\r\nHost: a\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n"))
	if err != nil {
		t.Fatalf("%q: %v", headers, err)
	}
	for hop := range r.Hops {
		switch {
		case !hop.IsValid():
			all = append(all, "-")
		case hop.Port() == 0:
			all = append(all, hop.Addr().String())
		default:
			all = append(all, hop.String())
		}
	}
	return all
}

func TestHopsAreReadFromTheRight(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []string
		want    string
	}{
		{"none", []string{"X-Real-IP: 192.0.2.1"}, ""},
		{"one", []string{"X-Forwarded-For: 192.0.2.1"}, "192.0.2.1"},
		{"three", []string{"X-Forwarded-For: 192.0.2.1, 192.0.2.2,192.0.2.3"}, "192.0.2.3 192.0.2.2 192.0.2.1"},
		{"several lines", []string{"x-forwarded-for: 192.0.2.1, 192.0.2.2", "Cookie: a", "X-FORWARDED-FOR: 192.0.2.3"}, "192.0.2.3 192.0.2.2 192.0.2.1"},
		{"empty entries", []string{"X-Forwarded-For: , 192.0.2.1,, 192.0.2.2 ,", "X-Forwarded-For:"}, "192.0.2.2 192.0.2.1"},
		{"ports", []string{"X-Forwarded-For: 192.0.2.1:4711, [2001:db8::1]:4711"}, "[2001:db8::1]:4711 192.0.2.1:4711"},
		{"IPv6", []string{"X-Forwarded-For: 2001:db8::1, [2001:db8::2], ::ffff:192.0.2.1"}, "192.0.2.1 2001:db8::2 2001:db8::1"},
		{"what is no address", []string{"X-Forwarded-For: unknown, _x, localhost, 192.0.2, unix:, fe80::1%eth0, 0.0.0.0, ::, \"192.0.2.1\", 192.0.2.1:x, 192.0.2.1:65536, 192.0.2.1:, [192.0.2.1], [2001:db8::1, [2001:db8::1]x, :80"},
			"- - - - - - - - - - - - - - - -"},
		{"over any bound", []string{"X-Forwarded-For: " + strings.Repeat("1", 300) + ", 192.0.2.1"}, "192.0.2.1 -"},
		{"Forwarded", []string{"Forwarded: for=192.0.2.1"}, "192.0.2.1"},
		{"its parameters", []string{`Forwarded: by=192.0.2.9;For="192.0.2.1:4711";host=a.com;proto=https, for=192.0.2.2 ; by=x`}, "192.0.2.2 192.0.2.1:4711"},
		{"its forms", []string{`Forwarded: for="[2001:db8::1]", for="[2001:db8::2]:4711"`, `Forwarded: for="192.0.2.1:_hidden"`, `forwarded: for="\1\92.0.2.2"`}, "192.0.2.2 192.0.2.1 [2001:db8::2]:4711 2001:db8::1"},
		{"what it hides", []string{`Forwarded: for=unknown, for=_hidden, for="_x:80", by=192.0.2.1, proto=http, for, for=, for="", for=192.0.2.1;for=192.0.2.2, for="192.0.2.1:_"`}, "- - - - - - - - - -"},
		{"separators in quotes", []string{`Forwarded: host="a,b;for=192.0.2.9";for=192.0.2.1, for=192.0.2.2;x="\",for=192.0.2.9,\\"`}, "192.0.2.2 192.0.2.1"},
		{"a quotation mark of the client", []string{`Forwarded: for=192.0.2.9;x=", for=192.0.2.1`}, "192.0.2.1 -"},
		{"and before a quoted entry", []string{`Forwarded: for=192.0.2.9;x=", for="[2001:db8::1]"`}, "2001:db8::1 -"},
		{"both headers: X-Forwarded-For counts", []string{"Forwarded: for=192.0.2.9", "X-Forwarded-For: 192.0.2.1"}, "192.0.2.1"},
		{"also when it is empty", []string{"Forwarded: for=192.0.2.9", "X-Forwarded-For:"}, ""},
	} {
		if got := hops(t, c.headers...); strings.Join(got, " ") != c.want {
			t.Errorf("%s: hops %v, want [%s]", c.name, got, c.want)
		}
	}
}

func TestACallerMayStopAtAnyHop(t *testing.T) {
	r, err := ParseRequest([]byte("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2, 192.0.2.3\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	for most := 1; most <= 3; most++ {
		n := 0
		for range r.Hops {
			if n++; n == most {
				break
			}
		}
		if n != most {
			t.Errorf("%d hops, want to stop after %d", n, most)
		}
	}
}

// FuzzHops: whatever a client has written, the entry that a proxy adds at the right is read
// first, in each form.
func FuzzHops(f *testing.F) {
	for _, seed := range []string{"", "192.0.2.9", `for="`, `"`, `\`, `for="[::1]`, `a;b="c\`, `,;="\,`} {
		f.Add(seed)
	}
	want := netip.MustParseAddrPort("[2001:db8::1]:4711")
	f.Fuzz(func(t *testing.T, written string) {
		if !all([]byte(written), isValue) {
			return
		}
		for _, added := range []string{
			"X-Forwarded-For: " + written + ", [2001:db8::1]:4711",
			"X-Forwarded-For: " + written + "\r\nX-Forwarded-For: [2001:db8::1]:4711",
			"Forwarded: " + written + `, for="[2001:db8::1]:4711";proto=https`,
			"Forwarded: " + written + `, by="a\\";for="[2001:db8::1]:4711"`,
			"Forwarded: " + written + "\r\n" + `Forwarded: for="[2001:db8::1]:4711"`,
		} {
			r, err := ParseRequest([]byte("GET / HTTP/1.1\r\nHost: a\r\n" + added + "\r\n\r\n"))
			if err != nil {
				t.Fatalf("%q: %v", added, err)
			}
			got := slices.Collect(r.Hops)
			if len(got) == 0 || got[0] != want {
				t.Fatalf("%q: hops %v; want %v first", added, got, want)
			}
			for _, hop := range got {
				if a := hop.Addr(); hop.IsValid() && (a.Is4In6() || a.Zone() != "" || a.IsUnspecified()) {
					t.Fatalf("%q: hop %v", added, hop)
				}
			}
		}
	})
}
