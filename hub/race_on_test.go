//go:build race

package hub

// raceEnabled says whether the race detector is on. It makes sync.Pool drop values
// at random, so counts of allocations mean nothing then.
const raceEnabled = true
