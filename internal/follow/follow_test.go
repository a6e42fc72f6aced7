package follow

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wsify/broker"
	"wsify/hub"
)

// node has the memory broker, and is the Members, which write down nothing but how often they are
// asked to encode.
type node struct {
	*Follower
	broker  *broker.Memory
	encoded atomic.Int64
}

func startNode(tb testing.TB) *node {
	keep := &broker.History{Match: func(name string) bool { return strings.HasPrefix(name, "h") }, Size: 100, TTL: time.Hour, Memory: 64 << 20}
	n := &node{broker: broker.NewMemory(broker.Config{History: keep})}
	n.Follower = New(n.broker, keep, n)
	deliver := func(channel, content []byte) error {
		head, content, ok := broker.SplitHead(content)
		if !ok {
			return broker.ErrHead
		}
		n.Deliver(Publication{Channel: channel, Content: content, Head: head})
		return nil
	}
	if err := n.broker.Start(deliver, nil); err != nil {
		tb.Fatal(err)
	}
	return n
}

func (n *node) Give(_ *Publication, given func())                 { given() }
func (n *node) TellGap(_ []byte, _ broker.Position, given func()) { given() }
func (n *node) AwaitRoom([]byte, int)                             {}
func (n *node) Encode(p *Publication, class hub.Class) (form []byte) {
	n.encoded.Add(1)
	return fmt.Appendf(nil, "%d:%s", class, p.Content)
}

func (n *node) publish(tb testing.TB, channel, content string) {
	if _, _, err := n.broker.Publish(nil, []byte(channel), []byte(content), nil); err != nil {
		tb.Fatal(err)
	}
}

// hears is a Joiner of a test, which waits for the news.
type hears chan News

func (h hears) Tell(n News) { h <- n }

// join joins from somewhere, in pieces of room bytes, and returns what was sent.
func (n *node) join(t *testing.T, from From, class hub.Class, room int) (sent []string, j *Join) {
	t.Helper()
	j, told := &Join{From: from}, make(hears, 1)
	n.Begin(j, []byte("h"), told)
	for {
		taken := j.Take(room, true)
		j.Send(class, func(form []byte) { sent = append(sent, string(form)) })
		switch taken {
		case TakeAll:
			j.Finish(false)
			return sent, j
		case TakeNews:
			j.Await()
			if err := j.Hear(<-told); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAPublicationIsEncodedOnceForEachClass(t *testing.T) {
	n := startNode(t)
	n.Subscribe("h")
	_, start := n.join(t, From{}, hub.Raw, 0)
	for _, content := range []string{"1", "2", "3"} {
		n.publish(t, "h", content)
	}
	before := n.Stats().Bytes
	for range 3 {
		for _, class := range []hub.Class{hub.Raw, hub.Envelope} {
			sent, j := n.join(t, From{Asked: true, Since: start.At}, class, 1<<20)
			if want := fmt.Sprintf("[%[1]d:1 %[1]d:2 %[1]d:3]", class); fmt.Sprint(sent) != want || j.Lost || j.At.Offset != start.At.Offset+3 {
				t.Errorf("a join got %v, and is at %v; want %s", sent, j.At, want)
			}
		}
	}
	if got := n.encoded.Load(); got != 2*3 {
		t.Errorf("three publications were encoded %d times for two classes", got)
	}
	if st := n.Stats(); st.Bytes != before+2*3*int64(len("0:1")) || st.Recoveries["recovered"] != 6 {
		t.Errorf("the forms take %d bytes; recoveries: %v", st.Bytes-before, st.Recoveries)
	}
}

func TestAJoinInPiecesGetsAll(t *testing.T) {
	n := startNode(t)
	n.Subscribe("h")
	_, start := n.join(t, From{}, hub.Raw, 0)
	for i := range 10 {
		n.publish(t, "h", fmt.Sprint(i))
	}
	sent, _ := n.join(t, From{Asked: true, Since: start.At}, hub.Raw, 3*(overhead+1))
	if got := strings.Join(sent, " "); got != "0:0 0:1 0:2 0:3 0:4 0:5 0:6 0:7 0:8 0:9" {
		t.Errorf("got %s", got)
	}
}

func TestTheLogSharesContentWithTheMemoryBroker(t *testing.T) {
	n := startNode(t)
	n.Subscribe("h")
	n.join(t, From{}, hub.Raw, 0)
	n.publish(t, "h", "content")
	page, err := n.broker.ReadHistory(t.Context(), "h", broker.Position{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	logged, _ := n.channels["h"].log.Newest(nil, 1, time.Now().UnixNano())
	if string(logged[0].Content) != "content" || &logged[0].Content[0] != &page.Entries[0].Content[0] {
		t.Errorf("the log has a copy %q of its own", logged[0].Content)
	}
}

func TestAChannelIsFollowedWhileItHasMembersOrJoins(t *testing.T) {
	n := startNode(t)
	var j Join
	n.Begin(&j, []byte("h"), nil)
	n.Subscribe("h")
	n.Subscribe("plain")
	n.Unsubscribe("h")
	if got := n.Stats().Channels; got != 1 {
		t.Fatalf("%d channels are followed during a join", got)
	}
	j.Release()
	if st := n.Stats(); st.Channels != 0 || st.Bytes != 0 {
		t.Errorf("%d channels are followed at the end, and %d bytes are kept", st.Channels, st.Bytes)
	}
}

// BenchmarkDeliver publishes from each core, to one channel and to many in turn.
func BenchmarkDeliver(b *testing.B) {
	for _, channels := range []int{1, 64} {
		b.Run(fmt.Sprint(channels), func(b *testing.B) {
			n := startNode(b)
			names := make([]string, channels)
			for i := range names {
				names[i] = fmt.Sprint("h", i)
				n.Subscribe(names[i])
			}
			var publishers atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(run *testing.PB) {
				for i := int(publishers.Add(1)) * 7; run.Next(); i++ {
					n.publish(b, names[i%channels], `"0123456789012345678901234567890123456789"`)
				}
			})
		})
	}
}
