//go:build race

package broker_test

// raceEnabled reports whether the race detector is on, which cannot hold as many goroutines as a
// thousand nodes have.
const raceEnabled = true
