package wire

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
)

// binaryProxy returns a header of version 2.
func binaryProxy(command, family byte, block string) string {
	size := binary.BigEndian.AppendUint16(nil, uint16(len(block)))
	return proxyMark2 + string([]byte{command, family}) + string(size) + block
}

const (
	v4Block = "\xc0\x00\x02\x01" + "\xc6\x33\x64\x02" + "\x12\x67" + "\x01\xbb" // 192.0.2.1:4711 to 198.51.100.2:443
	v6Block = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\x12\x67" + "\x01\xbb"
)

// extension returns one of a header of version 2.
func extension(kind byte, value string) string {
	return string([]byte{kind}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(value)))) + value
}

// summed returns a header whose last extension is its checksum, changed by wrong.
func summed(block string, wrong uint32) string {
	p := []byte(binaryProxy(0x21, 0x11, block+extension(0x03, "\x00\x00\x00\x00")))
	binary.BigEndian.PutUint32(p[len(p)-4:], crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli))^wrong)
	return string(p)
}

var goodProxies = []struct{ name, header, client string }{
	{"1, IPv4", "PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\r\n", "192.0.2.1:4711"},
	{"1, IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n", "[2001:db8::1]:4711"},
	{"1, the longest address", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	{"1, IPv4 of nginx", "PROXY TCP6 192.0.2.1 2001:db8::2 4711 443\r\n", "192.0.2.1:4711"},
	{"1, a mapped address", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 4711 443\r\n", "192.0.2.1:4711"},
	{"1, ports at their ends", "PROXY TCP4 192.0.2.1 198.51.100.2 65535 0\r\n", "192.0.2.1:65535"},
	{"1, unknown", "PROXY UNKNOWN\r\n", "invalid AddrPort"},
	{"1, unknown with what it may say", "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "invalid AddrPort"},
	{"1, 107 bytes", "PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n", "invalid AddrPort"},
	{"1, unspecified IPv4", "PROXY TCP4 0.0.0.0 198.51.100.2 4711 443\r\n", "invalid AddrPort"},
	{"1, unspecified IPv6", "PROXY TCP6 :: 2001:db8::2 4711 443\r\n", "invalid AddrPort"},
	{"1, unspecified and mapped", "PROXY TCP6 ::ffff:0.0.0.0 2001:db8::2 4711 443\r\n", "invalid AddrPort"},
	{"2, IPv4", binaryProxy(0x21, 0x11, v4Block), "192.0.2.1:4711"},
	{"2, unspecified IPv4", binaryProxy(0x21, 0x11, "\x00\x00\x00\x00"+v4Block[4:]), "invalid AddrPort"},
	{"2, unspecified IPv6", binaryProxy(0x21, 0x21, strings.Repeat("\x00", 16)+v6Block[16:]), "invalid AddrPort"},
	{"2, IPv4 over UDP", binaryProxy(0x21, 0x12, v4Block), "192.0.2.1:4711"},
	{"2, IPv6", binaryProxy(0x21, 0x21, v6Block), "[2001:db8::1]:4711"},
	{"2, IPv6 over UDP", binaryProxy(0x21, 0x22, v6Block), "[2001:db8::1]:4711"},
	{"2, a unix socket", binaryProxy(0x21, 0x31, strings.Repeat("\x00", 216)), "invalid AddrPort"},
	{"2, a unix datagram", binaryProxy(0x21, 0x32, strings.Repeat("a", 216)), "invalid AddrPort"},
	{"2, unknown", binaryProxy(0x21, 0x00, ""), "invalid AddrPort"},
	{"2, unknown with something behind", binaryProxy(0x21, 0x00, "anything"), "invalid AddrPort"},
	{"2, a health check", binaryProxy(0x20, 0x00, ""), "invalid AddrPort"},
	{"2, a health check with addresses", binaryProxy(0x20, 0x11, v4Block), "invalid AddrPort"},
	{"2, a health check with anything", binaryProxy(0x20, 0xff, "\x04\xff"), "invalid AddrPort"},
	{"2, extensions", binaryProxy(0x21, 0x11, v4Block+extension(0x01, "h2")+extension(0x04, "")+extension(0xea, strings.Repeat("x", 300))), "192.0.2.1:4711"},
	{"2, a checksum", summed(v4Block+extension(0x05, "unique"), 0), "192.0.2.1:4711"},
	{"2, 4096 bytes", binaryProxy(0x21, 0x11, v4Block+extension(0x04, strings.Repeat("\x00", 4096-proxyFixed-12-3))), "192.0.2.1:4711"},
}

var badProxies = []struct {
	name, header string
	want         error
}{
	{"nothing of a header", "GET / HTTP/1.1\r\n", ErrNoProxy},
	{"another word", "PROXIES\r\n", ErrNoProxy},
	{"in small letters", "proxy TCP4 192.0.2.1 198.51.100.2 4711 443\r\n", ErrNoProxy},
	{"POST", "POST /broadcast HTTP/1.1\r\n", ErrNoProxy},
	{"an empty line", "\r\n\r\nGET / HTTP/1.1\r\n", ErrNoProxy},
	{"1, LF alone", "PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\n", errProxyLine},
	{"1, nothing", "PROXY \r\n", errProxyLine},
	{"1, LF at once", "PROXY \n", errProxyLine},
	{"1, another protocol", "PROXY UDP4 192.0.2.1 198.51.100.2 4711 443\r\n", errProxyLine},
	{"1, two spaces", "PROXY  TCP4 192.0.2.1 198.51.100.2 4711 443\r\n", errProxyLine},
	{"1, one port", "PROXY TCP4 192.0.2.1 198.51.100.2 4711\r\n", errProxyLine},
	{"1, three ports", "PROXY TCP4 192.0.2.1 198.51.100.2 4711 443 80\r\n", errProxyLine},
	{"1, a space at the end", "PROXY TCP4 192.0.2.1 198.51.100.2 4711 443 \r\n", errProxyLine},
	{"1, a port of 65536", "PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n", errProxyLine},
	{"1, a port with a zero before it", "PROXY TCP4 192.0.2.1 198.51.100.2 04711 443\r\n", errProxyLine},
	{"1, a port with a sign", "PROXY TCP4 192.0.2.1 198.51.100.2 +4711 443\r\n", errProxyLine},
	{"1, a negative port", "PROXY TCP4 192.0.2.1 198.51.100.2 4711 -1\r\n", errProxyLine},
	{"1, IPv6 after TCP4", "PROXY TCP4 2001:db8::1 2001:db8::2 4711 443\r\n", errProxyLine},
	{"1, a zone", "PROXY TCP6 fe80::1%eth0 fe80::2 4711 443\r\n", errProxyLine},
	{"1, a name", "PROXY TCP4 localhost 198.51.100.2 4711 443\r\n", errProxyLine},
	{"1, a zero before a number", "PROXY TCP4 192.0.2.01 198.51.100.2 4711 443\r\n", errProxyLine},
	{"1, 108 bytes", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", errProxyLong},
	{"1, without end", "PROXY TCP4 " + strings.Repeat("1", 1000), errProxyLong},
	{"2, version 1", binaryProxy(0x11, 0x11, v4Block), errProxyVersion},
	{"2, version 3", binaryProxy(0x31, 0x11, v4Block), errProxyVersion},
	{"2, command 2", binaryProxy(0x22, 0x11, v4Block), errProxyVersion},
	{"2, family 4", binaryProxy(0x21, 0x41, v4Block), errProxyFamily},
	{"2, IPv4 and no protocol", binaryProxy(0x21, 0x10, v4Block), errProxyFamily},
	{"2, IPv4 and protocol 3", binaryProxy(0x21, 0x13, v4Block), errProxyFamily},
	{"2, TCP of no family", binaryProxy(0x21, 0x01, v4Block), errProxyFamily},
	{"2, IPv4, one byte short", binaryProxy(0x21, 0x11, v4Block[:11]), errProxyShort},
	{"2, IPv4 said to be IPv6", binaryProxy(0x21, 0x21, v4Block), errProxyShort},
	{"2, IPv6, one byte short", binaryProxy(0x21, 0x21, v6Block[:35]), errProxyShort},
	{"2, a unix socket, one byte short", binaryProxy(0x21, 0x31, strings.Repeat("a", 215)), errProxyShort},
	{"2, no addresses", binaryProxy(0x21, 0x11, ""), errProxyShort},
	{"2, one byte behind the addresses", binaryProxy(0x21, 0x11, v4Block+"\x04"), errProxyTLV},
	{"2, half an extension's head", binaryProxy(0x21, 0x11, v4Block+"\x04\x00"), errProxyTLV},
	{"2, an extension that is too long by one", binaryProxy(0x21, 0x11, v4Block+"\x04\x00\x03ab"), errProxyTLV},
	{"2, a second extension that is too long", binaryProxy(0x21, 0x11, v4Block+extension(1, "h2")+"\x04\xff\xff"), errProxyTLV},
	{"2, a wrong checksum", summed(v4Block, 1), errProxySum},
	{"2, a checksum of three bytes", binaryProxy(0x21, 0x11, v4Block+extension(0x03, "abc")), errProxySum},
	{"2, 4097 bytes", binaryProxy(0x21, 0x11, v4Block+extension(0x04, strings.Repeat("\x00", 4097-proxyFixed-12-3))), errProxyLong},
	{"2, a health check of 4097 bytes", binaryProxy(0x20, 0x00, strings.Repeat("\x00", 4097-proxyFixed)), errProxyLong},
	{"2, 64 KiB that are not there", proxyMark2 + "\x21\x11\xff\xff", errProxyLong},
}

func TestAProxyHeaderIsReadWhereverItIsCut(t *testing.T) {
	const behind = "GET /ws HTTP/1.1\r\n"
	for _, c := range goodProxies {
		for cut := range len(c.header) {
			if client, n, err := ParseProxy([]byte(c.header[:cut])); n != 0 || err != nil {
				t.Errorf("%s: the first %d bytes: %v, %d, %v; want to wait for more", c.name, cut, client, n, err)
			}
		}
		for _, rest := range []string{"", behind} {
			if client, n, err := ParseProxy([]byte(c.header + rest)); client.String() != c.client || n != len(c.header) || err != nil {
				t.Errorf("%s: %v, %d, %v; want %s, %d", c.name, client, n, err, c.client, len(c.header))
			}
		}
	}
}

func TestABadProxyHeaderIsAnErrorWhereverItIsCut(t *testing.T) {
	for _, c := range badProxies {
		if client, n, err := ParseProxy([]byte(c.header)); !errors.Is(err, c.want) || n != 0 || client.IsValid() {
			t.Errorf("%s: %v, %d, %v; want %v", c.name, client, n, err, c.want)
		}
		wrong := false
		for cut := range len(c.header) {
			client, n, err := ParseProxy([]byte(c.header[:cut]))
			if n != 0 || client.IsValid() || err != nil && !errors.Is(err, c.want) || wrong && err == nil {
				t.Errorf("%s: the first %d bytes: %v, %d, %v; want %v, or to wait", c.name, cut, client, n, err, c.want)
			}
			wrong = err != nil
		}
	}
}

// FuzzProxy: input that comes in pieces has the same result as the whole.
func FuzzProxy(f *testing.F) {
	for _, c := range goodProxies {
		f.Add([]byte(c.header+"GET"), []byte{0})
	}
	for _, c := range badProxies {
		f.Add([]byte(c.header), []byte{6, 0})
	}
	f.Fuzz(func(t *testing.T, input, sizes []byte) {
		client, n, err := ParseProxy(input)
		if n < 0 || n > len(input) || n > maxProxyHeader || err != nil && (n != 0 || client.IsValid()) {
			t.Fatalf("%q: %v, %d, %v", input, client, n, err)
		}
		var seen []byte
		for _, chunk := range cutBy(input, sizes) {
			seen = append(seen, chunk...)
			got, m, wrong := ParseProxy(seen)
			if m == 0 && wrong == nil {
				continue
			}
			if got != client || m != n || !errors.Is(wrong, err) {
				t.Fatalf("%q cut at %d: %v, %d, %v; whole: %v, %d, %v", input, len(seen), got, m, wrong, client, n, err)
			}
			return
		}
		if n != 0 || err != nil {
			t.Fatalf("%q in pieces needs more; whole: %v, %d, %v", input, client, n, err)
		}
	})
}
