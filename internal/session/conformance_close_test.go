package session

import (
	"fmt"
	"strings"
)

// closeCases are group 7. Where the suite allows several outcomes (7.1.6, 7.13), the
// case expects the behavior of these servers.
func closeCases() []conformanceCase {
	ends := func(name string, raw string, code int, want ...frame) conformanceCase {
		return conformanceCase{name, []step{{raw, whole, want}}, code}
	}
	normal := closing(1000, "")
	big := strings.Repeat("BAsd7&jh23", 256<<10/10)
	all := []conformanceCase{
		ends("7.1.1 close after a message", final(opText, hello)+normal, 1000, text(hello)),
		ends("7.1.2 two close frames", normal+normal, 1000),
		ends("7.1.3 ping after the close frame", normal+final(opPing, ""), 1000),
		ends("7.1.4 message after the close frame", normal+final(opText, hello), 1000),
		ends("7.1.5 close inside a message", part(opText, "fragment1")+normal+final(opContinuation, "fragment2"), 1000),
		ends("7.1.6 close and ping after a message of 256 KiB", final(opText, big)+final(opText, hello)+normal+final(opPing, ""), 1000, text(big), text(hello)),
		ends("7.3.1 close without payload", closing(0, ""), 0),
		ends("7.3.2 close with one byte", final(opClose, "a"), 1002),
		ends("7.3.3 close with a code", normal, 1000),
		ends("7.3.4 close with code and reason", closing(1000, hello), 1000),
		ends("7.3.5 close with the longest reason", closing(1000, strings.Repeat("*", 123)), 1000),
		ends("7.3.6 close with a longer reason", closing(1000, strings.Repeat("*", 124)), 1002),
		ends("7.5.1 close with a reason that is not UTF-8", closing(1000, greek+"\xed\xa0\x80edited"), 1007),
		ends("7.13.1 close with code 5000", closing(5000, ""), 1002),
		ends("7.13.2 close with code 65535", closing(65535, ""), 1002),
	}
	for i, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		all = append(all, ends(fmt.Sprintf("7.7.%d code %d comes back", i+1, code), closing(code, ""), code))
	}
	for i, code := range []int{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999} {
		raw := final(opClose, string([]byte{byte(code >> 8), byte(code)}))
		all = append(all, ends(fmt.Sprintf("7.9.%d code %d is refused", i+1, code), raw, 1002))
	}
	return all
}
