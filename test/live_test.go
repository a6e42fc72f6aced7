package test

import (
	"cmp"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"wsify/internal/testtool"
)

// awaitAdmin waits for the log record that has the address of the admin listener.
func (s *server) awaitAdmin() string {
	s.t.Helper()
	var addr string
	s.await("the record of the admin listener", func() bool {
		for line := range strings.Lines(s.output()) {
			var record struct {
				Addr string `json:"admin_addr"`
			}
			if json.Unmarshal([]byte(line), &record) == nil && record.Addr != "" {
				addr = record.Addr
			}
		}
		return addr != ""
	})
	return addr
}

// TestTheLivePageDraws opens the page of a server with one client, wide and on a phone, in both color
// schemes. LIVE_URL names a running server to look at instead.
func TestTheLivePageDraws(t *testing.T) {
	b := openTab(t)
	url := os.Getenv("LIVE_URL")
	if url == "" {
		s := serve(t, "-admin-addr", "127.0.0.1:0", "-admin-channels")
		url = "http://" + s.awaitAdmin() + "/"
		c := dialGo(t, s.ws())
		c.expect("open")
		c.join("<b>news</b>")
	}
	b.open(url, 1280, "dark")
	shows := func(what, expression, want string) {
		t.Helper()
		testtool.Until(t, what+" is "+want, func() bool { return b.eval(expression) == want })
	}
	shows("the state", `document.getElementById('state').textContent`, "ready")
	if os.Getenv("LIVE_URL") == "" {
		shows("the tile of connections", `document.querySelector('#tiles .tile b').textContent`, "1")
		shows("what a screen reader says of the chart", `document.querySelector('.plot').getAttribute('aria-label')`, "Connections: open 1")
	}
	if os.Getenv("LIVE_URL") == "" {
		shows("the largest channel", `document.querySelectorAll('#channels .card')[1].innerText.replace(/\s+/g, ' ')`, "Largest channels <b>news</b> 1")
	}
	shows("a line is drawn", drawn, "true")
	shows("an empty chart", `[...document.querySelectorAll('.plot.empty')].some(p => p.getAttribute('aria-label') === 'Time to deliver to all members: no data')`,
		cmp.Or(os.Getenv("LIVE_EMPTY"), "true"))
	if os.Getenv("LIVE_URL") == "" {
		shows("the tile of drops", `[...document.querySelectorAll('#tiles .tile')].filter(t => t.innerText.endsWith('dropped')).map(t => t.querySelector('b').textContent).join()`, "0/s")
		shows("charts of the authorizer that there is not", `[...document.querySelectorAll('h2')].some(h => h.textContent.startsWith('Authorizer'))`, "false")
	}
	b.photograph("dark")
	for _, width := range []int{1280, 360} {
		b.open(url, width, "light")
		shows("the state", `document.getElementById('state').textContent`, "ready")
		shows("a line is drawn", drawn, "true")
		shows("nothing is wider than the page", `document.documentElement.scrollWidth <= innerWidth`, "true")
		b.photograph("light-" + map[int]string{1280: "wide", 360: "phone"}[width])
	}
	if got := b.errors(); len(got) > 0 {
		t.Errorf("the page reports errors:\n%s", strings.Join(got, "\n"))
	}
}

// drawn is true in a page whose first chart has a line in the color of lines.
const drawn = `(() => {
	const canvas = document.querySelector('.plot canvas');
	const color = getComputedStyle(document.documentElement).getPropertyValue('--c0').trim();
	const want = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
	const got = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
	for (let i = 0; i < got.length; i += 4) {
		if (want.every((v, j) => Math.abs(got[i + j] - v) < 24) && got[i + 3] > 200) return true;
	}
	return false;
})()`
