package server_test

import (
	"fmt"
	"time"

	"wsify/internal/server"
)

// All problems are reported at once, each with the flag that sets the field.
func ExampleConfig_Validate() {
	cfg := server.Config{ListenAddrs: []string{"3000"}, BrokerDriver: "kafka", PongTimeout: -time.Second}
	fmt.Println(cfg.Validate())
	cfg = server.Config{PingInterval: time.Minute}
	fmt.Println(cfg.Validate(), cfg.ListenAddrs, cfg.PingInterval, cfg.PongTimeout)
	// Output:
	// -listen-addr: "3000" is not host:port, :port, [v6]:port, unix:/path, fd://NUMBER or fd://NAME
	// -broker-driver: there is no broker "kafka"; there are memory, redis and nats
	// -pong-timeout: -1s is not positive
	// <nil> [:3000] 1m0s 10s
}

func ExampleParsePolicy() {
	fmt.Println(server.ParsePolicy("drop"))
	fmt.Println(server.ParsePolicy("wait"))
	// Output:
	// drop <nil>
	// close "wait" is neither close nor drop
}
