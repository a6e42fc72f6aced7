//go:build linux

// Command wsbench starts WebSocket pub/sub servers, loads them, and says what they
// cost: memory per connection, CPU per delivery, per round trip and per handshake,
// latencies, and how well everybody else is served while something goes wrong.
//
//	go run ./bench/wsbench -server ./bin/wsify
//	go run ./bench/wsbench -quick -run idle,fanout
//	go run ./bench/wsbench -against "nbio=bin/peers/nbio" -json 2026-02-01-peers.json
//	go run ./bench/wsbench -run fanout -vary content=16,1024,65536
//	go run ./bench/wsbench -against "base=/tmp/base/wsify" -compare
//	go run ./bench/wsbench -run nodes,engines,subscriptions
//
// # What is compared
//
// Wall-clock figures of a shared machine move from minute to minute, and so does
// the price of a system call. Servers are therefore measured in turn, several
// rounds, in one run, and beside them a floor: a child process of this program that
// makes only the system calls which nobody can avoid, over as many sockets and with
// the same bytes. Ratios are taken round by round.
//
// # Latencies
//
// They are measured at a steady rate, below what the server can do, and count from
// when a message should have left, not from when it could: a server that stalls is
// charged for all that should have been sent meanwhile (coordinated omission).
//
// # Processes
//
// The generator (this process), each server and a floor are processes of their own,
// since a process may hold no more than its limit of descriptors. Connections that
// are more than that are held by agents, which are this program again. Children are
// killed when this process ends, for whatever reason.
//
// # Nodes
//
// Scenarios of several nodes start the engine between them too, where it is
// installed. CPU is counted for all nodes together, and for the engine by itself.
//
// # Independence
//
// The program speaks the protocol by itself and imports nothing of the module it
// measures. Any server that takes an address to listen on and speaks the same
// protocol, or one of the dialects, can be measured.
package main
