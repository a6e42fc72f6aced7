//go:build linux

// Command measure starts a WebSocket pub/sub server, loads it, and says what it
// costs: memory per idle connection, CPU per delivery, per round trip and per
// handshake, memory after a burst, and latency while the authorizer hangs.
//
//	go run ./bench/measure -server ./bin/wsify
//	go run ./bench/measure -quick -run idle,fanout
//	go run ./bench/measure -json 2026-02-01-baseline.json
//
// # What is compared
//
// Wall-clock figures of a shared machine move from minute to minute, and so does
// the price of a system call. CPU figures are therefore reported beside a floor:
// a child process of this program that makes only the system calls which nobody
// can avoid, over as many sockets and with the same bytes. Server and floor are
// measured in turn, several rounds, and the ratio is taken round by round.
//
// # Processes
//
// The generator (this process), the server and a floor are processes of their
// own, since a process may hold no more than its limit of descriptors. Children
// are killed when this process ends, for whatever reason.
//
// # Independence
//
// The program speaks the protocol by itself and imports nothing of the module it
// measures. Any server that takes -listen-addr and speaks the same protocol can
// be measured.
package main
