package table

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// Write writes points as a table that Read reads back. Columns that no point has
// a figure for are left out. Invalid points are left out: a table cannot say that
// they are.
func Write(w io.Writer, points []observation.Point) error {
	valid := slices.DeleteFunc(slices.Clone(points), func(p observation.Point) bool { return !p.Valid || !(p.Offered > 0) })
	var use []column
	for _, c := range columns() {
		any := slices.ContainsFunc(valid, func(p observation.Point) bool { return c.get(&p) != 0 })
		if c.required || any {
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

func record(p *observation.Point, use []column, resources []string) []string {
	text := func(v float64) string { return strconv.FormatFloat(v, 'g', 8, 64) }
	var out []string
	for _, c := range use {
		out = append(out, text(c.get(p)))
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
