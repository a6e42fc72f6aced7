// Package publish holds the rules of POST /broadcast: who may publish, which requests are
// refused by their head alone, how a body is put together, and what it has to say.
//
// It has no I/O, clock, lock or log. The session of the connection gives it bytes and
// carries out what it decides.
package publish
