// Package history is what a node knows of the channels that keep history: for each, the
// position that its members have reached, and the newest publications.
//
// A Log puts what arrives into order. It drops what it has seen before, and holds back what
// follows a gap, until the gap was read from the engine or is given up. Logs belong to a Set,
// which bounds the memory of all.
//
// The package has no lock, clock, goroutine or I/O. Its user has one lock for a Set and all
// its logs, and encodes and sends nothing while it is held.
package history
