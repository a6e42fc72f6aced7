package main

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// scaling is the range of an axis of values, and its marks.
type scaling struct {
	log      bool
	min, max float64
	ticks    []plot.Tick
}

// decadesLinear is how many times the least value the greatest may be on a linear axis.
const decadesLinear = 20

// scaleFor finds a scale for values of a unit: linear from 0, or logarithmic where
// they span more than a decade and none is 0.
func scaleFor(low, high float64, unit string) scaling {
	if low > 0 && high/low > decadesLinear {
		return logScale(low, high, unit)
	}
	return linearScale(low, high, unit)
}

func linearScale(low, high float64, unit string) scaling {
	low = min(low, 0)
	if high <= low {
		high = low + 1
	}
	step := niceStep((high - low) / 5)
	first, last := math.Floor(low/step+1e-9), math.Ceil(high/step-1e-9)
	s := scaling{min: first * step, max: last * step}
	for i := first; i <= last; i++ {
		s.ticks = append(s.ticks, plot.Tick{Value: i * step, Label: tickLabel(i*step, unit)})
	}
	return s
}

// niceStep is the least of 1, 2, 2.5 and 5 times a power of ten that is not below v.
func niceStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 2.5, 5} {
		if f*power >= v*(1-1e-9) {
			return f * power
		}
	}
	return 10 * power
}

// logScale ends at the next 1, 2 or 5 times a power of ten outside of the values. Over
// few decades these are labelled, else the powers are.
func logScale(low, high float64, unit string) scaling {
	s := scaling{log: true}
	for k := int(math.Floor(math.Log10(low))); k <= int(math.Ceil(math.Log10(high))); k++ {
		for _, f := range []float64{1, 2, 5} {
			v := f * math.Pow10(k)
			if v <= low || s.min == 0 {
				s.min = v
			}
			if s.max < high {
				s.max = v
			}
		}
	}
	few := math.Log10(s.max/s.min) < 2.5
	for k := int(math.Floor(math.Log10(s.min))); k <= int(math.Ceil(math.Log10(s.max))); k++ {
		for f := 1; f <= 9; f++ {
			v := float64(f) * math.Pow10(k)
			if v < s.min*(1-1e-9) || v > s.max*(1+1e-9) {
				continue
			}
			t := plot.Tick{Value: v}
			if f == 1 || few && (f == 2 || f == 5) {
				t.Label = tickLabel(v, unit)
			}
			s.ticks = append(s.ticks, t)
		}
	}
	return s
}

// tickLabel writes a round number as short as it is, with its unit where that has scales.
func tickLabel(v float64, unit string) string {
	suffix := ""
	if steps, ok := scales[unit]; ok {
		i := 0
		for i+1 < len(steps) && math.Abs(v) >= 1000 {
			v /= 1000
			i++
		}
		suffix = " " + steps[i]
	}
	round, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 10, 64), 64)
	if err != nil {
		round = v
	}
	return group(strconv.FormatFloat(round, 'f', -1, 64)) + suffix
}

// Room for the labels of x: about so much of a chart is left of an axis, and a label
// wants some distance to the next.
const (
	axisWidth = 510
	labelGap  = 5
)

// thin takes away labels that would be over the one to their right: the last stays.
// Their marks stay too.
func (s scaling) thin() {
	left := math.Inf(1) // of the label to the right
	for i := len(s.ticks) - 1; i >= 0; i-- {
		t := &s.ticks[i]
		half := float64(labelStyle().Width(t.Label)) / 2
		at := axisWidth * s.share(t.Value)
		if at+half+labelGap > left {
			t.Label = ""
			continue
		}
		left = at - half
	}
}

// share is where v lies between the ends of the axis, from 0 to 1.
func (s scaling) share(v float64) float64 {
	if s.log {
		return math.Log(v/s.min) / math.Log(s.max/s.min)
	}
	return (v - s.min) / (s.max - s.min)
}

// apply gives the scale to an axis.
func (s scaling) apply(a *plot.Axis) {
	a.Min, a.Max = s.min, s.max
	a.Tick.Marker = plot.ConstantTicks(s.ticks)
	if s.log {
		a.Scale = plot.LogScale{}
	}
}
