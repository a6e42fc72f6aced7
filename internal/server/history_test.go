package server

import (
	"strings"
	"testing"
)

func TestHistoryChannelsAreNamesAndBeginningsOfNames(t *testing.T) {
	some := matcher([]string{"news", "chat:*"})
	all := matcher([]string{"*"})
	for channel, want := range map[string]bool{
		"news": true, "chat:": true, "chat:1": true, "chat:*": true,
		"news2": false, "chat": false, "new": false, "": false, "*": false, "x chat:1": false,
	} {
		if got := some(channel); got != want {
			t.Errorf("news,chat:* has %q: %t, want %t", channel, got, want)
		}
		if !all(channel) {
			t.Errorf("* has not %q", channel)
		}
	}
	if all("\x00wsify/orders") {
		t.Error("* has a channel that only nodes use")
	}
}

func TestAChannelNameMayBeAsLongAsItIsAllowedInHistoryChannels(t *testing.T) {
	c := Config{HistoryChannels: []string{strings.Repeat("a", 255) + "*", strings.Repeat("b", 255), "*"}}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if h := c.history(); h == nil || !h.Keeps(strings.Repeat("b", 255)) {
		t.Error("the longest name is not kept")
	}
}

func TestWithoutHistoryChannelsTheBrokerKeepsNothing(t *testing.T) {
	var c Config
	if err := c.Validate(); err != nil || c.history() != nil || brokerConfig(&c).History != nil {
		t.Errorf("got %v, %v", c.history(), err)
	}
}
