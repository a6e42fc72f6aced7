//go:build !race

package wire

// raceEnabled says that the race detector is on: it makes sync.Pool drop values at
// random, so allocations cannot be counted.
const raceEnabled = false
