//go:build race

package auth

// raceEnabled says whether the race detector is on: it makes sync.Pool forget at
// random, so counts of allocations say nothing then.
const raceEnabled = true
