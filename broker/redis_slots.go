package broker

import (
	"errors"
	"net"
	"strconv"
	"strings"
)

// redisSlots is how many slots a cluster has; each channel is of one.
const redisSlots = 16384

// redisSlotTable says which master owns a slot: the address, empty when none does.
type redisSlotTable [redisSlots]string

// parseSlots reads the answer to CLUSTER SLOTS of the server at from, and returns the
// addresses of the masters besides.
func parseSlots(r respReply, from string) (*redisSlotTable, []string, error) {
	var t redisSlotTable
	var masters []string
	seen := map[string]bool{}
	for _, e := range r.list {
		if len(e.list) < 3 || len(e.list[2].list) < 2 {
			return nil, nil, errRESP
		}
		first, last, master := e.list[0].num, e.list[1].num, e.list[2].list
		if first < 0 || last >= redisSlots {
			return nil, nil, errRESP
		}
		host := master[0].text
		switch host {
		case "?": // it has no name to go by
			continue
		case "": // the one that was asked
			host, _, _ = net.SplitHostPort(from)
		}
		addr := net.JoinHostPort(host, strconv.FormatInt(master[1].num, 10))
		for slot := first; slot <= last; slot++ {
			t[slot] = addr
		}
		if !seen[addr] {
			seen[addr] = true
			masters = append(masters, addr)
		}
	}
	if len(masters) == 0 {
		return nil, nil, errors.New("no node of the cluster owns any slot")
	}
	return &t, masters, nil
}

// slotOf returns the slot of a channel: what is in braces decides, if anything is.
func slotOf(channel string) int {
	if _, rest, ok := strings.Cut(channel, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			channel = tag
		}
	}
	return int(crc16(channel)) % redisSlots
}

// crc16 is CRC-16/XMODEM, as Redis computes it.
func crc16(s string) uint16 {
	var crc uint16
	for i := range len(s) {
		crc ^= uint16(s[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
