package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// count writes a number with commas.
func count(n int64) string {
	if n >= unlimited {
		return "any number of"
	}
	digits := strconv.FormatInt(n, 10)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// size writes a number of bytes with three digits.
func size(bytes int64) string {
	n, unit := float64(bytes), "bytes"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if n < 1024 {
			break
		}
		n, unit = n/1024, next
	}
	text := strconv.FormatFloat(n, 'f', 2, 64)
	if whole, part, _ := strings.Cut(text, "."); len(whole) > 1 {
		text = strings.TrimSuffix(whole+"."+part[:max(0, 3-len(whole))], ".")
	}
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return fmt.Sprintf("%s %s", text, unit)
}

// rounded writes a duration with two or three digits.
func rounded(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return strings.Replace(d.Round(10*time.Microsecond).String(), "µ", "u", 1)
}

// sentence ends a text with a full stop, unless it has an end.
func sentence(text string) string {
	if text == "" || strings.ContainsAny(text[len(text)-1:], ".?!") {
		return text
	}
	return text + "."
}

// medianOf returns the median and the longest of durations; zeros when there are none.
func medianOf(all []time.Duration) (median, longest time.Duration) {
	if len(all) == 0 {
		return 0, 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[(len(sorted)-1)/2], sorted[len(sorted)-1]
}
