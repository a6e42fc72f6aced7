//go:build race

package netpoll

// raceEnabled says that the race detector slows and allocates.
const raceEnabled = true
