package session

import (
	"bufio"
	"io"
	"sort"
	"strings"
	"testing"
)

// counted counts what is read.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// What compresses a thousandfold is one small frame to those who compress, whole to others, and whole again to who comes back.
func TestContentThatCompressesAThousandfold(t *testing.T) {
	cfg := keepHistory(deflating(), 10, 16<<20)
	cfg.MaxMessageSize, cfg.WriteQueueSize = 2<<20, 4<<20
	srv := start(t, cfg)
	content := `"` + strings.Repeat("0", 1<<20) + `"`
	plain, small := connect(t, srv, "/ws"), connectDeflated(t, srv, "/ws")
	plain.expectJoin("h", "", "", "joined")
	first := small.expectJoin("h", "", "", "joined")
	for range 3 {
		small.sendDeflated(`{"command":"broadcast","args":{"channel":"h","content":` + content + `}}`)
		plain.expectDeflated(false, content)
		small.expectDeflated(true, content)
	}
	back := connectDeflated(t, srv, "/ws")
	in := &counted{Reader: back.r}
	back.r = bufio.NewReader(in)
	back.expectJoin("h", sincePosition(first.Position), strings.Repeat(content+" ", 2)+content, "recovered true")
	if in.n > 3*len(content)/200 {
		t.Errorf("%d bytes came for three contents of %d", in.n, len(content))
	}
}

// A history that has no room for a publication refuses it: nobody hears what could not be recovered.
func TestAHistoryTakesWhatFitsIntoItsMemory(t *testing.T) {
	content := `"` + strings.Repeat("x", 1000) + `"`
	least := sort.Search(1<<14, func(memory int) bool {
		srv := start(t, keepHistory(Config{}, 10, int64(max(memory, 1))))
		return post(t, srv, "/broadcast", `{"channel":"h","content":`+content+`}`).status == 201
	})
	if least < len(content) || least == 1<<14 {
		t.Fatalf("a publication of %d bytes fits into a history of %d", len(content), least)
	}
	for _, memory := range []int{1, least - 1, least} {
		srv := start(t, keepHistory(Config{}, 10, int64(memory)))
		p := connect(t, srv, "/ws")
		first := p.expectJoin("h", "", "", "joined")
		back := sincePosition(first.Position)
		if memory == least {
			for range 3 { // each takes the place of the one before
				post201(t, srv, "h", content)
				p.expectText(content)
			}
			connect(t, srv, "/ws").expectJoin("h", back, "", "recovered false")
			connect(t, srv, "/ws").expectJoin("h", `,"last":10`, content, "joined")
			continue
		}
		const why = "the content is larger than the broker takes"
		if res := post(t, srv, "/broadcast", `{"channel":"h","content":`+content+`}`); res.status != 413 || !strings.Contains(res.body, why) {
			t.Errorf("with %d bytes: %d %q, want 413", memory, res.status, res.body)
		}
		p.send(`{"command":"broadcast","args":{"channel":"h","content":` + content + `},"id":1}`)
		p.expectText(`{"id":1,"ok":false,"error":{"code":"limit","message":"` + why + `: not published"}}`)
		connect(t, srv, "/ws").expectJoin("h", back, "", "recovered true")
		p.expectNothing()
	}
}
