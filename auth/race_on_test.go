//go:build race

package auth

// raceEnabled reports whether the race detector is on. It makes sync.Pool drop items at random, so
// counts of allocations have no meaning then.
const raceEnabled = true
