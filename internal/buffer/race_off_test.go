//go:build !race

package buffer

// raceEnabled says that sync.Pool drops values at random, on purpose.
const raceEnabled = false
