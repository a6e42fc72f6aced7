// Package sse has the rules of GET /sse: which requests begin a stream of server-sent
// events, and how heads and events are written (the HTML standard, section 9.2). It knows
// no connections, loops or clocks.
//
// A response goes on to the end of the connection. It has no chunks, so an event is the
// same bytes for everybody.
package sse
