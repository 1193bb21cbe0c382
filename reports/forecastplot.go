package reports

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
	"time"

	"github.com/headroom-project/headroom/capacity/forecast"
)

// The size of a plot, and where its axes are.
const (
	plotWidth, plotHeight = 960.0, 420.0
	plotLeft, plotRight   = 64.0, 18.0
	plotTop, plotBottom   = 40.0, 44.0
	// mostPlotted bounds the points of a line: beyond, the highest of each stretch.
	mostPlotted = 1200
)

// plotStyle reads in light and in dark, and without colours (lines differ in
// dashes too).
const plotStyle = `
.bg{fill:#fff}.grid{stroke:#e3e5e8;stroke-width:1}.axis{fill:#59636e;font:12px system-ui,sans-serif}
.title{fill:#1f2328;font:600 14px system-ui,sans-serif}.past{fill:none;stroke:#1f6feb;stroke-width:1.2}
.band{fill:#bf8700;fill-opacity:.22}.ahead{fill:none;stroke:#9a6700;stroke-width:1.4}
.limit{stroke:#cf222e;stroke-width:1.4;stroke-dasharray:6 4}.range{fill:#cf222e;fill-opacity:.10}.limit-text{fill:#cf222e;font:12px system-ui,sans-serif}
@media (prefers-color-scheme:dark){.bg{fill:#0d1117}.grid{stroke:#2b3139}.axis{fill:#9198a1}.title{fill:#f0f6fc}.past{stroke:#58a6ff}
.band{fill:#d29922;fill-opacity:.28}.ahead{stroke:#e3b341}.limit{stroke:#ff7b72}.range{fill:#ff7b72;fill-opacity:.14}.limit-text{fill:#ff7b72}}
`

// plot maps times and loads to the drawing.
type plot struct {
	from, to time.Time
	top      float64
	b        strings.Builder
}

func (p *plot) x(t time.Time) float64 {
	return plotLeft + (plotWidth-plotLeft-plotRight)*t.Sub(p.from).Seconds()/max(p.to.Sub(p.from).Seconds(), 1)
}

func (p *plot) y(v float64) float64 {
	return plotHeight - plotBottom - (plotHeight-plotTop-plotBottom)*v/p.top
}

// ForecastSVG draws the history, what is ahead with its interval, and the capacity.
func ForecastSVG(w io.Writer, f *Forecasted) error {
	if _, err := io.WriteString(w, drawForecast(f)); err != nil {
		return fmt.Errorf("write plot: %w", err)
	}
	return nil
}

func drawForecast(f *Forecasted) string {
	past, ahead := thinned(f.Past), thinned(f.Ahead)
	p := &plot{top: 1}
	for _, c := range append(append([]forecast.Cell{}, past...), ahead...) {
		if p.from.IsZero() {
			p.from = c.At
		}
		p.to = c.At
		p.top = max(p.top, c.High)
	}
	if f.Capacity != nil && f.Capacity.High < 4*p.top {
		p.top = max(p.top, f.Capacity.High)
	}
	p.top *= 1.05
	title := "Load in requests/s: history, forecast with its 90% interval"
	if f.Capacity != nil {
		title += ", capacity"
	}
	fmt.Fprintf(&p.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" role="img" aria-label="%s"><style>%s</style><rect class="bg" width="100%%" height="100%%"/><text class="title" x="%g" y="22">%s</text>`,
		plotWidth, plotHeight, html.EscapeString(forecastSentence(f)), plotStyle, plotLeft, html.EscapeString(title))
	p.axes()
	p.capacity(f)
	p.band(ahead)
	p.line("past", past)
	p.line("ahead", ahead)
	p.b.WriteString("</svg>\n")
	return p.b.String()
}

func (p *plot) axes() {
	step := niceStep(p.top / 5)
	for v := 0.0; v <= p.top; v += step {
		fmt.Fprintf(&p.b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text class="axis" x="%g" y="%.1f" text-anchor="end">%s</text>`,
			plotLeft, plotWidth-plotRight, p.y(v), p.y(v), plotLeft-8, p.y(v)+4, perSecond(v))
	}
	span := p.to.Sub(p.from)
	days := max(int(math.Ceil(span.Hours()/24/9)), 1)
	if days > 3 {
		days = (days + 6) / 7 * 7
	}
	y, m, d := p.from.Date()
	for t := time.Date(y, m, d, 0, 0, 0, 0, p.from.Location()); !t.After(p.to); t = t.AddDate(0, 0, days) {
		if !t.Before(p.from) {
			fmt.Fprintf(&p.b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%g" y2="%g"/><text class="axis" x="%.1f" y="%g" text-anchor="middle">%s</text>`,
				p.x(t), p.x(t), plotTop, plotHeight-plotBottom, p.x(t), plotHeight-plotBottom+18, t.Format("2 Jan"))
		}
	}
}

// niceStep is 1, 2 or 5 times a power of ten, at least v.
func niceStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(max(v, 1e-9))))
	for _, k := range []float64{1, 2, 5} {
		if k*power >= v {
			return k * power
		}
	}
	return 10 * power
}

func (p *plot) capacity(f *Forecasted) {
	c := f.Capacity
	if c == nil || c.Value > p.top {
		return
	}
	fmt.Fprintf(&p.b, `<rect class="range" x="%g" width="%g" y="%.1f" height="%.1f"/><line class="limit" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text class="limit-text" x="%g" y="%.1f">capacity %s</text>`,
		plotLeft, plotWidth-plotLeft-plotRight, p.y(min(c.High, p.top)), p.y(c.Low)-p.y(min(c.High, p.top)),
		plotLeft, plotWidth-plotRight, p.y(c.Value), p.y(c.Value), plotLeft+6, p.y(c.Value)-5, perSecond(c.Value))
}

func (p *plot) band(cells []forecast.Cell) {
	if len(cells) == 0 {
		return
	}
	p.b.WriteString(`<polygon class="band" points="`)
	for _, c := range cells {
		fmt.Fprintf(&p.b, "%.1f,%.1f ", p.x(c.At), p.y(c.High))
	}
	for i := len(cells) - 1; i >= 0; i-- {
		fmt.Fprintf(&p.b, "%.1f,%.1f ", p.x(cells[i].At), p.y(cells[i].Low))
	}
	p.b.WriteString(`"/>`)
}

func (p *plot) line(class string, cells []forecast.Cell) {
	fmt.Fprintf(&p.b, `<polyline class="%s" points="`, class)
	for _, c := range cells {
		fmt.Fprintf(&p.b, "%.1f,%.1f ", p.x(c.At), p.y(c.Value))
	}
	p.b.WriteString(`"/>`)
}

// thinned keeps the highest cell of each stretch.
func thinned(cells []forecast.Cell) []forecast.Cell {
	every := (len(cells) + mostPlotted - 1) / mostPlotted
	if every <= 1 {
		return cells
	}
	var out []forecast.Cell
	for i := 0; i < len(cells); i += every {
		best := cells[i]
		for _, c := range cells[i:min(i+every, len(cells))] {
			if c.Value > best.Value {
				best = c
			}
		}
		out = append(out, best)
	}
	return out
}

// ForecastHTML writes a page of its own with the plot and the text.
func ForecastHTML(w io.Writer, f *Forecasted) error {
	var text strings.Builder
	if err := ForecastText(&text, f, TextOptions{Width: 100}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark"><title>%s</title>
<style>body{max-width:1000px;margin:2rem auto;padding:0 1rem;font:15px/1.5 system-ui,sans-serif;background:#fff;color:#1f2328}pre{white-space:pre-wrap;overflow-wrap:anywhere}svg{width:100%%;height:auto}
@media (prefers-color-scheme:dark){body{background:#0d1117;color:#f0f6fc}}</style></head>
<body><h1>Forecast</h1>%s<pre>%s</pre></body></html>
`, html.EscapeString("Forecast of "+clean(f.Source)), drawForecast(f), html.EscapeString(text.String()))
	if err != nil {
		return fmt.Errorf("write forecast: %w", err)
	}
	return nil
}
