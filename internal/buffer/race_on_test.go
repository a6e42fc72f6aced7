//go:build race

package buffer

// raceEnabled says that sync.Pool forgets at random, on purpose.
const raceEnabled = true
