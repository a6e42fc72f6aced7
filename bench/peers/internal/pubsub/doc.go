// Package pubsub is what the peers share, where their libraries bring nothing of
// the kind: the table of who hears which channel, wsify's client protocol, and
// POST /broadcast. With the same hub and the same JSON parser everywhere (the one
// wsify uses), what is left to compare is the library beneath.
package pubsub
