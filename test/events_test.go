package test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"wsify/internal/testtool"
)

// The receiver on the page hears of a channel that is in use and of a client that disconnects. wsify
// is started as the page says.
func TestTheReceiverOfEventsOnThePage(t *testing.T) {
	testtool.Need(t, "node", "nodejs")
	dir, port := t.TempDir(), freePort(t)
	writeFile(t, dir, "events.mjs", strings.Replace(readme(t, "events.mjs"), "8001", strconv.Itoa(port), 1))
	receiver := start(t, dir, nil, "node", "events.mjs")
	awaitPort(t, port)
	line := strings.Replace(console(readme(t, "with events"), "")[0].line, "localhost:8001", fmt.Sprintf("localhost:%d", port), 1)
	p := shell(t, root, []string{"WSIFY_LISTEN_ADDR=127.0.0.1:0"}, line)
	s := &server{process: p, addr: p.awaitAddr()}
	stays := dialGo(t, s.ws())
	stays.expect("open")
	stays.join("news")
	goes, _, _, err := ws.Dial(t.Context(), s.ws())
	if err != nil {
		t.Fatal(err)
	}
	_ = goes.Close()
	ended, used := false, false
	for !ended || !used {
		said := receiver.line()
		ended = ended || strings.HasPrefix(said, "disconnect ") && strings.HasSuffix(said, " 1006")
		used = used || said == "occupied news "
	}
}
