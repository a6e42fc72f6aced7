package wire

import "bytes"

// maxTraceState is the most bytes of a tracestate; W3C Trace Context, section 3.3.1.5.
const maxTraceState = 512

// Trace says which trace a request belongs to: the values of the headers traceparent and
// tracestate. Both are empty for a request without a trace.
type Trace struct{ Parent, State string }

// Trace returns the trace of a request. A traceparent that is not valid, or repeats, is
// none. A tracestate that is not valid is left out.
func (r *Request) Trace() (t Trace) {
	parents := r.values("Traceparent")
	if len(parents) != 1 || !isTraceParent(parents[0]) {
		return Trace{}
	}
	t.Parent = string(parents[0])
	if state := bytes.Join(r.values("Tracestate"), []byte(",")); isTraceState(state) {
		t.State = string(state)
	}
	return t
}

// isTraceParent reports whether p is version-trace-parent-flags in lower-case
// hexadecimal digits; W3C Trace Context, section 3.2.
func isTraceParent(p []byte) bool {
	const size, zeros = 55, "00000000000000000000000000000000"
	if len(p) != size {
		return false
	}
	for i, b := range p {
		switch {
		case i == 2 || i == 35 || i == 52:
			if b != '-' {
				return false
			}
		case (b < '0' || b > '9') && (b < 'a' || b > 'f'):
			return false
		}
	}
	return string(p[:2]) != "ff" && string(p[3:35]) != zeros && string(p[36:52]) != zeros[:16]
}

// isTraceState reports whether p is short enough, and visible ASCII and spaces. Its
// entries are for those who wrote them.
func isTraceState(p []byte) bool {
	if len(p) > maxTraceState {
		return false
	}
	for _, b := range p {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return true
}
