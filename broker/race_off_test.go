//go:build !race

package broker

// raceEnabled says whether the race detector is on.
const raceEnabled = false
