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
	reasonWriteMemory
	reasonNoPong
	reasonMessageTimeout
	reasonAuthorizerDown
	reasonShutdown
	reasonRefused
	reasonHandshakeTimeout
	reasonHTTP
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
	reasonWriteMemory:        "write_memory",
	reasonNoPong:             "no_pong",
	reasonMessageTimeout:     "message_timeout",
	reasonAuthorizerDown:     "authorizer_down",
	reasonShutdown:           "shutdown",
	reasonRefused:            "handshake_refused",
	reasonHandshakeTimeout:   "handshake_timeout",
	reasonHTTP:               "http",
}

func reasonName(r netpoll.Reason) string {
	if int(r) < len(reasonNames) && reasonNames[r] != "" {
		return reasonNames[r]
	}
	return "unknown"
}

// rejection is why a handshake was refused. Names are the values of the reason
// label of metrics.
type rejection uint8

const (
	rejectMalformed rejection = iota // no request that could be an upgrade
	rejectLargeHead                  // over -max-head-size
	rejectNoUpgrade                  // a request for /ws that is none
	rejectOrigin                     // -allowed-origins
	rejectDenied                     // the authorizer said no
	rejectDown                       // it could not say
	rejectBusy                       // too many wait for it
	rejectTimeout                    // not finished in time, by the peer or by the authorizer
	rejectNotFound                   // another path than /ws and /broadcast
	rejectShutdown                   // this node is ending
	numRejections
)

var rejectionNames = [numRejections]string{
	"malformed", "head_too_large", "no_upgrade", "origin", "denied",
	"authorizer_down", "authorizer_busy", "timeout", "not_found", "shutdown",
}

// unpublished is why a backend's publication was refused before the broker saw it. Names
// are the values of the reason label of metrics and logs.
type unpublished uint8

const (
	unpublishedKey       unpublished = iota // wrong or missing
	unpublishedMethod                       // neither POST nor OPTIONS
	unpublishedType                         // no JSON, or encoded
	unpublishedSize                         // over -max-message-size
	unpublishedMalformed                    // no publication, or a broken body
	unpublishedTimeout                      // the body was not there in time
	unpublishedShutdown                     // this node is ending
	numUnpublished
)

var unpublishedNames = [numUnpublished]string{"key", "method", "media_type", "too_large", "malformed", "timeout", "shutdown"}

// rejectedNoDescriptor is the reason of connections that the system had no
// descriptor for, beside rejectionNames. They are not among those accepted.
const rejectedNoDescriptor = "no_descriptor"

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
