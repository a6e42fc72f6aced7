package broker

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"testing"

	"github.com/redis/rueidis"
)

// Version 8 tells of two ports of each node, of which ours is the one with TLS.
func TestRedisClusterOfVersion8OverTLS(t *testing.T) {
	files := makeRedisCertificates(t)
	pair, err := tls.LoadX509KeyPair(files.cert, files.key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, plain, _ := net.SplitHostPort(silentServer(t))
	_, port, _ := net.SplitHostPort(l.Addr().String())
	const about = "$4\r\nrole\r\n$6\r\nmaster\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$7\r\nversion\r\n$5\r\n8.0.0\r\n$5\r\nproto\r\n"
	answers := map[string]string{
		"HELLO 2": "*8\r\n" + about + ":2\r\n", "HELLO 3": "%4\r\n" + about + ":3\r\n", "PING": "+PONG\r\n", "PUBLISH": ":0\r\n",
		"CLUSTER INFO":  "$16\r\ncluster_state:ok\r\n",
		"CLUSTER SLOTS": "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:" + port + "\r\n",
		"CLUSTER SHARDS": "*1\r\n%2\r\n$5\r\nslots\r\n*2\r\n:0\r\n:16383\r\n$5\r\nnodes\r\n*1\r\n%5\r\n$4\r\nport\r\n:" + plain + "\r\n$8\r\ntls-port\r\n:" + port +
			"\r\n$8\r\nendpoint\r\n$9\r\n127.0.0.1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$6\r\nhealth\r\n$6\r\nonline\r\n",
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveFakeRedis(conn, answers)
		}
	}()
	n := upRedisNode(t, Config{DSN: "rediss://127.0.0.1:" + port + "?sharded=no&ca=" + url.QueryEscape(files.cert)})
	n.mustPublish("c", "1")
}

// A publication that has nowhere to go was not published.
func TestRedisPublicationOfASlotThatNobodyOwns(t *testing.T) {
	if err, _ := redisOutcome(rueidis.ErrNoSlot); !errors.Is(err, ErrDown) {
		t.Errorf("%v, want %v", err, ErrDown)
	}
}
