package table

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// Write writes points as a table that Read reads back. Columns that no point has
// a figure for are left out, but for those in also, of which 0 is a figure. Invalid points are left out: a table cannot say that
// they are.
func Write(w io.Writer, points []observation.Point, also ...string) error {
	valid := slices.DeleteFunc(slices.Clone(points), func(p observation.Point) bool { return !p.Valid || !(p.Offered > 0) })
	var use []column
	lower := slices.ContainsFunc(columns(), func(c column) bool { return isLower(c.name) && c.known(valid) })
	for _, c := range columns() {
		if c.known(valid) || slices.Contains(also, c.name) || c.required && !(c.name == p99Column && lower) {
			use = append(use, c)
		}
	}
	var resources []string
	for _, p := range valid {
		for name := range p.Resources {
			if validName(name) && !slices.Contains(resources, name) {
				resources = append(resources, name)
			}
		}
	}
	slices.Sort(resources)
	out := csv.NewWriter(w)
	var head []string
	for _, c := range use {
		head = append(head, c.name)
	}
	for _, r := range resources {
		head = append(head, r+usedSuffix, r+limitSuffix)
	}
	_ = out.Write(head) // errors are kept until Flush
	for i := range valid {
		_ = out.Write(record(&valid[i], use, resources))
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// known reports whether some point has a figure for the column.
func (c column) known(points []observation.Point) bool {
	return slices.ContainsFunc(points, func(p observation.Point) bool { return c.get(&p) != 0 })
}

func record(p *observation.Point, use []column, resources []string) []string {
	text := func(v float64) string { return strconv.FormatFloat(v, 'g', 8, 64) }
	var out []string
	for _, c := range use {
		v := c.get(p)
		if v == 0 && strings.HasSuffix(c.name, "_ms") && !c.required {
			out = append(out, "") // not known: nothing takes no time at all
			continue
		}
		out = append(out, text(v))
	}
	for _, r := range resources {
		u, ok := p.Resources[r]
		used, limit := "", ""
		if ok {
			used = text(u.Used)
		}
		if ok && u.Limit > 0 {
			limit = text(u.Limit)
		}
		out = append(out, used, limit)
	}
	return out
}
