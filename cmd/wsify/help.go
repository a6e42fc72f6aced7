//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
)

// helpWidth is the most columns of the help.
const helpWidth = 96

const helpHead = `wsify is a WebSocket pub/sub server: clients connect to /ws, join channels and hear what is
broadcast to them, or read it as a stream of events at /sse. A backend publishes with
POST /broadcast.

Usage:
  wsify [-setting value]...               serve
  wsify healthcheck [-setting value]...   ask the server with these settings whether it is healthy
  wsify doctor [-setting value]...        say what this machine can hold with these settings

Examples:
  wsify
  wsify -listen-addr :80 -authorizer-url http://localhost:8000/wsify -ping-interval 1m
  WSIFY_BROADCASTING_KEY_FILE=/run/secrets/key wsify -config /etc/wsify.conf
  wsify -config /etc/wsify.conf -check-config
  wsify doctor -config /etc/wsify.conf -connections 100000

A setting is taken from the command line, else from the environment, else from the file, else
it has its default. -name and --name are the same.
  DURATION  has a unit: 500ms, 25s, 1m30s, 2h.
  SIZE      is bytes, or has a unit: 65536, 64KiB, 1MiB, 1GiB; 64KB is 64000 bytes, 1MB 1000000.
  LIST      has commas between its parts.
SIGHUP reloads the file and the files of secrets. SIGUSR1 drains: clients are told to reconnect,
new ones are refused, and the server stays.
`

const helpTail = `
Exit codes: 0 after an orderly end, 1 when the configuration is refused or the server fails,
2 when the command line is wrong. healthcheck: 1 when the server is not healthy. doctor: 1 when
there is a problem, or the machine will not hold -connections.
`

// writeHelp prints what -help shows.
func writeHelp(w io.Writer, groups []group) {
	io.WriteString(w, helpHead)
	for _, g := range groups {
		fmt.Fprintf(w, "\n%s\n", g.title)
		for _, s := range g.settings {
			s.writeHelp(w)
		}
	}
	writeWrapped(w, "  -help, -h", "Print this, and exit.")
	io.WriteString(w, helpTail)
}

func (s *setting) writeHelp(w io.Writer) {
	about := s.about
	switch {
	case s.counts:
		about += " A reload changes it, but not from 0."
	case s.reload:
		about += " A reload changes it."
	}
	if !s.once {
		about += "\nDefault " + s.defaultWord() + ". Example: " + strings.TrimSpace(s.flag()+" "+s.example) + "\n" + s.envWords()
	}
	writeWrapped(w, strings.TrimRight("  -"+s.name+" "+s.arg, " "), about)
}

func (s *setting) defaultWord() string {
	switch {
	case s.note != "":
		return s.note
	case s.initial == "":
		return "none"
	}
	return s.initial
}

// envWords returns the names of the variables of s.
func (s *setting) envWords() string {
	if s.secret {
		return s.env() + ", or a file with it: " + s.fileEnv()
	}
	return s.env()
}

// writeWrapped prints head on its own line, and text, indented, below it.
func writeWrapped(w io.Writer, head, text string) {
	const indent = "        "
	fmt.Fprintln(w, head)
	for paragraph := range strings.SplitSeq(text, "\n") {
		line := indent
		for word := range strings.FieldsSeq(paragraph) {
			if line != indent && len(line)+1+len(word) > helpWidth {
				fmt.Fprintln(w, line)
				line = indent
			}
			if line != indent {
				line += " "
			}
			line += word
		}
		fmt.Fprintln(w, line)
	}
}
