//go:build !race

package hub

// raceEnabled says whether the race detector is on.
const raceEnabled = false
