package hub

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"wsify/internal/buffer"
)

// BenchmarkPublish publishes and delivers without sending: the hub's own cost.
func BenchmarkPublish(b *testing.B) {
	for _, members := range []int{1, 100, 10_000} {
		for _, joined := range []int{1, 4} {
			b.Run(fmt.Sprintf("members=%d/joined=%d", members, joined), func(b *testing.B) {
				h := newHub(1)
				joinAll(h.Local(0), members, "news")
				channel, frame := []byte("news"), frameOf("a publication of some fifty bytes, as many of them are")
				sum := uint32(0) // so that each member is read
				b.ReportAllocs()
				for b.Loop() {
					for range joined {
						h.publishRaw(channel, frame)
					}
					h.Local(0).Take()
					for s, ok := h.Local(0).Next(256); ok; s, ok = h.Local(0).Next(256) {
						for _, m := range s.Members {
							sum += m.Conn
						}
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*members*joined), "ns/delivery")
			})
		}
	}
}

// BenchmarkJoinLeave joins and leaves one channel beside others of the connection.
func BenchmarkJoinLeave(b *testing.B) {
	for _, tc := range []struct {
		what   string
		others int
		fresh  bool
	}{{"channel=kept/beside=0", 0, false}, {"channel=kept/beside=31", 31, false}, {"channel=kept/beside=127", 127, false}, {"channel=new/beside=0", 0, true}} {
		b.Run(tc.what, func(b *testing.B) {
			h := newHub(1)
			c := testConn{local: h.Local(0), id: 1}
			for i := range tc.others {
				c.join(fmt.Sprintf("other-%d", i))
			}
			if !tc.fresh {
				joinAll(h.Local(0), 1, "news")
			}
			name := []byte("news")
			b.ReportAllocs()
			for b.Loop() {
				c.local.Join(c.id, &c.set, name)
				c.local.Leave(c.id, &c.set, name)
			}
		})
	}
}

// BenchmarkShards makes every core publish to, join and leave channels of its own
// and of others, as loops do, with several numbers of shards.
func BenchmarkShards(b *testing.B) {
	const loops, channels = 64, 1024
	names := make([][]byte, channels)
	for i := range names {
		names[i] = fmt.Appendf(nil, "channel-%d", i)
	}
	for shards := 1; shards <= 256; shards *= 4 {
		b.Run(fmt.Sprintf("shards=%d", shards), func(b *testing.B) {
			h := New(Config{Loops: loops, Shards: shards, Sink: quiet{}, Watcher: quiet{}})
			var next atomic.Int32
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				loop := int(next.Add(1)-1) % loops
				publishAndMove(pb, h, loop, names)
			})
		})
	}
}

// publishAndMove is the work of one loop: a connection that joins and leaves all
// channels in turn and publishes to each.
func publishAndMove(pb *testing.PB, h *Hub, loop int, names [][]byte) {
	l := h.Local(loop)
	frame := frameOf("hello")
	var stays, wanders Memberships
	for _, name := range names {
		l.Join(1, &stays, name)
	}
	for i := loop * 37; pb.Next(); i++ {
		name := names[i%len(names)]
		l.Join(2, &wanders, name)
		if h.Busy(name, frame.Len()) {
			deliverAll(l, 256)
		}
		h.publishRaw(name, frame)
		l.Leave(2, &wanders, name)
		if i%16 == 0 {
			deliverAll(l, 256)
		}
	}
	l.LeaveAll(1, &stays)
	deliverAll(l, 256)
}

// BenchmarkMemory reports bytes, not time.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	for _, tc := range []struct {
		unit string
		cost func(int) float64
	}{{"B/membership", bytesPerMembership}, {"B/channel", bytesPerChannel}} {
		b.Run(tc.unit[2:], func(b *testing.B) {
			var bytes float64
			for b.Loop() {
				bytes = tc.cost(n)
			}
			b.ReportMetric(bytes, tc.unit)
			b.ReportMetric(0, "ns/op") // has no meaning here
		})
	}
}

// BenchmarkCollection is a garbage collection with a million memberships.
func BenchmarkCollection(b *testing.B) {
	for _, tc := range []struct {
		name   string
		format string
	}{{"channels=1", "news"}, {"channels=1000000", "user:%d"}} {
		b.Run(tc.name, func(b *testing.B) {
			h := newHub(1)
			sets := make([]Memberships, 1_000_000)
			for i := range sets {
				name := []byte(tc.format)
				if len(name) > 4 {
					name = fmt.Appendf(nil, tc.format, i)
				}
				h.Local(0).Join(uint32(i), &sets[i], name)
			}
			runtime.GC()
			before := cpuTime(b)
			for b.Loop() {
				runtime.GC()
			}
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/1e3/float64(b.N), "cpu-ms/op")
			runtime.KeepAlive(h)
			runtime.KeepAlive(sets)
		})
	}
}

// cpuTime is the CPU time of this process: a collection runs on all processors.
func cpuTime(b *testing.B) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// BenchmarkLoops publishes to a channel with one member on each loop, and on one loop
// of many. It asks for room first, as the server does.
func BenchmarkLoops(b *testing.B) {
	for _, loops := range []int{1, 2, 16, 64} {
		for _, parts := range []int{1, loops} {
			b.Run(fmt.Sprintf("loops=%d/with-members=%d", loops, parts), func(b *testing.B) {
				h := newHub(loops)
				for i := range loops {
					if c := joinAll(h.Local(i), 1, "news")[0]; i >= parts { // a former member
						c.leave("news")
					}
				}
				channel, frame := []byte("news"), frameOf("a publication of some fifty bytes, as many of them are")
				b.ReportAllocs()
				for b.Loop() {
					benchPublish(b, h, channel, frame)
					for i := range parts {
						deliverAll(h.Local(i), 256)
					}
				}
			})
			if loops == 1 {
				break
			}
		}
	}
}

// BenchmarkPublishOnly is only Busy and Publish, to parts with something pending.
func BenchmarkPublishOnly(b *testing.B) {
	for _, loops := range []int{1, 2, 16, 64} {
		b.Run(fmt.Sprintf("loops=%d", loops), func(b *testing.B) {
			h := newHub(loops)
			for i := range loops {
				joinAll(h.Local(i), 1, "news")
			}
			channel, frame := []byte("news"), frameOf("a publication of some fifty bytes, as many of them are")
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				benchPublish(b, h, channel, frame)
				if i%64 == 0 {
					for i := range loops {
						deliverAll(h.Local(i), 256)
					}
				}
			}
		})
	}
}

func benchPublish(b *testing.B, h *Hub, channel []byte, frame *buffer.Buffer) {
	if h.Busy(channel, frame.Len()) {
		b.Fatal("no room")
	}
	h.publishRaw(channel, frame)
}

// BenchmarkClasses publishes and delivers to members of one class and of two. The second
// class is encoded when Publish has asked for it, as in a session.
func BenchmarkClasses(b *testing.B) {
	for _, both := range []bool{false, true} {
		b.Run(fmt.Sprintf("two=%t", both), func(b *testing.B) {
			h := newHub(1)
			l, channel := h.Local(0), []byte("news")
			joinAll(l, 1000, "news")
			if both {
				crowdOf(l, Envelope, 1000, 1000, "news")
			}
			raw, envelope := frameOf("a publication"), frameOf(`{"content":"a publication"}`)
			b.ReportAllocs()
			for b.Loop() {
				f := Frames{Raw: raw}
				if _, missing := h.Publish(channel, &f); missing != 0 {
					f[Envelope] = envelope
					h.Publish(channel, &f)
				}
				deliverAll(l, 256)
			}
		})
	}
}
