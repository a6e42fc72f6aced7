package hub

import (
	"slices"
	"testing"
	"unsafe"
)

// crowdOf makes n connections of a class members of the channel, with numbers from first on.
func crowdOf(l *Local, class Class, first, n int, name string) (conns []*testConn) {
	for i := range n {
		c := &testConn{local: l, id: uint32(first + i), set: Memberships{Class: class}}
		c.join(name)
		conns = append(conns, c)
	}
	return conns
}

func TestEachMemberGetsTheFrameOfItsClass(t *testing.T) {
	h := newHub(1)
	l := h.Local(0)
	crowdOf(l, Raw, 0, 2, "news")
	crowdOf(l, Envelope, 10, 2, "news")
	for _, text := range []string{"a", "b"} {
		f := Frames{Raw: frameOf(text), Envelope: frameOf("{" + text + "}"), Stream: frameOf("nobody has this class")}
		if n, missing := h.Publish([]byte("news"), &f); n != 4 || missing != 0 {
			t.Fatalf("Publish = %d, %b, want 4 members", n, missing)
		}
		f.Release()
	}
	expect(t, "two publications", drain(l, 256), "0,1<-ab", "10,11<-{a}{b}")
}

func TestNothingIsPublishedWhileAClassLacksItsFrame(t *testing.T) {
	h := newHub(2)
	crowdOf(h.Local(0), Raw, 0, 1, "news")
	crowdOf(h.Local(1), Stream, 0, 1, "news")
	last := crowdOf(h.Local(1), RawDeflated, 1, 1, "news")[0]
	f := Frames{Raw: frameOf("raw")}
	if n, missing := h.Publish([]byte("news"), &f); n != 0 || !slices.Equal(slices.Collect(missing.Each()), []Class{Stream, RawDeflated}) {
		t.Fatalf("Publish without two frames = %d, %b", n, missing)
	}
	for loop := range 2 {
		expect(t, "before all are encoded", drain(h.Local(loop), 256))
	}
	last.leave("news") // its class is not needed any more
	f[Stream] = frameOf("stream")
	if n, missing := h.Publish([]byte("news"), &f); n != 2 || missing != 0 {
		t.Fatalf("Publish = %d, %b", n, missing)
	}
	expect(t, "loop 0", drain(h.Local(0), 256), "0<-raw")
	expect(t, "loop 1", drain(h.Local(1), 256), "0<-stream")
}

func TestClassesMayShareABuffer(t *testing.T) {
	h := newHub(1)
	crowdOf(h.Local(0), Raw, 0, 1, "news")
	crowdOf(h.Local(0), RawDeflated, 1, 1, "news")
	b := frameOf("small")
	f := Frames{Raw: b, RawDeflated: b.Retain()}
	h.Publish([]byte("news"), &f)
	f.Release()
	expect(t, "both", drain(h.Local(0), 256), "0<-small", "1<-small")
	if f != (Frames{}) {
		t.Error("Release has left frames behind")
	}
}

// The room in a channel is that of its fullest part: a class with larger frames counts.
func TestTheLargestClassTakesTheRoom(t *testing.T) {
	h := New(Config{Loops: 1, MaxPendingBytes: 10, Sink: quiet{}, Watcher: quiet{}})
	crowdOf(h.Local(0), Raw, 0, 1, "news")
	crowdOf(h.Local(0), Envelope, 1, 1, "news")
	f := Frames{Raw: frameOf("1"), Envelope: frameOf("123456789")}
	h.Publish([]byte("news"), &f)
	f.Release()
	if h.Busy([]byte("news"), 1) || !h.Busy([]byte("news"), 2) {
		t.Error("9 of 10 bytes are undelivered, and there is not room for exactly one more")
	}
}

func TestMembershipsCountToTheirBound(t *testing.T) {
	m := Memberships{Class: Streams}
	for _, n := range []int{0, 1, 255, 256, 65535, 65536, MaxMemberships} {
		if m.setCount(n); m.Count() != n || m.Class != Streams {
			t.Errorf("set to %d: count %d, class %d", n, m.Count(), m.Class)
		}
	}
}

func TestClassesCostNoMemory(t *testing.T) {
	if n := unsafe.Sizeof(Memberships{}); n != 8 {
		t.Errorf("Memberships has %d bytes, want 8", n)
	}
	if n := unsafe.Sizeof(Part{}); n != 64 {
		t.Errorf("a Part has %d bytes, want 64", n)
	}
	if n := unsafe.Sizeof(channel{}); n != 128 {
		t.Errorf("a channel has %d bytes, want 128", n)
	}
	if n := unsafe.Sizeof(Slice{}); n != 32 {
		t.Errorf("a Slice has %d bytes: with more than 32 it is not kept in registers", n)
	}
}

func TestDeliveryToTwoClassesDoesNotAllocate(t *testing.T) {
	h := newHub(1)
	crowdOf(h.Local(0), Raw, 0, 100, "news")
	crowdOf(h.Local(0), Envelope, 100, 100, "news")
	raw, envelope, channel := frameOf("hello"), frameOf(`{"content":"hello"}`), []byte("news")
	expectNoAllocs(t, "publications to two classes", func() {
		f := Frames{Raw: raw.Retain()}
		if _, missing := h.Publish(channel, &f); missing != 1<<Envelope {
			t.Fatalf("missing = %b", missing)
		}
		f[Envelope] = envelope.Retain()
		h.Publish(channel, &f)
		f.Release()
		if n := deliverAll(h.Local(0), 256); n != 200 {
			t.Fatalf("%d deliveries, want 200", n)
		}
	})
}
