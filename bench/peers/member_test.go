package peers_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/coder/websocket"
)

// member is one client. It belongs to one goroutine.
type member struct {
	*dialect
	ws    *websocket.Conn
	tcp   *net.TCPConn
	asked int
	heard [][]byte // publications that came before an answer
}

// open connects a client; it is closed at the end of the test.
func (d *dialect) open(t *testing.T, addr string) *member {
	t.Helper()
	m := &member{dialect: d}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			m.tcp = c.(*net.TCPConn)
		}
		return c, err
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial}}
	ws, _, err := websocket.Dial(ctx, "ws://"+addr+d.path, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	ws.SetReadLimit(1 << 20)
	m.ws = ws
	if d.hello != nil {
		m.ask(t, func(int) []byte { return d.hello })
	}
	return m
}

// ask sends a request and waits for its answer.
func (m *member) ask(t *testing.T, request func(id int) []byte) {
	t.Helper()
	m.asked++
	if err := m.send(request(m.asked)); err != nil {
		t.Fatal(err)
	}
	for {
		id, err := m.receive(t)
		if err != nil {
			t.Fatalf("request %d: %v", m.asked, err)
		}
		if id == m.asked {
			return
		}
	}
}

func (m *member) joins(t *testing.T, channel string) {
	t.Helper()
	m.ask(t, func(id int) []byte { return m.join(id, channel) })
}

func (m *member) leaves(t *testing.T, channel string) {
	t.Helper()
	m.ask(t, func(id int) []byte { return m.leave(id, channel) })
}

func (m *member) publishes(t *testing.T, channel, content string) {
	t.Helper()
	m.ask(t, func(id int) []byte { return m.publish(id, channel, content) })
}

// next waits for a publication.
func (m *member) next(t *testing.T) (string, error) {
	for len(m.heard) == 0 {
		if _, err := m.receive(t); err != nil {
			return "", err
		}
	}
	content := m.heard[0]
	m.heard = m.heard[1:]
	return string(content), nil
}

// hears waits for a publication and compares it.
func (m *member) hears(t *testing.T, want string) {
	t.Helper()
	got, err := m.next(t)
	if err != nil || got != want {
		t.Fatalf("heard %.100s, %v; want %.100s", got, err, want)
	}
}

// receive takes one message and returns the id of the last answer in it.
func (m *member) receive(t *testing.T) (id int, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, message, err := m.ws.Read(ctx)
	if err != nil {
		return 0, err
	}
	for line := range bytes.SplitSeq(message, []byte("\n")) {
		r, err := m.read(line)
		if err != nil {
			return 0, err
		}
		if r.content != nil {
			m.heard = append(m.heard, r.content)
		}
		if r.ping && m.pong != nil {
			if err := m.send(m.pong); err != nil {
				return 0, err
			}
		}
		id = max(id, r.id)
	}
	return id, nil
}

func (m *member) send(message []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return m.ws.Write(ctx, websocket.MessageText, message)
}

// reset ends the connection by a RST, whatever is under way.
func (m *member) reset() {
	m.tcp.SetLinger(0)
	m.tcp.Close()
}

// post publishes by HTTP.
func post(addr, channel, content string) error {
	body := fmt.Sprintf(`{"channel":%q,"content":%s}`, channel, content)
	client := http.Client{Timeout: patience}
	r, err := client.Post("http://"+addr+"/broadcast", "application/json", bytes.NewBufferString(body))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusCreated || r.ContentLength != 0 {
		return fmt.Errorf("answered %s and %d bytes, want 201 and none", r.Status, r.ContentLength)
	}
	return nil
}
