// Package publish holds the rules of POST /broadcast: the key, the requests that are
// refused by their head alone, the assembly of the body, and its content.
//
// It has no I/O, clock, lock or log. The session of the connection gives it bytes and
// acts on its decisions.
package publish
