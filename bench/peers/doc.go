// Package peers holds other people's WebSocket engines, each as a server that
// wsify's load generator can measure: the directories beside this file are one
// program each. README.md says what shape each of them follows and why.
package peers
