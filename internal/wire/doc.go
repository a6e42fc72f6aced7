// Package wire is RFC 6455 on byte slices, on top of gobwas/ws: an incremental
// reader for the frames of clients, encoders for the frames of a server, close
// codes, and the HTTP head that precedes them all.
//
// The package is pure. It has no clock, no network, no goroutine and no log;
// input is an argument and results are values. Its only shared state is pools of
// buffers, which are safe for use from several goroutines. Everything else
// belongs to the goroutine that owns the connection.
//
// # Frames
//
// A [Reader] is the state of one connection: one pointer, nil while nothing is
// buffered, and whether messages may be compressed. It takes pieces of any size, as
// the socket gives them, and returns events: whole messages, and control frames in
// between. A frame that is complete in the input is unmasked in place and lent without
// a copy. A compressed message is inflated into memory that is lent in the same way.
//
//	for {
//		ev, n, ok, err := r.Next(in, maxMessage)
//		in = in[n:]
//		if err != nil {
//			... // *ProtocolError: send its Code in a Close frame
//		}
//		if !ok {
//			break // in is used up, and the Reader keeps no more than it must
//		}
//		... // ev.Payload is borrowed until the next call
//	}
//
// The events and the error do not depend on where the input is cut. An error is
// reported at the first byte that proves it.
//
// # Head and upgrade
//
// [HeadEnd] finds the end of a request head in bytes that arrive in pieces,
// [ParseRequest] checks it strictly, and [AppendUpgrade] runs the Upgrader of
// gobwas/ws on it in memory. A refusal is a [*HandshakeError] with the status of
// the answer; [AppendResponse] writes that answer.
//
// # Compression
//
// [Request.Deflate] finds the offer of permessage-deflate that can be accepted, and
// [Deflate.AppendTo] answers it. No context is taken over between messages, so nothing is
// kept for a connection, and a [Deflater] compresses a message once for many of them.
//
// # Proxies
//
// [ParseProxy] reads the header that a proxy sends before the first byte of its client,
// and [Request.Hops] the addresses that proxies add to the head of a request. Whom to
// believe is for the caller to decide.
//
// # Borrowed memory
//
// Borrowed slices are valid until the call that the comment names, or until the
// input they point into is overwritten. Builds with the tag "invariants" overwrite
// a buffer of the package when its loan ends, so that a late reader fails at once.
package wire
