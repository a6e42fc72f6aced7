package session

import "fmt"

// sizeCases are groups 1, 9 and 10. Groups 9.7 and 9.8 do a tenth of the suite's
// thousand round trips.
func sizeCases() []sizeCase {
	all := framingCases()
	all = append(all, largeCases()...)
	all = append(all, slicedCases()...)
	for i, size := range []int{0, 16, 64, 256, 1024, 4096} {
		all = append(all,
			sizeCase{fmt.Sprintf("9.7.%d text of %d bytes, 100 times", i+1, size), opText, size, whole, whole, 100},
			sizeCase{fmt.Sprintf("9.8.%d binary of %d bytes, 100 times", i+1, size), opBinary, size, whole, whole, 100})
	}
	return append(all, sizeCase{"10.1.1 text of 65536 bytes in fragments of 1300", opText, 65536, 1300, whole, 1})
}

// whole stands for one frame per message, or one write for all bytes.
const whole = 1 << 40

// framingCases are group 1.
func framingCases() []sizeCase {
	var all []sizeCase
	for i, size := range []int{0, 125, 126, 127, 128, 65535, 65536} {
		all = append(all,
			sizeCase{fmt.Sprintf("1.1.%d text of %d bytes", i+1, size), opText, size, whole, whole, 1},
			sizeCase{fmt.Sprintf("1.2.%d binary of %d bytes", i+1, size), opBinary, size, whole, whole, 1})
	}
	return append(all,
		sizeCase{"1.1.8 text of 65536 bytes in writes of 997", opText, 65536, whole, 997, 1},
		sizeCase{"1.2.8 binary of 65536 bytes in writes of 997", opBinary, 65536, whole, 997, 1})
}

// largeCases are groups 9.1 and 9.2.
func largeCases() []sizeCase {
	var all []sizeCase
	sizes := []int{64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20, 16 << 20}
	for i, size := range sizes[:unlessRace(len(sizes), 3)] {
		all = append(all,
			sizeCase{fmt.Sprintf("9.1.%d text of %d KiB", i+1, size>>10), opText, size, whole, whole, 1},
			sizeCase{fmt.Sprintf("9.2.%d binary of %d KiB", i+1, size>>10), opBinary, size, whole, whole, 1})
	}
	return all
}

// slicedCases are groups 9.3 to 9.6: messages in fragments, and frames in several writes.
func slicedCases() []sizeCase {
	var all []sizeCase
	message, frame := unlessRace(4<<20, 256<<10), unlessRace(1<<20, 64<<10)
	for i, size := range []int{64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20} {
		all = append(all,
			sizeCase{fmt.Sprintf("9.3.%d text of %d KiB in fragments of %d bytes", i+1, message>>10, size), opText, message, size, whole, 1},
			sizeCase{fmt.Sprintf("9.4.%d binary of %d KiB in fragments of %d bytes", i+1, message>>10, size), opBinary, message, size, whole, 1})
	}
	for i, size := range []int{64, 128, 256, 512, 1024, 2048} {
		all = append(all,
			sizeCase{fmt.Sprintf("9.5.%d text of %d KiB in writes of %d bytes", i+1, frame>>10, size), opText, frame, whole, size, 1},
			sizeCase{fmt.Sprintf("9.6.%d binary of %d KiB in writes of %d bytes", i+1, frame>>10, size), opBinary, frame, whole, size, 1})
	}
	return all
}
