package server

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"wsify/broker"
	"wsify/internal/command"
)

// anyRest stands at the end of a name of HistoryChannels for any rest.
const anyRest = "*"

// history returns what the broker has to keep; nil means nothing.
func (c *Config) history() *broker.History {
	if len(c.HistoryChannels) == 0 {
		return nil
	}
	return &broker.History{Match: matcher(c.HistoryChannels), Size: c.HistorySize, TTL: c.HistoryTTL, Memory: int64(c.HistoryMemory)}
}

// matcher returns a function that reports whether a channel is one of HistoryChannels. Channels that
// only nodes use are none of them.
func matcher(patterns []string) func(channel string) bool {
	names := map[string]bool{}
	var begins []string
	for _, p := range patterns {
		if begin, any := strings.CutSuffix(p, anyRest); any {
			begins = append(begins, begin)
		} else {
			names[p] = true
		}
	}
	return func(channel string) bool {
		if names[channel] {
			return true
		}
		for _, begin := range begins {
			if strings.HasPrefix(channel, begin) {
				return !strings.HasPrefix(channel, command.ReservedPrefix)
			}
		}
		return false
	}
}

func (p *problems) checkHistory(c *Config) {
	if n := len(c.HistoryChannels); n > maxHistoryChannels {
		p.add("history-channels", fmt.Errorf("there are %d names, and may be %d; a * at the end stands for many", n, maxHistoryChannels))
	}
	for _, pattern := range c.HistoryChannels {
		p.add("history-channels", checkHistoryChannel(pattern, c.MaxChannelLength))
	}
	p.between("history-size", c.HistorySize, 1, maxHistorySize)
	if c.HistoryTTL < time.Millisecond || c.HistoryTTL > maxHistoryTTL {
		p.add("history-ttl", fmt.Errorf("%s is not between 1ms and 720h", c.HistoryTTL))
	}
	p.between("history-memory", c.HistoryMemory, 1, math.MaxInt)
}

// checkHistoryChannel finds names that no channel can have.
func checkHistoryChannel(pattern string, most int) error {
	name := strings.TrimSuffix(pattern, anyRest)
	switch {
	case pattern == "":
		return errors.New("a name is empty; * alone stands for all channels")
	case strings.Contains(name, anyRest):
		return fmt.Errorf("%q has a * that is not at its end", pattern)
	case len(name) > most:
		return fmt.Errorf("a name has %d bytes, and a channel's name may have %d (-max-channel-length)", len(name), most)
	case !utf8.ValidString(name):
		return fmt.Errorf("%q is not UTF-8, and no channel has such a name", pattern)
	case strings.HasPrefix(name, command.ReservedPrefix):
		return fmt.Errorf("%q begins with U+0000, and no channel has such a name", pattern)
	}
	return nil
}
