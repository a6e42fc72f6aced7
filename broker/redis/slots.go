package redis

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
)

// numSlots is the number of slots of a cluster; each channel belongs to one.
const numSlots = 16384

// slotTable maps slots to the masters that own them.
type slotTable struct {
	owner   [numSlots]string // the address, empty without an owner
	masters []string         // all of them
}

// owns reports whether the server at addr is a master of the cluster.
func (t *slotTable) owns(addr string) bool { return slices.Contains(t.masters, addr) }

// parseSlots parses the answer of the server at from to CLUSTER SLOTS.
func parseSlots(r respReply, from string) (*slotTable, error) {
	t := &slotTable{}
	seen := map[string]bool{}
	for _, e := range r.list {
		if len(e.list) < 3 || len(e.list[2].list) < 2 {
			return nil, errRESP
		}
		first, last, master := e.list[0].num, e.list[1].num, e.list[2].list
		if first < 0 || last >= numSlots {
			return nil, errRESP
		}
		addr := endpoint(master[0].text, strconv.FormatInt(master[1].num, 10), from)
		if addr == "" {
			continue
		}
		for slot := first; slot <= last; slot++ {
			t.owner[slot] = addr
		}
		if !seen[addr] {
			seen[addr] = true
			t.masters = append(t.masters, addr)
		}
	}
	if len(t.masters) == 0 {
		return nil, errors.New("no node of the cluster owns any slot")
	}
	return t, nil
}

// endpoint returns the address of a master, as the server at from names it, or "" when the master
// has no address. An empty host means the server that was asked.
func endpoint(host, port, from string) string {
	switch host {
	case "?":
		return ""
	case "":
		host, _, _ = net.SplitHostPort(from)
	}
	return net.JoinHostPort(host, port)
}

// slotOf returns the slot of a channel. If the name has text in braces, only that is hashed.
func slotOf(channel string) int {
	if _, rest, ok := strings.Cut(channel, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			channel = tag
		}
	}
	return int(crc16(channel)) % numSlots
}

// unreachable reports whether an error means that another server, or none, serves the slot for now.
// Other errors are about the channel or the user.
func (e respError) unreachable() bool {
	switch e.code() {
	case "MOVED", "CLUSTERDOWN", "TRYAGAIN", "LOADING", "MASTERDOWN":
		return true
	}
	return false
}

// moved parses the error in which the server at from names the owner of a slot: "MOVED 3999
// 127.0.0.1:6381". ok is false for another error; to is empty when the owner has no address.
func (e respError) moved(from string) (slot int, to string, ok bool) {
	words := strings.Fields(string(e))
	if len(words) < 2 || words[0] != "MOVED" {
		return 0, "", false
	}
	slot, err := strconv.Atoi(words[1])
	if err != nil || len(words) != 3 {
		return slot, "", err == nil
	}
	colon := strings.LastIndexByte(words[2], ':')
	host, port := words[2][:max(colon, 0)], words[2][colon+1:]
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || colon < 0 {
		return slot, "", true
	}
	return slot, endpoint(host, port, from), true
}

// crc16 is CRC-16/XMODEM, as Redis computes it.
func crc16(s string) (crc uint16) {
	for i := range len(s) {
		crc = crc<<8 ^ crc16Table[byte(crc>>8)^s[i]]
	}
	return crc
}

// crc16Table holds the CRC of each byte.
var crc16Table = func() (t [256]uint16) {
	for i := range t {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		t[i] = crc
	}
	return t
}()
