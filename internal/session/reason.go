package session

import (
	"wsify/internal/wire"
	"wsify/netpoll"
)

// Reasons why a session ended, in addition to those of netpoll. Their names are values
// of the reason label of metrics and logs.
const (
	reasonClientClose netpoll.Reason = netpoll.ReasonUser + iota
	reasonProtocol
	reasonUnsupported
	reasonInvalidUTF8
	reasonTooBig
	reasonSlowConsumer
	reasonWriteMemory
	reasonMemory
	reasonNoPong
	reasonMessageTimeout
	reasonRateLimited
	reasonAuthorizerDown
	reasonBrokerDown
	reasonShutdown
	reasonRefused
	reasonHandshakeTimeout
	reasonHTTP
	reasonKicked
	reasonExpired
	numReasons
)

var reasonNames = [numReasons]string{
	netpoll.ReasonPeerClosed: "peer_closed",
	netpoll.ReasonReset:      "reset",
	netpoll.ReasonInternal:   "internal",
	netpoll.ReasonStopped:    "stopped",
	reasonClientClose:        "client_close",
	reasonProtocol:           "protocol_error",
	reasonUnsupported:        "unsupported_data",
	reasonInvalidUTF8:        "invalid_utf8",
	reasonTooBig:             "message_too_big",
	reasonSlowConsumer:       "slow_consumer",
	reasonWriteMemory:        "write_memory",
	reasonMemory:             "memory",
	reasonNoPong:             "no_pong",
	reasonMessageTimeout:     "message_timeout",
	reasonRateLimited:        "rate_limited",
	reasonAuthorizerDown:     "authorizer_down",
	reasonBrokerDown:         "broker_down",
	reasonShutdown:           "shutdown",
	reasonRefused:            "handshake_refused",
	reasonHandshakeTimeout:   "handshake_timeout",
	reasonHTTP:               "http",
	reasonKicked:             "kicked",
	reasonExpired:            "expired",
}

// rejection is why a handshake was refused. The names are values of the reason label
// of metrics.
type rejection uint8

const (
	rejectMalformed      rejection = iota // not a valid request
	rejectLargeHead                       // over -max-head-size
	rejectNoUpgrade                       // a request for /ws that is not an upgrade
	rejectOrigin                          // not in -allowed-origins
	rejectDenied                          // the authorizer said no
	rejectDown                            // the authorizer gave no decision
	rejectBusy                            // too many connections wait for the authorizer
	rejectTimeout                         // not finished in time, by the peer or by the authorizer
	rejectNotFound                        // a path other than /ws and /broadcast
	rejectShutdown                        // new clients are refused
	rejectMemory                          // -max-memory
	rejectMaxConnections                  // -max-connections
	rejectAddress                         // -max-connections-per-address
	rejectAcceptRate                      // -accept-rate
	rejectProxyHeader                     // a PROXY header that is wrong, missing, or not from a trusted proxy
	rejectKicked                          // an operator kicked it while the authorizer was asked
	numRejections
)

var rejectionNames = [numRejections]string{
	"malformed", "head_too_large", "no_upgrade", "origin", "denied",
	"authorizer_down", "authorizer_busy", "timeout", "not_found", "shutdown",
	"memory", "max_connections", "max_connections_per_address", "accept_rate", "proxy_header", "kicked",
}

// reasonOf returns why a session ends if the peer's error has this close code.
func reasonOf(code wire.CloseCode) netpoll.Reason {
	switch code {
	case wire.Unsupported:
		return reasonUnsupported
	case wire.InvalidPayload:
		return reasonInvalidUTF8
	case wire.TooBig:
		return reasonTooBig
	}
	return reasonProtocol
}
