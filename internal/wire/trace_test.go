package wire

import (
	"strings"
	"testing"
)

const aParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func traceOf(t *testing.T, headers string) Trace {
	t.Helper()
	r, err := ParseRequest([]byte("GET /ws HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n"))
	if err != nil {
		t.Fatalf("%q: %v", headers, err)
	}
	return r.Trace()
}

func TestTraceOfARequest(t *testing.T) {
	long := "a=" + strings.Repeat("b", maxTraceState-2)
	for headers, want := range map[string]Trace{
		"":                                 {},
		"Tracestate: a=b\r\n":              {},
		"traceparent: " + aParent + "\r\n": {Parent: aParent},
		"TRACEPARENT:  " + aParent + " \r\nTraceState: a=b, c=d\r\n":                     {aParent, "a=b, c=d"},
		"traceparent: " + aParent + "\r\ntracestate: a=b\r\ntracestate: c=d\r\n":         {aParent, "a=b,c=d"},
		"traceparent: " + aParent + "\r\ntracestate: " + long + "\r\n":                   {aParent, long},
		"traceparent: " + aParent + "\r\ntracestate: " + long + "b\r\n":                  {Parent: aParent},
		"traceparent: " + aParent + "\r\ntracestate: a=\xff\r\n":                         {Parent: aParent},
		"traceparent: " + aParent + "\r\ntraceparent: " + aParent + "\r\n":               {},
		"traceparent: cc" + aParent[2:] + "\r\n":                                         {Parent: "cc" + aParent[2:]},
		"traceparent: ff" + aParent[2:] + "\r\n":                                         {},
		"traceparent: " + aParent + "0\r\n":                                              {},
		"traceparent: " + aParent[:54] + "\r\n":                                          {},
		"traceparent: " + strings.ToUpper(aParent) + "\r\n":                              {},
		"traceparent: " + strings.Replace(aParent, "-b7", "_b7", 1) + "\r\n":             {},
		"traceparent: " + strings.Replace(aParent, "0af", "0ag", 1) + "\r\n":             {},
		"traceparent: 00-" + strings.Repeat("0", 32) + aParent[35:] + "\r\n":             {},
		"traceparent: " + aParent[:36] + strings.Repeat("0", 16) + aParent[52:] + "\r\n": {},
	} {
		if got := traceOf(t, headers); got != want {
			t.Errorf("%q: %q, want %q", headers, got, want)
		}
	}
}

// FuzzTrace checks that what is passed on cannot be anything but a trace, whatever is sent.
func FuzzTrace(f *testing.F) {
	f.Add([]byte(aParent), []byte("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"))
	f.Add([]byte("00-00000000000000000000000000000000-0000000000000000-00"), []byte(""))
	f.Fuzz(func(t *testing.T, parent, state []byte) {
		head := append([]byte("GET /ws HTTP/1.1\r\nHost: a\r\ntraceparent: "), parent...)
		head = append(append(append(head, "\r\ntracestate: "...), state...), "\r\n\r\n"...)
		r, err := ParseRequest(head)
		if err != nil {
			return
		}
		got := r.Trace()
		if strings.Trim(got.Parent, "0123456789abcdef-") != "" || len(got.Parent) != 0 && len(got.Parent) != 55 {
			t.Errorf("parent %q", got.Parent)
		}
		if strings.ContainsFunc(got.State, func(r rune) bool { return r < ' ' || r > '~' }) || got.Parent == "" && got.State != "" {
			t.Errorf("state %q", got.State)
		}
	})
}
