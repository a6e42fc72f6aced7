// Package brokertest is what the tests of all brokers need: a node with a record of what
// it was given to deliver, and of its log.
package brokertest
