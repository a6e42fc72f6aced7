package test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// tab is a page in Chromium, which the test controls by the DevTools protocol over a pair of pipes.
type tab struct {
	t       *testing.T
	to      io.Writer
	session string

	mu      sync.Mutex
	id      int
	waiting map[int]chan json.RawMessage
	faults  []string // errors that the page reported
}

// openTab starts Chromium, headless, with an empty page.
func openTab(t *testing.T) *tab {
	t.Helper()
	chromium := need(t, "chromium", "chromium")
	profile, err := os.MkdirTemp(scratch, "profile")
	in, to, err2 := os.Pipe()
	from, out, err3 := os.Pipe()
	if err != nil || err2 != nil || err3 != nil {
		t.Fatal(err, err2, err3)
	}
	cmd := exec.Command(chromium, "--headless", "--hide-scrollbars", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--no-proxy-server", "--remote-debugging-pipe",
		"--user-data-dir="+profile, "about:blank")
	cmd.Env = append(baseEnv(), "HOME="+profile)
	cmd.ExtraFiles = []*os.File{in, out} // descriptors 3 and 4
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = in.Close(), out.Close()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		_, _ = to.Close(), from.Close()
	})
	b := &tab{t: t, to: to, waiting: map[int]chan json.RawMessage{}}
	go b.read(from)
	b.attach()
	return b
}

// attach connects to the browser's page, and asks for its errors.
func (b *tab) attach() {
	b.t.Helper()
	var created struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &created)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": created.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Runtime", "Log", "Page"} {
		b.call(domain+".enable", nil, nil)
	}
}

// read handles what the browser sends: answers, and events with errors of the page. Each message
// ends with a zero byte.
func (b *tab) read(from io.Reader) {
	for r := bufio.NewReader(from); ; {
		line, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID     int
			Method string
			Params struct {
				Type  string
				Entry struct{ Level string }
			}
			Result json.RawMessage
		}
		_ = json.Unmarshal(line[:len(line)-1], &m)
		bad := m.Method == "Runtime.exceptionThrown" || m.Method == "Log.entryAdded" && m.Params.Entry.Level == "error" ||
			m.Method == "Runtime.consoleAPICalled" && m.Params.Type == "error"
		b.mu.Lock()
		if bad {
			b.faults = append(b.faults, string(line))
		}
		if answer := b.waiting[m.ID]; answer != nil {
			delete(b.waiting, m.ID)
			answer <- m.Result
		}
		b.mu.Unlock()
	}
}

// call calls a method of the protocol and decodes its result into to.
func (b *tab) call(method string, params map[string]any, to any) {
	b.t.Helper()
	answer := make(chan json.RawMessage, 1)
	b.mu.Lock()
	b.id++
	message := map[string]any{"id": b.id, "method": method, "params": params}
	b.waiting[b.id] = answer
	b.mu.Unlock()
	if b.session != "" {
		message["sessionId"] = b.session
	}
	text, _ := json.Marshal(message)
	if _, err := b.to.Write(append(text, 0)); err != nil {
		b.t.Fatal(err)
	}
	select {
	case result := <-answer:
		if to != nil {
			if err := json.Unmarshal(result, to); err != nil {
				b.t.Fatalf("%s: %v: %s", method, err, result)
			}
		}
	case <-time.After(startupPatience):
		b.t.Fatalf("%s: the browser does not answer", method)
	}
}

// open opens a page of this width, with a preferred color scheme.
func (b *tab) open(url string, width int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	b.call("Page.navigate", map[string]any{"url": url}, nil)
}

// eval returns the value of an expression in the page; "" while it throws.
func (b *tab) eval(expression string) string {
	b.t.Helper()
	var got struct{ Result struct{ Value any } }
	b.call("Runtime.evaluate", map[string]any{"expression": "String(" + expression + ")"}, &got)
	text, _ := got.Result.Value.(string)
	return text
}

// errors returns the errors that the page reported so far.
func (b *tab) errors() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.faults
}

// photograph writes a picture of the whole page into the directory that SCREENSHOTS names, if any.
func (b *tab) photograph(name string) {
	b.t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	var got struct{ Data []byte }
	b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &got)
	if err := os.WriteFile(filepath.Join(dir, name+".png"), got.Data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
