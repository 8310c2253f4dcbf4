package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// The size of a drawing, and its margins, in pixels.
const (
	svgWidth, svgHeight         = 640, 360
	svgLeft, svgRight           = 70, 40
	svgTop, svgBottom           = 40, 50
	svgInnerWide, svgInnerHigh  = svgWidth - svgLeft - svgRight, svgHeight - svgTop - svgBottom
	svgTextStyle                = `font-family="sans-serif" font-size="12" fill="#555"`
	svgLegendStep, svgLegendOff = 150, 60
)

// svgColors returns the colours of lines, which can be distinguished without red and green, on white and on black.
func svgColors() []string {
	return []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"}
}

// axis maps positive values to pixels, in powers of ten.
type axis struct {
	low, high float64 // exponents
	from, to  float64 // pixels
}

// newAxis makes an axis over whole powers of ten that covers the positive values.
func newAxis(values []float64, from, to float64) axis {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v > 0 && !math.IsInf(v, 1) {
			low, high = min(low, math.Floor(math.Log10(v))), max(high, math.Ceil(math.Log10(v)))
		}
	}
	if low > high { // nothing to draw
		low, high = 0, 1
	}
	if low == high {
		high++
	}
	return axis{low, high, from, to}
}

// pixel returns the place of a positive value.
func (a axis) pixel(v float64) float64 {
	return a.from + (math.Log10(v)-a.low)/(a.high-a.low)*(a.to-a.from)
}

// drawSVG draws the lines over two logarithmic axes.
func (c *curve) drawSVG() string {
	var xs, ys []float64
	for _, l := range c.Lines {
		xs, ys = append(xs, l.X...), append(ys, l.Y...)
	}
	x := newAxis(xs, svgLeft, svgLeft+svgInnerWide)
	y := newAxis(ys, svgTop+svgInnerHigh, svgTop)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", svgWidth, svgHeight, svgWidth, svgHeight)
	fmt.Fprintf(&b, `<title>%s</title>`+"\n"+`<rect width="100%%" height="100%%" fill="#fff"/>`+"\n", html.EscapeString(c.Title))
	writeText(&b, svgWidth/2, svgTop/2, "middle", c.Title)
	for e := x.low; e <= x.high; e++ {
		at := x.pixel(math.Pow(10, e))
		fmt.Fprintf(&b, `<path d="M%.1f %dV%d" stroke="#ddd"/>`+"\n", at, svgTop, svgTop+svgInnerHigh)
		writeText(&b, at, svgTop+svgInnerHigh+16, "middle", formatNumber(math.Pow(10, e)))
	}
	for e := y.low; e <= y.high; e++ {
		at := y.pixel(math.Pow(10, e))
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/>`+"\n", svgLeft, at, svgLeft+svgInnerWide)
		writeText(&b, svgLeft-6, at+4, "end", formatNumber(math.Pow(10, e)))
	}
	writeText(&b, svgLeft+svgInnerWide, svgHeight-18, "end", c.X)
	writeText(&b, 8, svgTop-8, "start", c.Y)
	for i, l := range c.Lines {
		l.drawLine(&b, x, y, svgColors()[i%len(svgColors())])
		writeLegend(&b, i, l.Name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// drawLine draws the points and the line between them. Points without a positive value are left out.
func (l *line) drawLine(b *strings.Builder, x, y axis, color string) {
	var path, dots strings.Builder
	for i := range min(len(l.X), len(l.Y)) {
		if !(l.X[i] > 0 && l.Y[i] > 0) || math.IsInf(l.X[i], 1) || math.IsInf(l.Y[i], 1) {
			continue
		}
		command := "L"
		if path.Len() == 0 {
			command = "M"
		}
		px, py := x.pixel(l.X[i]), y.pixel(l.Y[i])
		fmt.Fprintf(&path, "%s%.1f %.1f", command, px, py)
		fmt.Fprintf(&dots, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s: %s</title></circle>`+"\n", px, py, color, formatNumber(l.X[i]), formatNumber(l.Y[i]))
	}
	if path.Len() > 0 {
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path.String(), color)
	}
	b.WriteString(dots.String())
}

func writeLegend(b *strings.Builder, i int, name string) {
	at := svgLegendOff + i*svgLegendStep
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="10" height="10" fill="%s"/>`+"\n", at, svgHeight-18, svgColors()[i%len(svgColors())])
	writeText(b, float64(at+14), svgHeight-9, "start", name)
}

func writeText(b *strings.Builder, x, y float64, anchor, text string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, svgTextStyle, html.EscapeString(text))
}
