package nats

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"wsify/broker/brokertest"
)

// A NATS server that quotes its input has the password in its errors.
func TestAServerThatEchoesThePasswordHasItNotLogged(t *testing.T) {
	l := brokertest.Listen(t)
	brokertest.Serve(l, func(conn net.Conn) {
		defer conn.Close()
		_, _ = conn.Write([]byte(`INFO {"server_id":"x","version":"2.10.0","max_payload":1000,"auth_required":true}` + "\r\n"))
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err == nil {
			_, _ = conn.Write([]byte("-ERR 'what is " + strings.ReplaceAll(strings.TrimSpace(line), "'", "") + "'\r\n"))
		}
	})
	for _, user := range []string{"me:correct-horse", "correct-horse"} { // a password, a token
		if said := refused(t, "nats://"+user+"@"+l.Addr().String()); strings.Contains(said, "correct-horse") || !strings.Contains(said, "what is") {
			t.Errorf("the log has %s", said)
		}
	}
}
