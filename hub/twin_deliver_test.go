package hub

import (
	"slices"
	"strconv"
	"strings"

	"wsify/internal/buffer"
)

// next delivers one slice, and reports false when there was none.
func (w *twin) next(loop, limit int) bool {
	w.t.Helper()
	s, ok := w.h.Local(loop).Next(limit)
	if !ok {
		return false
	}
	if len(s.Members) > max(limit, 1) {
		w.t.Fatalf("Next(%d) = %d members", limit, len(s.Members))
	}
	if s.Buffer != nil {
		w.refs.hold(s.Buffer)
		w.deliver(loop, s)
	}
	return true
}

// deliver compares a slice with what the twin expects of its channel: all
// publications that the loop may have taken, for members that got those before.
func (w *twin) deliver(loop int, s Slice) {
	w.t.Helper()
	class := w.h.Local(loop).Class()
	name, run := w.parse(s.Buffer, class)
	ch := w.channels[name]
	if p := w.part(loop, class, name); run[1] != len(ch.sizes) && len(p.sweep.live) < maxLive {
		w.t.Fatalf("slice of %v, %d are published: not all joined", run, len(ch.sizes))
	}
	if len(s.Members) == 0 {
		w.t.Fatalf("%q on loop %d: slice without members", name, loop)
	}
	for _, m := range s.Members {
		st := ch.parts[loop].stays[m.Conn]
		if twinClass(m.Conn) != class {
			w.t.Fatalf("%q on loop %d: class %d for %d, which has class %d", name, loop, class, m.Conn, twinClass(m.Conn))
		}
		if st == nil {
			w.t.Fatalf("%q on loop %d: %v for %d, which is not a member", name, loop, run, m.Conn)
		}
		if st.next != run[0] {
			w.t.Fatalf("%q on loop %d: %v for %d, which expects %d", name, loop, run, m.Conn, st.next)
		}
		w.without(s.Buffer, loop, m.Conn, run[0])
		st.next = run[1]
	}
}

// without compares what a member gets of a buffer with what the twin expects: all publications from
// first on that do not leave it out.
func (w *twin) without(b *buffer.Buffer, loop int, conn uint32, first int) {
	w.t.Helper()
	own := b.Without(twinID(loop, conn))
	defer own.Release()
	var want strings.Builder
	messages := 0
	for i, text := range strings.SplitAfter(string(b.Bytes()), ";")[:b.Messages] {
		name, _, _ := strings.Cut(text, " ")
		if !slices.Contains(w.channels[name].except[first+i], twinID(loop, conn)) {
			want.WriteString(text)
			messages++
		}
	}
	if string(own.Bytes()) != want.String() || own.Messages != messages {
		w.t.Fatalf("%d on loop %d gets %q of %q, want %q", conn, loop, own.Bytes(), b.Bytes(), want.String())
	}
}

// parse returns the channel and the publications that a buffer of this class holds.
func (w *twin) parse(b *buffer.Buffer, class Class) (name string, run [2]int) {
	w.t.Helper()
	texts := strings.Split(strings.TrimSuffix(string(b.Bytes()), ";"), ";")
	if len(texts) != b.Messages {
		w.t.Fatalf("%q counts as %d messages", b.Bytes(), b.Messages)
	}
	for i, text := range texts {
		fields := strings.SplitN(text, " ", 4)
		n, err := strconv.Atoi(fields[1])
		if err != nil || fields[2] != strconv.Itoa(int(class)) || i > 0 && (fields[0] != name || n != run[1]) {
			w.t.Fatalf("%q is not a row of publications for class %d", b.Bytes(), class)
		}
		if i == 0 {
			name, run[0] = fields[0], n
		}
		run[1] = n + 1
	}
	return name, run
}
