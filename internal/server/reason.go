package server

import (
	"wsify/internal/wire"
	"wsify/netpoll"
)

// Why a session ended, beside netpoll's own reasons. Names are the values of the
// reason label of metrics and logs.
const (
	reasonClientClose netpoll.Reason = netpoll.ReasonUser + iota
	reasonProtocol
	reasonUnsupported
	reasonInvalidUTF8
	reasonTooBig
	reasonSlowConsumer
	reasonNoPong
	reasonAuthorizerDown
	reasonShutdown
	reasonRefused
	reasonHandshakeTimeout
	reasonHandedOff
	numReasons
)

var reasonNames = [numReasons]string{
	netpoll.ReasonNone:       "none",
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
	reasonNoPong:             "no_pong",
	reasonAuthorizerDown:     "authorizer_down",
	reasonShutdown:           "shutdown",
	reasonRefused:            "handshake_refused",
	reasonHandshakeTimeout:   "handshake_timeout",
	reasonHandedOff:          "http",
}

func reasonName(r netpoll.Reason) string {
	if int(r) < len(reasonNames) && reasonNames[r] != "" {
		return reasonNames[r]
	}
	return "unknown"
}

// reasonOf is why a session ends when the peer's error has this close code.
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
