// Package events tells a webhook what happens to connections and channels: who disconnected, which
// channels got their first member or lost their last.
//
// A [Sender] has one bounded queue and one goroutine, which sends what waits in batches, one POST at
// a time, on package auth's client. [Sender.Add] only tries the queue, so no event loop waits for the
// webhook. What the queue has no room for, and a batch that failed twice, is lost and counted: an
// event is handed over at most once, and nothing is kept beyond the end of the process.
package events
